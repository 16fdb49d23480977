"""A table is replayed on what was known when, whatever its columns hold."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.retraining import quick, replay, table
from mainspring.retraining.simulate import simulate


def _world(rows=3000, change=0.5, seed=0, kind="binary"):
    """Days of rows in which y follows x, until the share ``change`` of the time is over."""
    rng = np.random.default_rng(seed)
    x, share = rng.normal(size=rows), np.arange(rows) / rows
    value = np.where(share < change, 1, -1) * x + rng.normal(0, 0.4, rows)
    y = {
        "binary": (value > 0).astype(int),
        "multiclass": np.array(["low", "middle", "high"])[np.digitize(value, [-0.6, 0.6])],
        "regression": value * 10,
    }[kind]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    when = [start + timedelta(days=200 * float(part)) for part in share]
    return pl.DataFrame({"when": when, "x": x, "other": rng.normal(size=rows), "y": y})


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch):
    monkeypatch.setattr(quick, "_TREES", 10)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_in_a_world_that_turns_the_loop_wins_with_few_retrainings(kind):
    found = simulate(_world(kind=kind), "y", "when")
    static, periodic, loop = found.policies
    assert found.kind == kind
    assert (static.gain, static.gain_low, static.retrainings) == (0.0, 0.0, 0)
    assert periodic.gain > 0.02
    assert loop.gain > 0.02
    assert 1 <= loop.promotions <= loop.retrainings < periodic.retrainings
    assert found.sentence.startswith("The loop would have lost ")
    better = loop.mean > static.mean
    assert better is found.higher_is_better


def test_in_a_world_that_stays_the_loop_promotes_next_to_nothing():
    promoted = [
        simulate(_world(change=2, seed=seed), "y", "when", policies=["loop"])
        .policies[0]
        .promotions
        for seed in range(4)
    ]
    assert sum(promoted) <= 1


def test_rows_of_a_changed_period_are_never_known_before_their_labels(monkeypatch):
    grown: list[int] = []
    real = quick.fit

    def watch(frame, *given, **named):
        grown.append(frame.height)
        return real(frame, *given, **named)

    monkeypatch.setattr(quick, "fit", watch)
    found = simulate(_world(), "y", "when", policies=["periodic"])
    served = found.trained_on + np.cumsum([0, *found.period_rows])
    # Before period k everything up to the end of period k - 2 is known.
    allowed = {found.trained_on, *(int(end) for end in served[1:-2])}
    assert set(grown) <= allowed
    assert max(grown) <= found.rows - found.period_rows[-1] - found.period_rows[-2]


def test_the_same_table_gives_the_same_answer():
    assert simulate(_world(), "y", "when") == simulate(_world(), "y", "when")


def test_rows_may_come_in_any_order_and_times_as_text():
    plain = simulate(_world(), "y", "when", policies=["periodic"])
    mixed = _world().sample(fraction=1, shuffle=True, seed=3)
    text = mixed.with_columns(pl.col("when").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
    for frame in (mixed, text):
        again = simulate(frame, "y", "when", policies=["periodic"])
        assert again.policies[0].loss == pytest.approx(plain.policies[0].loss, abs=1e-6)


def test_a_messy_table_is_replayed_and_says_what_was_left_out():
    rows = 3000
    frame = _world(rows).with_columns(
        id=pl.int_range(rows),
        name=pl.Series([f"customer {n}" for n in range(rows)]),
        plan=pl.Series(["a", None, "b"] * (rows // 3)),
        born=pl.Series([datetime(1980, 1, 1 + n % 28).date() for n in range(rows)]),  # noqa: DTZ001
        member=pl.Series([True, False, None] * (rows // 3)),
        basket=pl.Series([[1, 2]] * rows),
        empty=pl.lit(None),
        y=pl.when(pl.int_range(rows) % 10 == 0).then(None).otherwise("y"),
    )
    found = simulate(frame, "y", "when", policies=["static", "loop"])
    assert found.dropped == 300
    assert found.columns == ["x", "other", "plan", "born", "member"]
    told = " ".join(found.notices)
    assert "300 of 3000 rows have no y" in told
    assert "only name rows: id, name" in told
    assert "cannot use them: basket" in told


def test_without_a_time_column_the_order_of_rows_is_time_and_it_is_said():
    found = simulate(_world().drop("when"), "y", policies=["periodic"])
    assert any("order of the rows" in notice for notice in found.notices)
    assert len(found.periods) == 30 - 6
    assert found.periods[0].startswith("row ")


def test_progress_goes_from_nothing_to_all():
    told: list[float] = []
    simulate(_world(1000), "y", "when", progress=lambda share, what: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


def test_the_table_and_the_plot_have_a_line_for_each_policy():
    found = simulate(_world(1000), "y", "when", policies=["static", "loop"])
    assert [row["policy"] for row in found.records()] == ["static", "loop"]
    assert set(found.plot()) == {"static", "loop"}
    assert all(len(line) == len(found.periods) for line in found.plot().values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target": "nothing"}, "no column 'nothing'"),
        ({"time": "nothing"}, "no column 'nothing'"),
        ({"policies": ["magic"]}, "no policy 'magic'"),
        ({"period_s": 60.0}, "400 are needed"),
        ({"period_s": 1e9}, "8 to 400 are needed"),
        ({"kind": "binary", "target": "x"}, "binary needs 2 to 2"),
        ({"time": "flag"}, "no time"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_a_sentence(given, said):
    frame = _world(1000).with_columns(flag=pl.lit(value=True))
    with pytest.raises(BadInputError, match=said):
        simulate(frame, **{"target": "y", "time": "when", **given})


def test_too_few_rows_are_refused():
    with pytest.raises(BadInputError, match="at least 400 rows"):
        simulate(_world(399), "y", "when")


def test_periods_are_lengths_that_people_count_in():
    for days, length in ((30, 1), (200, 7), (365, 14), (1000, 28)):
        assert table._natural(days * 86_400.0) == length * 86_400.0
    assert table._natural(86_400.0) == 3600.0
    assert table._natural(10 * 86_400.0) == 6 * 3600.0


def test_gaps_in_time_are_passed_over():
    frame = _world(2000).filter(
        (pl.col("when") < datetime(2024, 3, 1, tzinfo=UTC))
        | (pl.col("when") > datetime(2024, 5, 1, tzinfo=UTC))
    )
    found = simulate(frame, "y", "when", policies=["periodic"])
    assert any("periods without a row" in notice for notice in found.notices)
    assert min(found.period_rows) > 0


def test_the_first_training_takes_a_fifth_and_leaves_five_periods():
    stream = table.prepare(_world(1000), "y", "when")
    first = replay.first_period(stream)
    assert (stream.period < first).mean() == pytest.approx(0.2, abs=0.05)
    days = [2.0 * n for n in range(100)] + [199.0] * 900
    late = _world(1000).with_columns(when=pl.Series(days) * 86_400)
    stream = table.prepare(late, "y", "when", period_s=10 * 86_400.0)
    assert stream.periods - replay.first_period(stream) == 5

"""A table is replayed on what was known when, whatever its columns hold."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.retraining import quick, replay, table
from mainspring.workspace.replaying.simulating import simulate


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


DAY = 86_400.0
ALL = ("static", "every-period", "drift", "performance", "regret-or-performance", "default")


def _one(policy, **more):
    found = simulate(_world(2000), "y", "when", policies=[policy], period_s=14 * DAY, **more)
    return found.policies[0]


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch):
    monkeypatch.setattr(quick, "_TREES", 10)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_in_a_world_that_turns_the_loop_wins_with_few_retrainings(kind):
    found = simulate(_world(change=0.4, kind=kind), "y", "when", period_s=10 * DAY)
    static, periodic, loop = found.policies
    assert found.kind == kind
    assert (static.gain, static.gain_low, static.retrainings) == (0.0, 0.0, 0)
    assert periodic.gain > 0.02
    assert loop.gain > 0.01
    assert 1 <= loop.promotions <= loop.retrainings <= periodic.retrainings
    assert found.sentence.startswith("The loop would have lost ") is (loop.gain_low > 0)
    better = loop.mean > static.mean
    assert better is found.higher_is_better


def test_in_a_world_that_stays_the_loop_promotes_next_to_nothing():
    promoted = [
        simulate(
            _world(1500, change=2, seed=seed), "y", "when", policies=["loop"], period_s=14 * DAY
        )
        .policies[0]
        .promotions
        for seed in range(3)
    ]
    assert sum(promoted) <= 1


def test_nothing_of_the_future_is_known(monkeypatch):
    """Poison all that comes after a moment: what was answered and done before stays the same."""
    whole = _world(2000)
    cut = whole.height * 7 // 10
    moment = whole["when"][cut].timestamp()
    later = pl.int_range(pl.len()) >= cut
    poisoned = whole.with_columns(
        y=pl.when(later).then(1 - pl.col("y")).otherwise("y"),
        x=pl.when(later).then(1000.0).otherwise("x"),
    )
    length = {"policies": ALL, "period_s": 20 * DAY}
    found = [simulate(frame, "y", "when", **length) for frame in (whole, poisoned)]
    periods = int((moment - found[0].begin) // found[0].period_s)
    for before, after in zip(*(one.policies for one in found), strict=True):
        told = [[h for h in one.happenings if h.at < moment] for one in (before, after)]
        assert told[0] == told[1], before.policy
        assert before.quality[: periods - 1] == after.quality[: periods - 1]
    assert found[0].policies != found[1].policies


def test_labels_that_come_later_are_learnt_later():
    learnt = {
        days: [h.at for h in _one("default", delay_s=days * DAY).happenings] for days in (1, 20)
    }
    assert learnt[1][0] < learnt[20][0]
    with pytest.raises(BadInputError, match="labels cannot be 400 days late"):
        _one("default", delay_s=400 * DAY)


def test_moving_all_times_moves_nothing_else():
    frame = _world(1500)
    moved = frame.with_columns(pl.col("when") + timedelta(days=7 * 52))
    plain, again = (simulate(one, "y", "when", period_s=20 * DAY) for one in (frame, moved))
    for one, other in zip(plain.policies, again.policies, strict=True):
        assert (one.retrainings, one.promotions) == (other.retrainings, other.promotions)
        assert one.loss == pytest.approx(other.loss, abs=1e-12)
        assert one.quality == pytest.approx(other.quality, abs=1e-12)


def test_static_never_trains_and_every_period_once_a_period():
    frame = _world(1500)
    static, every = simulate(frame, "y", "when", policies=("static", "every-period")).policies
    assert (static.retrainings, static.promotions, static.happenings) == (0, 0, [])
    # Nothing can be learnt before the first period is over, and its labels came a window later.
    assert every.retrainings == every.promotions == len(every.quality) - 1


def test_costs_and_minutes_are_counted_in_the_policys_own_unit():
    found = simulate(
        _world(1000),
        "y",
        "when",
        policies=("static", "every-period,cost=2,value_per_loss=10,minutes=1.5"),
    )
    every = found.policies[1]
    rows = sum(found.period_rows)
    assert every.cost == 2.0 * every.retrainings
    assert every.worth == pytest.approx(every.gain * rows * 10)
    assert every.net == pytest.approx(every.worth - every.cost)
    assert every.minutes == 1.5 * every.retrainings
    assert found.shares()[every.policy] == 1.0


def test_a_budget_and_a_cool_down_hold_in_a_simulation():
    often = _one("every-period,budget=3")
    assert often.retrainings == 3
    rested = [h.at for h in _one("every-period,cooldown=30d").happenings if h.what == "trained"]
    assert min(b - a for a, b in pairwise(rested)) >= 30 * DAY


def test_a_schedule_asks_at_its_times():
    asked = [h for h in _one("monthly").happenings if h.what == "trained"]
    months = {datetime.fromtimestamp(h.at, UTC).month for h in asked}
    assert len(asked) == len(months)  # once a month, when it begins or at the look after
    assert {datetime.fromtimestamp(h.at, UTC).day for h in asked} == {1}


def test_a_champion_that_breaks_goes_back():
    """The law turns, is learnt, and turns back at once: the new champion is found out."""
    frame = _world(2500, change=2)
    share = pl.int_range(pl.len()) / pl.len()
    turned = (share > 0.4) & (share < 0.62)
    frame = frame.with_columns(y=pl.when(turned).then(1 - pl.col("y")).otherwise("y"))
    found = simulate(frame, "y", "when", policies=("static", "default,watch=4p"))
    went = [h.what for h in found.policies[1].happenings]
    assert "promoted" in went
    assert "reverted" in went[went.index("promoted") :]
    assert found.policies[1].rollbacks >= 1


def test_the_same_table_gives_the_same_answer():
    one, other = (simulate(_world(1000), "y", "when", period_s=20 * DAY) for _ in range(2))
    assert one == other


def test_rows_may_come_in_any_order_and_times_as_text():
    world = _world(1000)
    plain = simulate(world, "y", "when", policies=["periodic"], period_s=20 * DAY)
    mixed = world.sample(fraction=1, shuffle=True, seed=3)
    text = mixed.with_columns(pl.col("when").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
    for frame in (mixed, text):
        again = simulate(frame, "y", "when", policies=["periodic"], period_s=20 * DAY)
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

"""Which rows are learnt from and which are kept to judge by, and that the two never meet."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S, Column, RetrainingPolicy, Signature
from mainspring.retraining.assemble import LEAST_FRESH, LEAST_TRAINING, assemble, first_split
from mainspring.retraining.assemble import seconds as as_seconds

COLUMNS = [Column(name="age", type="float"), Column(name="plan", type="str")]


def _signature(**given):
    base = {"columns": COLUMNS, "kind": "binary", "target": "late", "classes": ["0", "1"]}
    return Signature(**{**base, **given})


def _joined(days, per_day=20, start=0.0, **columns):
    rows = days * per_day
    return pl.DataFrame(
        {
            "_id": [f"p-{start:.0f}-{i}" for i in range(rows)],
            "_time": [start + i * DAY_S / per_day for i in range(rows)],
            "_received": [0.0] * rows,
            "_version": [1] * rows,
            "_score": [0.5] * rows,
            "_label": [str(i % 2) for i in range(rows)],
            "_y": [i % 2 for i in range(rows)],
            "age": [float(i) for i in range(rows)],
            "plan": ["a"] * rows,
            **columns,
        }
    )


def _base(days, per_day=20, start=0.0, **columns):
    rows = days * per_day
    return pl.DataFrame(
        {
            "when": [
                datetime.fromtimestamp(start + i * DAY_S / per_day, UTC) for i in range(rows)
            ],
            "age": [float(i) for i in range(rows)],
            "plan": ["b"] * rows,
            "late": [i % 2 for i in range(rows)],
            **columns,
        }
    )


POLICY = RetrainingPolicy(holdout_s=7 * DAY_S)


def test_the_newest_week_is_kept_and_the_rest_is_learnt_from():
    training, fresh = assemble(_joined(28), None, POLICY, 1e12, _signature())
    assert (training.height, fresh.height) == (20 * 21, 20 * 7)
    assert training.columns == ["age", "plan", "late"]
    assert fresh["_time"].min() > 20.9 * DAY_S
    assert fresh.columns == ["_id", "_time", "_version", "_score", "_y", "age", "plan", "late"]
    assert training["age"].max() < fresh["age"].min()


def test_rows_after_the_moment_asked_for_are_left_out():
    training, fresh = assemble(_joined(28), None, POLICY, 14 * DAY_S, _signature())
    assert fresh["_time"].max() <= 14 * DAY_S
    assert training.height + fresh.height == 14 * 20 + 1


def test_a_holdout_longer_than_half_of_all_is_made_shorter():
    training, fresh = assemble(_joined(8), None, POLICY, 1e12, _signature())
    assert training.height == pytest.approx(80, abs=2)
    assert fresh.height == pytest.approx(80, abs=2)


def test_history_and_row_budget_keep_the_newest():
    policy = RetrainingPolicy(holdout_s=7 * DAY_S, history_s=14 * DAY_S)
    training, _ = assemble(_joined(28), None, policy, 1e12, _signature())
    assert training["age"].min() == 28 * 20 - 14 * 20
    few = RetrainingPolicy(holdout_s=7 * DAY_S, max_rows=100)
    training, _ = assemble(_joined(28), None, few, 1e12, _signature())
    assert training["age"].to_list() == [float(n) for n in range(320, 420)]


@pytest.mark.parametrize("rows", [0, 1, 30, 59])
def test_too_few_rows_give_nothing(rows):
    assert assemble(_joined(28).head(rows), None, POLICY, 1e12, _signature()) is None


def _base_end(frame):
    return frame["when"].max().timestamp()


def test_no_captured_rows_at_all_give_the_base_split_by_time():
    signature = _signature(time="when")
    training, fresh = assemble(pl.DataFrame(), _base(28), POLICY, 1e12, signature)
    assert (training.height, fresh.height) == (420, 140)
    assert training["when"].max() < fresh["when"].min()
    assert training.columns == ["when", "age", "plan", "late"]
    assert fresh["_y"].to_list() == fresh["late"].to_list()
    assert fresh["_time"].max() == _base_end(fresh)


def test_a_base_without_time_is_split_the_same_way_every_time():
    base = _base(10).drop("when")
    first, second = (first_split(base, POLICY, _signature()) for _ in range(2))
    assert first[0].equals(second[0])
    assert (first[0].height, first[1].height) == (160, 40)
    assert first[1]["_time"].unique().to_list() == [0.0]
    assert first[1]["_y"].to_list() == first[1]["late"].to_list()


def test_a_first_training_on_too_few_rows_says_how_many_are_needed():
    with pytest.raises(BadInputError, match=r"at least 50 rows .* and 10 to judge by, found 40"):
        first_split(_base(2), POLICY, _signature(time="when"))


def test_base_and_captured_rows_become_one_table():
    base = _base(30, weight=1.5)
    joined = _joined(14, start=30 * DAY_S)
    training, fresh = assemble(joined, base, POLICY, 1e12, _signature(time="when"))
    assert training.height == 20 * 30 + 20 * 7
    assert training.schema["when"] == base.schema["when"]
    assert training["when"].is_sorted()
    assert training["weight"].null_count() == 20 * 7
    assert training.schema["late"] == base.schema["late"]
    assert fresh.height == 140
    assert fresh["when"].min() > training["when"].max()


def test_labels_become_the_plainest_type_that_the_classes_allow():
    for classes, wanted in (
        (["0", "1"], [0, 1]),
        (["false", "true"], [False, True]),
        (["no", "yes"], ["no", "yes"]),
    ):
        training, _ = assemble(_joined(28), None, POLICY, 1e12, _signature(classes=classes))
        assert training["late"].head(2).to_list() == wanted


def test_a_regression_keeps_its_values():
    joined = _joined(28, _y=[i / 3 for i in range(560)])
    training, _ = assemble(joined, None, POLICY, 1e12, _signature(kind="regression", classes=[]))
    assert training["late"][2] == pytest.approx(2 / 3)


def test_labels_that_do_not_fit_the_base_are_named():
    with pytest.raises(BadInputError, match="late"):
        assemble(
            _joined(28),
            _base(30),
            POLICY,
            1e12,
            _signature(classes=["no", "yes"], time="when"),
        )


def test_columns_that_do_not_fit_together_are_named():
    base = _base(30).with_columns(age=pl.lit("old"))
    with pytest.raises(BadInputError, match="do not fit together"):
        assemble(_joined(14, start=30 * DAY_S), base, POLICY, 1e12, _signature(time="when"))


def test_a_prediction_captured_twice_counts_once():
    twice = pl.concat([_joined(28), _joined(28)])
    training, fresh = assemble(twice, None, POLICY, 1e12, _signature())
    assert training.height + fresh.height == 560


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=300),
    st.integers(1, 40),
    st.integers(60, 200),
)
def test_every_training_row_is_older_than_every_fresh_row(days, holdout, most):
    rows = len(days)
    joined = pl.DataFrame(
        {"_time": [day * DAY_S for day in days], "_y": [0, 1] * (rows // 2) + [0] * (rows % 2)}
    ).with_columns(age=pl.col("_time"), plan=pl.lit("a"))
    policy = RetrainingPolicy(holdout_s=holdout * DAY_S, max_rows=most)
    split = assemble(joined, None, policy, 1e12, _signature())
    if split is None:
        return
    training, fresh = split
    assert training["age"].max() < fresh["age"].min()
    assert LEAST_TRAINING <= training.height <= most
    assert fresh.height >= LEAST_FRESH
    assert fresh.height == sum(day * DAY_S >= fresh["age"].min() for day in days)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1970-01-02", "1970-01-03"], [DAY_S, 2 * DAY_S]),
        (["1970-01-02T00:00:00Z", "1970-01-02T01:00:00+01:00"], [DAY_S, DAY_S]),
        (["1970-01-02 00:00:01", None], [DAY_S + 1, None]),
        ([1, 2], [1.0, 2.0]),
        ([datetime(1970, 1, 2)], [DAY_S]),  # noqa: DTZ001  no zone is the point
        ([datetime(1970, 1, 2, tzinfo=UTC)], [DAY_S]),
        ([date(1970, 1, 2)], [DAY_S]),
        (["soon", "later"], [None, None]),
        ([float("nan"), 3.5], [None, 3.5]),
    ],
)
def test_times_of_every_kind_are_read_as_seconds(values, wanted):
    assert as_seconds(pl.Series("t", values)).to_list() == wanted


def test_a_column_that_is_no_time_is_refused():
    with pytest.raises(BadInputError, match="no time"):
        as_seconds(pl.Series("t", [True]))


def test_captured_rows_alone_bear_their_time_in_seconds():
    training, fresh = assemble(_joined(28), None, POLICY, 1e12, _signature(time="when"))
    assert training.schema["when"] == fresh.schema["when"] == pl.Float64
    assert training["when"].max() < fresh["when"].min()
    assert [name for name in training.columns if name.startswith("_")] == []

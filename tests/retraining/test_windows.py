"""Windows as challengers: the first stands unless another is surely better."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S, Column, Signature
from mainspring.ground.training import check_windows, window
from mainspring.retraining import windows

SIGNATURE = Signature(
    columns=[Column(name="a", type="float"), Column(name="b", type="float")],
    kind="binary", target="y", classes=["0", "1"],
)  # fmt: skip


def _rows(days: int, start: float, turn: float | None = None, seed: int = 0) -> pl.DataFrame:
    """Rows whose target follows ``a``, and the other way round from day ``turn`` on."""
    random = np.random.default_rng(seed)
    times = (start + np.arange(days * 40) / 40) * DAY_S
    a, b = random.normal(size=times.size), random.normal(size=times.size)
    sign = np.where(times >= (1e9 if turn is None else turn) * DAY_S, -1, 1)
    y = (random.random(times.size) < 1 / (1 + np.exp(-4 * sign * a))).astype(int)
    return pl.DataFrame({"_time": times, "a": a, "b": b, "y": y})


def _fresh(days: int, start: float, turn: float | None = None) -> pl.DataFrame:
    return _rows(days, start, turn, seed=9).with_columns(_y=pl.col("y").cast(pl.Float64))


def test_after_a_change_the_newer_half_is_chosen() -> None:
    found = windows.choose(
        _rows(60, 0, turn=40), _fresh(10, 60, turn=40), SIGNATURE, None, ["all", "half"]
    )
    assert found.name == "half"
    first, second = found.tried
    assert (first.rows, second.rows) == (2400, 1200)
    assert second.gain[1] > 0
    assert second.loss < first.loss
    assert "half is better than all by" in found.found


def test_without_a_change_the_first_stands() -> None:
    found = windows.choose(
        _rows(60, 0), _fresh(10, 60), SIGNATURE, None, ["all", "14d", "weighted:half_life=10d"]
    )
    assert found.name == "all"
    assert all(one.loss is not None for one in found.tried)
    assert "none is surely better than all" in found.found


def test_weights_are_a_window_too() -> None:
    names = ["all", "weighted:half_life=4d"]
    found = windows.choose(_rows(60, 0, turn=45), _fresh(10, 60, turn=45), SIGNATURE, None, names)
    assert found.name == "weighted:half_life=4d"


def test_by_chance_another_is_chosen_no_more_often_than_stated() -> None:
    left = 0
    for seed in range(20):
        fresh = _rows(10, 40, seed=1000 + seed).with_columns(_y=pl.col("y").cast(pl.Float64))
        found = windows.choose(
            _rows(40, 0, seed=seed), fresh, SIGNATURE, None, ["half", "all", "10d"]
        )
        left += found.name == "10d"
    assert left <= 2  # less data is never better here: 1 in 20 at most


def test_a_window_of_too_few_rows_or_the_same_rows_is_not_tried() -> None:
    found = windows.choose(_rows(20, 0), _fresh(10, 20), SIGNATURE, None, ["all", "1d", "400d"])
    assert [one.why for one in found.tried] == [
        "", "40 rows are too few", "it holds the same rows as another",
    ]  # fmt: skip
    assert found.name == "all"


def test_one_window_alone_costs_nothing_and_is_told() -> None:
    found = windows.choose(_rows(20, 0), _fresh(5, 20), SIGNATURE, None, ["10d"])
    assert found.name == "10d"
    assert found.tried[0].loss is None


def test_rows_without_a_time_are_in_all_alone() -> None:
    rows = _rows(10, 0).with_columns(
        _time=pl.when(pl.col("a") > 0).then("_time").otherwise(float("-inf"))
    )
    dated = rows["_time"].is_finite().sum()
    assert windows.weights(rows, window("all")).sum() == rows.height
    assert windows.weights(rows, window("400d")).sum() == dated
    assert (windows.weights(rows, window("weighted:half_life=5d")) > 0).sum() == dated


def test_a_weight_halves_with_each_half_life() -> None:
    rows = pl.DataFrame({"_time": [0.0, 5 * DAY_S, 10 * DAY_S]})
    found = windows.weights(rows, window("weighted:half_life=5d"))
    assert found.tolist() == [0.25, 0.5, 1.0]


def test_thinned_rows_are_as_many_as_their_weights_and_always_the_same() -> None:
    rows = _rows(100, 0)
    counts = windows.weights(rows, window("weighted:half_life=20d"))
    first, second = (windows.thinned(rows, counts, "seed") for _ in range(2))
    assert first.equals(second)
    assert first.height == pytest.approx(counts.sum(), rel=0.1)
    assert not first.equals(windows.thinned(rows, counts, "other"))


@settings(max_examples=30, deadline=None)
@given(st.floats(1, 1e8), st.integers(1, 60))
def test_a_span_holds_the_newest_rows_and_all_of_them(span: float, days: int) -> None:
    rows = _rows(days, 0)
    inside = windows.weights(rows, window(f"{span:.3f}s")) > 0
    times = rows["_time"].to_numpy()
    assert inside[-1]
    assert times[inside].min() > times.max() - span - 1e-2
    assert not inside.all() or times.min() > times.max() - span - 1


@pytest.mark.parametrize("bad", ["", "newest", "0d", "weighted", "weighted:half_life=0s", "-1d"])
def test_what_is_no_window_is_refused(bad: str) -> None:
    with pytest.raises(BadInputError) as refused:
        window(bad)
    assert refused.value.field == "windows"


def test_several_windows_are_few_and_different() -> None:
    assert check_windows(["all", "90d"]) == ["all", "90d"]
    for bad in (["all", "all"], [f"{n}d" for n in range(1, 9)], "all"):
        with pytest.raises(BadInputError):
            check_windows(bad)

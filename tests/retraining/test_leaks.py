"""What a training set gives away: found where it is there, and not where it is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.objects import Column, Signature
from mainspring.retraining import leaks

DAY = 86_400.0


def _signature(*names: str, kind="binary", classes=("0", "1")) -> Signature:
    columns = [Column(name=name, type="float") for name in names]
    return Signature(columns=columns, kind=kind, target="y", classes=list(classes))


def _frames(rows: int = 800, fresh: int = 300, seed: int = 0, **columns):
    """Rows with an honest column ``a``, and those made of (random, a, y) by ``columns``."""
    random = np.random.default_rng(seed)
    total = rows + fresh
    a = random.normal(size=total)
    y = (random.random(total) < 1 / (1 + np.exp(-2 * a))).astype(int)
    frame = pl.DataFrame({"_time": np.arange(total) * DAY / 50, "a": a, "y": y})
    for name, make in columns.items():
        frame = frame.with_columns(pl.Series(name, make(random, a, y)))
    newer = frame.tail(fresh).with_columns(_y=pl.col("y").cast(pl.Float64))
    return frame.head(rows), newer


def _kinds(found):
    return [(one.kind, one.column, one.sure) for one in found]


def test_honest_columns_give_no_finding() -> None:
    parts = _frames(b=lambda random, a, y: random.choice(["x", "y", "z"], a.size))
    assert leaks.look(*parts, _signature("a", "b")) == []


def test_the_target_under_another_name_is_sure() -> None:
    parts = _frames(outcome=lambda random, a, y: np.where(y == 1, "paid", "lost"))
    found = leaks.look(*parts, _signature("a", "outcome"))
    assert _kinds(found) == [("copy", "outcome", True)]
    assert "each of its 2 values stands for one class in all of 1,100 rows" in found[0].found


def test_the_target_in_another_unit_is_sure() -> None:
    random = np.random.default_rng(1)
    y = random.normal(size=400)
    rows = pl.DataFrame({"_time": np.arange(400.0), "cents": 100 * y + 3, "y": y})
    fresh = rows.tail(100).with_columns(_y=pl.col("y"))
    found = leaks.look(rows.head(300), fresh, _signature("cents", kind="regression", classes=()))
    assert ("copy", "cents", True) in _kinds(found)


def test_a_column_that_tells_nearly_all_alone_is_asked_about() -> None:
    def nearly(random, a, y):
        return y + random.normal(0, 0.15, y.size)

    found = leaks.look(*_frames(refund=nearly), _signature("a", "refund"))
    assert _kinds(found) == [("alone", "refund", False)]
    assert "Is it known when a row is answered?" in found[0].found


def test_a_number_that_tells_a_regression_alone_is_asked_about() -> None:
    random = np.random.default_rng(1)
    y = random.normal(size=900)
    x = np.sign(y) * np.sqrt(np.abs(y))
    rows = pl.DataFrame({"_time": np.arange(900.0), "x": x, "y": y})
    fresh = rows.tail(200).with_columns(_y=pl.col("y"))
    found = leaks.look(rows.head(700), fresh, _signature("x", kind="regression", classes=()))
    assert ("alone", "x", False) in _kinds(found)


def test_several_classes_told_by_a_name_alone_are_asked_about() -> None:
    random = np.random.default_rng(2)
    y = random.choice(["a", "b", "c"], 900)
    code = [f"{one}{n % 3}" for n, one in enumerate(y)]
    rows = pl.DataFrame({"_time": np.arange(900.0), "code": code, "y": y})
    signature = _signature("code", kind="multiclass", classes=("a", "b", "c"))
    found = leaks.look(rows.head(700), rows.tail(200), signature)
    assert _kinds(found) == [("alone", "code", False)]


def test_a_column_that_counts_is_a_notice() -> None:
    parts = _frames(number=lambda random, a, y: np.arange(a.size))
    found = leaks.look(*parts, _signature("a", "number"))
    assert _kinds(found) == [("names_rows", "number", False), ("parts_time", "number", False)]


def test_fresh_rows_among_the_training_rows_are_found_and_named() -> None:
    training, fresh = _frames()
    both = pl.concat([training, fresh.head(60).select(training.columns)])
    found = leaks.look(both, fresh, _signature("a"))
    assert _kinds(found) == [("twins", None, True)]
    assert found[0].figures["twins"] == 60
    hit = leaks.twins(both, fresh, ["a", "y"])
    assert hit.sum() == 60
    assert hit.tail(60).all()


def test_rows_that_are_alike_by_chance_are_no_twins() -> None:
    parts = _frames(
        a=lambda random, a, y: random.integers(0, 20, a.size),
        b=lambda random, a, y: random.integers(0, 20, a.size),
    )
    assert leaks.look(*parts, _signature("a", "b")) == []


def _pairs(random, changed: np.ndarray, y: np.ndarray, later: np.ndarray) -> pl.DataFrame:
    then = random.normal(size=y.size)
    return pl.DataFrame(
        {"_y": y.astype(float), "a": then, "a@source": np.where(changed, later, then)}
    )


def test_a_value_that_changed_and_only_then_tells_the_outcome_is_sure() -> None:
    random = np.random.default_rng(4)
    y = random.integers(0, 2, 600)
    pairs = _pairs(random, random.random(600) < 0.5, y, 10.0 * y)
    found = leaks.look(*_frames(), _signature("a"), pairs)
    assert _kinds(found) == [("changed", "a", True)]
    assert "changed after the row was answered" in found[0].found


def test_a_value_that_changed_for_no_reason_is_a_notice() -> None:
    random = np.random.default_rng(4)
    y = random.integers(0, 2, 600)
    pairs = _pairs(random, random.random(600) < 0.1, y, random.normal(size=600))
    assert _kinds(leaks.look(*_frames(), _signature("a"), pairs)) == [("changed", "a", False)]


def test_numbers_that_differ_by_how_they_are_kept_are_the_same() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=300)
    pairs = pl.DataFrame(
        {"_y": [0.0, 1.0] * 150, "a": values.astype(np.float32), "a@source": values}
    )
    assert leaks.look(*_frames(), _signature("a"), pairs) == []


@pytest.mark.parametrize("value", [None, 1.0])
def test_constant_columns_one_class_and_one_row_give_no_finding(value) -> None:
    training, fresh = _frames()
    odd = [one.with_columns(a=pl.lit(value, dtype=pl.Float64)) for one in (training, fresh)]
    assert leaks.look(*odd, _signature("a")) == []
    same = [one.with_columns(y=pl.lit(1), **more) for one, more in
            ((training, {}), (fresh, {"_y": pl.lit(1.0)}))]  # fmt: skip
    assert leaks.look(*same, _signature("a")) == []
    assert leaks.look(training.head(1), fresh.head(1), _signature("a")) == []


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(random) -> None:
    training, fresh = _frames(outcome=lambda r, a, y: y * 2)
    order = list(range(training.height))
    random.shuffle(order)
    first = leaks.look(training, fresh, _signature("a", "outcome"))
    assert leaks.look(training[order], fresh, _signature("a", "outcome")) == first

"""What was said beside what came, on average: in all rows and in slices of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitoring.labelled import BINARY, COLUMNS, rows

from mainspring.ground.objects import ColumnProfile, Profile, Signature
from mainspring.monitoring.graded import graded
from mainspring.monitoring.prediction_bias import LEAST_ROWS, Tilt, tilts

BASELINE = Profile(
    rows=1000,
    columns=[
        ColumnProfile(
            name="carrier",
            type="category",
            rows=1000,
            missing=0,
            share=0.7,
            categories={"EV": 100, "UA": 400, "DL": 300, "AA": 200},
        )
    ],
)


def looked(now: pl.DataFrame, declared: tuple[str, ...] = ()) -> dict[str, Tilt]:
    return {t.slice: t for t in tilts(graded(now, 3, BINARY), BINARY, BASELINE, declared)}


def test_a_model_that_says_what_comes_is_biased_nowhere() -> None:
    found = looked(rows(4_000, 1))
    assert next(iter(found)) == "all rows"
    assert set(found) == {"all rows", "carrier=EV", "carrier=UA", "carrier=DL", "carrier=AA"}
    assert not any(one.biased for one in found.values())


def test_means_are_those_of_the_rows() -> None:
    now = rows(1_000, 2)
    one = looked(now)["all rows"]
    assert one.said == pytest.approx(now["_score"].mean())
    assert one.came == pytest.approx(now["_y"].mean())
    assert one.rows == 1_000


def test_a_model_that_is_right_on_the_whole_may_promise_too_much_to_some() -> None:
    now = rows(8_000, 3)
    said = pl.when(pl.col("carrier") == "EV").then(0.9).otherwise(pl.col("_score"))
    found = looked(now.with_columns(_score=said))
    biased = {name for name, one in found.items() if one.biased}
    assert "carrier=EV" in biased
    assert not biased & {"carrier=UA", "carrier=DL", "carrier=AA"}
    assert found["carrier=EV"].said == pytest.approx(0.9)


def test_a_condition_may_be_a_slice_and_one_that_cannot_be_read_is_left_out() -> None:
    found = looked(rows(4_000, 4, late=3.0), ("hour >= 20", "nothing > 2"))
    assert set(found) == {"all rows", "hour >= 20"}
    assert found["all rows"].biased


def test_too_few_rows_say_nothing() -> None:
    assert looked(rows(LEAST_ROWS - 1, 5)) == {}
    assert "carrier=EV" not in looked(rows(LEAST_ROWS, 5))


def test_numbers_are_off_by_a_share_of_their_scale() -> None:
    rng = np.random.default_rng(6)
    truth = rng.normal(50, 5, 600)
    signature = Signature(columns=COLUMNS, kind="regression", target="y", scale=100.0)
    for off, biased in ((1.0, False), (3.0, True)):
        now = rows(600, 6).with_columns(_score=pl.Series(truth + off), _y=pl.Series(truth))
        (one, *_) = tilts(graded(now, 3, signature), signature, BASELINE)
        assert one.said - one.came == pytest.approx(off)
        assert one.biased is biased


def test_of_several_classes_the_chance_of_the_most_frequent_counts() -> None:
    signature = Signature(columns=COLUMNS, kind="multiclass", target="c", classes=["a", "b", "c"])
    truth = np.random.default_rng(7).choice(3, 500, p=[0.2, 0.7, 0.1])
    now = rows(500, 7).with_columns(
        _score=pl.Series([[0.2, 0.7, 0.1]] * 500), _y=pl.Series(truth.astype(np.int64))
    )
    (one, *_) = tilts(graded(now, 3, signature), signature, BASELINE)
    assert one.said == pytest.approx(0.7)
    assert one.came == pytest.approx((truth == 1).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([60, 300, 1_000]))
def test_bias_is_certain_and_material_or_it_is_none(seed: int, count: int) -> None:
    for one in looked(rows(count, seed)).values():
        assert one.biased == (abs(one.said - one.came) > max(one.radius, 0.02))

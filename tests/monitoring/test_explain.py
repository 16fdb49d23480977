"""The classifier on demand: it names what moved, and says when nothing did."""

import numpy as np
import polars as pl
import pytest

from mainspring.monitoring.explain import LINE, tell_apart
from mainspring.numerics.profiles import profile_columns


def table(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "_time": np.arange(float(rows)),
            "a": a,
            "b": 0.8 * a + 0.6 * rng.normal(size=rows),
            "gap": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows)),
            "kind": rng.choice(["x", "y", "z"], rows),
            "night": rng.random(rows) < 0.3,
        }
    )


REFERENCE = table(2_000, 1)
NAMES = ["a", "b", "gap", "kind", "night"]
COLUMNS = profile_columns({name: REFERENCE[name] for name in NAMES})


def test_rows_of_one_population_are_not_told_apart():
    found = tell_apart(table(2_000, 2), REFERENCE, COLUMNS)
    assert found.area == pytest.approx(0.5, abs=0.04)
    assert not found.apart
    assert "chance alone reaches that" in found.why


def test_a_column_that_moved_is_named():
    found = tell_apart(table(2_000, 2).with_columns(pl.col("gap") + 1), REFERENCE, COLUMNS)
    assert found.apart
    assert LINE < found.low < found.area < 1
    assert found.columns[0].column == "gap"
    assert found.columns[0].share > 0.9
    assert "mostly by gap" in found.why


def test_a_correlation_that_flipped_is_explained_by_its_two_columns():
    found = tell_apart(table(2_000, 2).with_columns(-pl.col("b")), REFERENCE, COLUMNS)
    assert found.apart
    assert {one.column for one in found.columns[:2]} == {"a", "b"}


def test_a_new_level_is_seen():
    frame = table(2_000, 2)
    new = frame.with_columns(
        kind=pl.when(pl.col("a") > 0.5).then(pl.lit("never seen")).otherwise("kind")
    )
    assert tell_apart(new, REFERENCE, COLUMNS).columns[0].column == "kind"


def test_the_same_rows_give_the_same_answer_in_any_order():
    frame = table(1_000, 2)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=3)
    assert tell_apart(frame, REFERENCE, COLUMNS) == tell_apart(shuffled, REFERENCE, COLUMNS)


def test_rows_in_runs_count_for_fewer():
    at = np.repeat(np.arange(50), 40)
    runs = table(50, 2)[at].with_columns(_time=pl.Series(np.arange(2_000.0)))
    found = tell_apart(runs, REFERENCE, COLUMNS)
    assert found.effect > 10
    assert not found.apart


def test_what_cannot_be_told_is_said():
    assert "no reference rows" in tell_apart(REFERENCE, None, COLUMNS).why
    for frame in (REFERENCE.head(5), REFERENCE.clear(), REFERENCE.select("_time")):
        found = tell_apart(frame, REFERENCE, COLUMNS)
        assert found.area is None
        assert "are needed" in found.why


def test_odd_columns_raise_nothing():
    frame = table(500, 2).with_columns(
        a=pl.lit(float("inf")), gap=pl.lit(None, dtype=pl.Float64), kind=pl.Series([[1]] * 500)
    )
    assert tell_apart(frame, REFERENCE, COLUMNS).apart

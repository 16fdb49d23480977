"""Rows to test with keep their contract, hold its edges, and look as a profile says."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.monitoring.constraints import check_frames
from mainspring.testing import rows_strategy, sample_rows
from mainspring.workspace import profiling

NOW = 1_800_000_000.0
FLIGHT = Contract(
    columns={
        "id": Expect(type="Integral", low=0, high=10_000, unique=True),
        "distance": Expect(type="Fractional", low=10, high=5000, completeness=0.9),
        "stops": Expect(type="Integral", low=0, high=3, completeness=1),
        "carrier": Expect(type="String", allowed=["AA", "B6"], completeness=1),
        "night": Expect(type="Boolean"),
        "at": Expect(type="Time", newest_within_s=3600.0),
        "note": Expect(type="String"),
    },
    rules={"a stop takes way": "stops = 0 OR distance > 100"},
    extra="refuse",
)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_drawn_rows_keep_their_contract(rows: int, seed: int) -> None:
    found = sample_rows(FLIGHT, rows, seed, now=NOW)
    assert found.height == rows
    if rows >= 40:  # a share of few rows is within any margin, and one row need not be fresh
        told = check_frames(FLIGHT, [found], now=NOW)
        assert told.passed, [one.sentence for one in told.violations]
    assert found.equals(sample_rows(FLIGHT, rows, seed, now=NOW))
    assert found["id"].n_unique() == rows


def test_the_edges_come_first() -> None:
    bound = Contract(columns={"x": Expect(type="Integral", low=-3, high=7, completeness=1)})
    assert sample_rows(bound, 5)["x"].to_list()[:3] == [-3, 7, 0]
    assert sample_rows(bound, 0).height == 0
    open_ = Contract(columns={"x": Expect(type="Fractional", completeness=1)})
    assert sample_rows(open_, 3)["x"].to_list() == [-1e6, 1e6, 0.0]


def test_values_that_nobody_can_draw_are_asked_for() -> None:
    plate = Contract(columns={"plate": Expect(type="String", pattern="[A-Z]{2}-[0-9]+")})
    with pytest.raises(BadInputError, match="has a pattern"):
        sample_rows(plate)
    found = sample_rows(plate, 50, values={"plate": ["AA-1", "BB-2"]})
    assert set(found["plate"].drop_nulls()) == {"AA-1", "BB-2"}
    never = Contract(columns={"x": Expect(type="Integral", low=0, high=9)}, rules={"n": "x > 10"})
    with pytest.raises(BadInputError, match="0 of 5 rows kept the rules n"):
        sample_rows(Contract(columns=never.columns | {"x": Expect(
            type="Integral", low=0, high=9, completeness=1)}, rules=never.rules), 5)  # fmt: skip
    few = Contract(columns={"x": Expect(type="Integral", low=0, high=2, unique=True)})
    with pytest.raises(BadInputError, match="has 3 values for 4 rows"):
        sample_rows(few, 4)
    with pytest.raises(BadInputError, match="0 or more"):
        sample_rows(few, -1)


def test_rows_of_a_table_come_as_often_as_they_did() -> None:
    table = pl.DataFrame(
        {
            "kind": ["a"] * 900 + ["b"] * 100,
            "n": list(range(1000)),
            "gap": [None] * 500 + [1.5] * 500,
            "flag": [True] * 1000,
        }
    )
    found = sample_rows(table, 2000, seed=1)
    assert 0.85 < (found["kind"] == "a").mean() < 0.95
    assert 0.4 < found["gap"].null_count() / 2000 < 0.6
    assert found["flag"].all()
    assert 400 < found["n"].mean() < 600
    assert found["n"].dtype == pl.Int64
    assert found.equals(sample_rows(profiling.profile(table), 2000, seed=1))


@settings(max_examples=15, deadline=None)
@given(rows_strategy(FLIGHT, least=2, most=20, now=NOW))
def test_a_strategy_gives_tables_of_the_contract(rows: pl.DataFrame) -> None:
    assert 2 <= rows.height <= 20
    assert rows.columns == list(FLIGHT.columns)
    assert rows["stops"].is_between(0, 3).all()

"""Rows of a user's own source as they were known at a moment, and beside captured rows."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, RowsPolicy, Signature
from mainspring.retraining import sourcing

SIGNATURE = Signature(
    columns=[Column(name="a", type="float")], kind="binary", target="y", classes=["0", "1"]
)
POLICY = RowsPolicy(source="rows.csv", known_at="known", source_id="id")


def _source(**columns) -> pl.DataFrame:
    return pl.DataFrame({
        "id": ["p-0", "p-1", "x-2", "x-3", "x-4"],
        "when": [10.0, 20.0, 30.0, 40.0, 90.0],
        "known": [15.0, 70.0, 35.0, None, 95.0],
        "a": [1.0, 2.0, 3.0, 4.0, 5.0],
        "y": [0, 1, 1, 0, 1],
        **columns,
    })  # fmt: skip


def _captured() -> pl.DataFrame:
    return pl.DataFrame({
        "_id": ["p-0", "p-1", "p-9"], "_time": [10.0, 20.0, 50.0], "_version": [1, 1, 1],
        "_score": [0.5, 0.5, 0.5], "a": [1.0, 7.0, 9.0],
    })  # fmt: skip


def test_what_became_known_later_is_left_out_and_counted() -> None:
    found = sourcing.known(_source(), POLICY, "y", "when", 50.0)
    assert found.rows["id"].to_list() == ["p-0", "x-2"]
    assert found.left_out == {
        "later than the moment, or without a time": 1,
        "whose target was not known yet": 2,
    }


def test_rows_without_a_target_are_left_out() -> None:
    found = sourcing.known(_source(y=[0, None, 1, 0, 1]), RowsPolicy(source="x"), "y", None, 50.0)
    assert found.left_out == {"without a target": 1}
    assert found.rows.height == 4


def test_of_a_row_that_was_captured_too_what_was_captured_counts() -> None:
    source = sourcing.known(_source(), POLICY, "y", "when", 80.0).rows
    labelled = _captured().head(1).with_columns(_y=pl.lit(1.0))
    found = sourcing.join(_captured(), labelled, source, POLICY, SIGNATURE)
    assert found.captured.sort("_id").select("_id", "a", "_y").rows() == [
        ("p-0", 1.0, 1.0),  # its own label stays, whatever the source says
        ("p-1", 7.0, 1.0),  # the input as it was answered, the label of the source
    ]
    assert found.rest["a"].to_list() == [3.0]
    assert found.rest.columns == ["when", "a", "y"]
    assert found.pairs.select("_id", "a", "a@source").rows() == [
        ("p-0", 1.0, 1.0), ("p-1", 7.0, 2.0),
    ]  # fmt: skip


def test_without_ids_a_source_is_only_added() -> None:
    policy = RowsPolicy(source="rows.csv")
    found = sourcing.join(_captured(), pl.DataFrame(), _source(), policy, SIGNATURE)
    assert found.rest.height == 5
    assert found.pairs.height == 0


@pytest.mark.parametrize("missing", ["y", "known", "id"])
def test_a_column_that_is_named_and_missing_is_refused(missing: str) -> None:
    with pytest.raises(BadInputError, match=f"The source has no column '{missing}'"):
        sourcing.known(_source().drop(missing), POLICY, "y", "when", 50.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=30), st.floats(0, 100))
def test_no_row_and_no_label_is_later_than_the_moment(rows, at) -> None:
    frame = pl.DataFrame(
        {"when": [a for a, _ in rows], "known": [b for _, b in rows], "y": [1] * len(rows)},
        schema={"when": pl.Float64, "known": pl.Float64, "y": pl.Int64},
    )
    policy = RowsPolicy(source="x", known_at="known")
    found = sourcing.known(frame, policy, "y", "when", at)
    assert found.rows.height + sum(found.left_out.values()) == len(rows)
    assert (found.rows["when"] <= at).all()
    assert (found.rows["known"] <= at).all()
    assert found.rows["when"].is_sorted()

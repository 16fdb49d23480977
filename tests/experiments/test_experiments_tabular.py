from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments import tabular
from mainspring.ground.errors import BadInputError, NotExactError

WANTED = pl.DataFrame({"x": [1, 2, 3], "name": ["a", "b", None]})


@pytest.mark.parametrize(
    "table",
    [
        WANTED,
        WANTED.lazy(),
        pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", None]}),
        pa.table({"x": [1, 2, 3], "name": ["a", "b", None]}),
        [{"x": 1, "name": "a"}, {"x": 2, "name": "b"}, {"x": 3}],
        {"x": np.array([1, 2, 3]), "name": ["a", "b", None]},
        {"x": range(1, 4), "name": ("a", "b", None)},
    ],
    ids=lambda table: type(table).__module__ + "." + type(table).__name__,
)
def test_every_kind_of_table_is_the_same_frame_with_the_same_digest(table) -> None:
    found = tabular.frame_of(table)
    assert found.rows() == WANTED.rows()
    assert found.columns == WANTED.columns
    assert tabular.digest(found) == tabular.digest(WANTED)


def test_a_pandas_index_of_its_own_becomes_a_column() -> None:
    table = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="who"))
    assert tabular.frame_of(table).to_dict(as_series=False) == {"who": ["a", "b"], "x": [1.0, 2.0]}
    series = pd.Series([1, 2], name="x")
    assert tabular.frame_of(series).columns == ["x"]


def test_a_column_may_begin_with_whole_numbers_and_go_on_otherwise() -> None:
    rows = [{"x": 1} for _ in range(200)] + [{"x": 0.5}]
    assert tabular.frame_of(rows)["x"].to_list()[-1] == 0.5


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (3, "found int"),
        ("text", "found str"),
        ([1, 2], "found list"),
        ({"x": [1], "y": [1, 2]}, "unequal length: x: 1, y: 2"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "'x' twice"),
    ],
)
def test_what_is_no_table_is_refused_by_name(table, told: str) -> None:
    with pytest.raises(BadInputError, match=told) as caught:
        tabular.frame_of(table)
    assert caught.value.field == "table"


@pytest.mark.parametrize(
    "table", [{"x": [1, "a"]}, [{"x": 1}, {"x": "a"}], {"x": [2**53 + 1, 0.5]}, {"x": [1, True]}]
)
def test_a_column_of_mixed_types_is_refused_and_never_altered(table) -> None:
    with pytest.raises(NotExactError) as caught:
        tabular.frame_of(table)
    assert caught.value.field == "table"


def test_a_table_is_written_as_its_suffix_says(tmp_path) -> None:
    frame = pl.DataFrame({"x": [0.5, math.nan], "t": [date(2026, 1, 2), None]})
    (tmp_path / "t.parquet").write_bytes(tabular.write(frame, "t.parquet"))
    assert pl.read_parquet(tmp_path / "t.parquet").equals(frame)
    assert tabular.write(frame, "t.csv") == b"x,t\n0.5,2026-01-02\nNaN,\n"
    assert json.loads(tabular.write(frame, "t.JSON")) == [
        {"x": 0.5, "t": "2026-01-02"},
        {"x": "nan", "t": None},
    ]
    with pytest.raises(BadInputError, match=r"\.parquet, \.csv or \.json"):
        tabular.write(frame, "t.xlsx")
    with pytest.raises(BadInputError, match="cannot be kept as"):
        tabular.write(pl.DataFrame({"x": [[1]]}), "t.csv")


def test_a_preview_is_small_and_says_how_much_there_is() -> None:
    frame = pl.DataFrame(
        {
            "n": range(1000), "text": ["x" * 2000] * 1000, "bytes": [b"\xff"] * 1000,
            "lists": [[1.0, math.inf]] * 1000, "when": [datetime(2026, 1, 2, tzinfo=UTC)] * 1000,
            "took": [timedelta(seconds=1)] * 1000, "price": [Decimal("1.10")] * 1000,
        }
    )  # fmt: skip
    found = json.loads(tabular.preview(frame))
    assert (found["rows"], len(found["head"])) == (1000, 50)
    assert found["columns"][0] == {"name": "n", "type": "Int64"}
    first = found["head"][0]
    assert first[0] == 0
    assert len(first[1]) == 500
    assert first[3:] == [[1.0, "inf"], "2026-01-02T00:00:00+00:00", "0:00:01", "1.10"]


def test_a_profile_counts_and_measures() -> None:
    found = json.loads(tabular.profile(pl.DataFrame({"x": [1, None, 3], "s": ["a", "b", None]})))
    assert found == {
        "rows": 3,
        "columns": [
            {"name": "x", "missing": 1, "low": 1, "high": 3, "mean": 2.0},
            {"name": "s", "missing": 1},
        ],
    }


COLUMNS = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
    st.lists(st.none() | st.floats(allow_nan=False), min_size=3, max_size=3),
    st.lists(st.none() | st.text(max_size=4), min_size=3, max_size=3),
    st.lists(st.none() | st.booleans(), min_size=3, max_size=3),
    st.lists(st.none() | st.dates(), min_size=3, max_size=3),
    st.lists(st.none() | st.lists(st.integers(0, 3), max_size=2), min_size=3, max_size=3),
)


@given(a=COLUMNS, b=COLUMNS)
def test_digests_are_equal_exactly_where_frames_are(a, b) -> None:
    one, two = pl.DataFrame({"x": a}), pl.DataFrame({"x": b})
    same = one.schema == two.schema and str(one.rows()) == str(two.rows())
    assert (tabular.digest(one) == tabular.digest(two)) is same
    parted = pl.concat([one.head(1), one.tail(2)], rechunk=False)
    assert tabular.digest(parted) == tabular.digest(one)


def test_texts_that_only_join_alike_have_different_digests() -> None:
    digests = {
        tabular.digest(pl.DataFrame({"x": x})) for x in (["ab", ""], ["a", "b"], ["", "ab"])
    }
    names = {tabular.digest(pl.DataFrame({name: [1]})) for name in ("a", "b")}
    assert (len(digests), len(names)) == (3, 2)

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mainspring.ground.errors import StepFailedError
from mainspring.pipelines import hints

T = TypeVar("T")


class Fits(Protocol):
    def fit(self) -> None: ...


def check(returns: Any, value: Any) -> None:
    def load() -> Any: ...

    load.__annotations__ = {"return": returns}
    hints.check_result(load, value, "load")


@pytest.mark.parametrize(
    ("returns", "value"),
    [
        (pl.DataFrame, pl.DataFrame()),
        (float, 1),
        (float, np.float32(1)),
        (int, np.int64(1)),
        (int, True),
        (bool, np.bool_(True)),
        (list[str], [1]),
        (dict[str, int] | None, None),
        ("pl.DataFrame | None", None),
        (Sequence[int], (1, 2)),
        (Annotated[int, "rows"], 3),
        (None, None),
        (Path, Path("x")),
        (Callable[[], int], len),
    ],
)
def test_what_a_hint_allows_passes(returns: Any, value: Any) -> None:
    check(returns, value)


@pytest.mark.parametrize(
    "returns", [Any, T, Fits, Literal["a"], object, "Nowhere", int | T, list[int] | Fits]
)
def test_a_hint_that_is_not_simple_says_nothing(returns: Any) -> None:
    check(returns, "text")


@pytest.mark.parametrize(
    ("returns", "value", "said"),
    [
        (pl.DataFrame, "text", "polars.DataFrame"),
        (pl.DataFrame, pl.LazyFrame(), "polars.DataFrame"),
        (pd.DataFrame, pl.DataFrame(), "pandas.DataFrame"),
        (int, 1.0, "int"),
        (str | None, 1, r"str \| None"),
        (list[str], {"a": 1}, "list"),
        (None, 1, "None"),
        (dict, [], "dict"),
    ],
)
def test_a_step_that_returns_something_else_says_so(returns: Any, value: Any, said: str) -> None:
    with pytest.raises(StepFailedError, match=rf"Step load returned a .* it returns {said}"):
        check(returns, value)


ROWS = pl.DataFrame({"a": [1, 2], "b": ["x", None]})


def given(wanted: Any, value: Any) -> Any:
    def load(rows: Any) -> None: ...

    load.__annotations__ = {"rows": wanted}
    return hints.fitted(load, {"rows": value}, "load")["rows"]


@pytest.mark.parametrize("value", [ROWS, ROWS.lazy(), ROWS.to_arrow(), ROWS.to_pandas()])
@pytest.mark.parametrize("wanted", [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.Table])
def test_any_table_becomes_the_kind_that_is_asked_for(wanted: Any, value: Any) -> None:
    found = given(wanted, value)
    assert isinstance(found, wanted)
    back = given(pl.DataFrame, found)
    assert back.select("a", "b").equals(ROWS)
    assert given(wanted | None, value) is not None


def test_a_table_that_fits_is_left_as_it_is() -> None:
    assert given(pl.DataFrame | pd.DataFrame, ROWS) is ROWS
    frame = ROWS.to_pandas()
    assert given(pl.DataFrame | pd.DataFrame, frame) is frame
    assert given(int, ROWS) is ROWS, "only tables are made into others"


@pytest.mark.parametrize(
    ("wanted", "value", "why"),
    [
        (pl.DataFrame, pd.DataFrame({"a": [1]}, index=["x"]), "an index of its own"),
        (pd.DataFrame, pl.DataFrame({"n": [1, None]}), "missing values of n"),
        (pl.DataFrame, "text", "no table"),
        (pl.DataFrame, None, "no table"),
    ],
)
def test_what_would_be_lost_is_refused_by_the_arguments_name(
    wanted: Any, value: Any, why: str
) -> None:
    with pytest.raises(StepFailedError, match=rf"rows of step load is a .* should be a .*{why}"):
        given(wanted, value)


def test_a_path_of_parquet_is_scanned_where_a_lazy_frame_is_asked_for(tmp_path: Path) -> None:
    for year in (2013, 2014):
        (tmp_path / f"year={year}").mkdir()
        ROWS.write_parquet(tmp_path / f"year={year}" / "0.parquet")
    found = given(pl.LazyFrame, tmp_path).collect()
    assert found["year"].to_list() == [2013, 2013, 2014, 2014]
    assert given(pl.LazyFrame, tmp_path / "year=2013" / "0.parquet").collect().equals(ROWS)
    (tmp_path / "none").mkdir()
    with pytest.raises(StepFailedError, match="holds no Parquet"):
        given(pl.LazyFrame, tmp_path / "none")


def test_a_list_is_taken_for_the_tuple_that_a_function_says_it_returns() -> None:
    def split() -> tuple[int, str]: ...  # type: ignore[empty-body]

    assert hints.check_result(split, [1, "a"], "split") == (1, "a")
    with pytest.raises(StepFailedError, match=r"a list of 3, and its function says .* tuple of 2"):
        hints.check_result(split, [1, 2, 3], "split")

"""Read one captured column as its declared type, and keep only what the checks need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import ColumnProfile
from mainspring.numerics.dependence import Dependence
from mainspring.numerics.profiles import (
    OTHER,
    count_categories,
    count_single,
    present_single,
    score_column,
    single,
)

Declared = Literal["float", "int", "str", "bool"]
Floats = npt.NDArray[np.float64]

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_SAID = {"true": ("true", "1", "1.0"), "false": ("false", "0", "0.0")}
YES_NO = {said: meant for meant, ways in _SAID.items() for said in ways}


#: What is known of dependence where the order of rows is not.
UNKNOWN = Dependence({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a window held of one column, counted as the baseline was counted."""

    baseline: ColumnProfile
    rows: int
    missing: int
    vanished: bool = False  # the column was in no row at all
    wrong: int = 0  # values that are not of the declared type; they count as missing too
    outside: int = 0  # numbers below the baseline's low or above its high
    unseen: dict[str, int] = field(default_factory=dict)  # categories the baseline never had
    counts: npt.NDArray[np.int64] | None = None  # numbers: rows per cell of the baseline
    categories: dict[str, int] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    dependence: Dependence = UNKNOWN  # of its values, in the order of time
    gaps: Mapping[str, Dependence] = field(default_factory=dict)  # of flaws, by quality check

    @property
    def present(self) -> int:
        """Rows that have a value of the declared type."""
        return self.rows - self.missing


def summarise(
    column: pl.Series | None, baseline: ColumnProfile, declared: Declared | None, rows: int
) -> Summary:
    """Return what a captured column holds; None stands for a column that is not there."""
    if column is None:
        return Summary(baseline=baseline, rows=rows, missing=rows, vanished=True)
    if baseline.type == "number":
        values, wrong = as_numbers(column, declared)
        return _of_numbers(values, wrong, baseline)
    return _of_categories(*_categories(column, declared), rows, baseline)


def summarise_scores(scores: Floats, baseline: ColumnProfile) -> Summary:
    """Return what a window held of the model's own output, shape (rows,) or (rows, k)."""
    column = score_column(scores)
    if baseline.type == "number":
        # Several scores where one was expected: none of them can be compared.
        values = column if column.dtype.kind == "f" else np.full(len(column), np.nan)
        return _of_numbers(np.asarray(values, dtype=np.float64), 0, baseline)
    found, _ = count_categories(column)
    return _of_categories(found, 0, len(column), baseline)


def scores_of(frame: pl.DataFrame, version: int | None) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the scores that one version gave, and for which rows of the frame it gave one.

    A version has scored a row if it answered it or if it was the counterpart beside the one
    that did; so a canary does not make the champion's rows a selected few. Scores have shape
    (those rows, k); a row whose number of scores differs from the rest is NaN.
    """
    nobody = np.zeros(frame.height, dtype=bool)
    parts = []
    for who, score in (("_version", "_score"), ("_other_version", "_other_score")):
        if who in frame.columns and score in frame.columns:
            parts.append((_equals(frame[who], version), _matrix(frame[score])))
    if not parts:
        return np.empty((0, 1)), nobody
    width = max(matrix.shape[1] for _, matrix in parts)
    scores = np.full((frame.height, width), np.nan)
    taken = nobody.copy()
    for mine, matrix in parts:
        new = mine & ~taken
        if matrix.shape[1] == width:
            scores[new] = matrix[new]
        taken |= new
    return scores[taken], taken


def _equals(versions: pl.Series, version: int | None) -> npt.NDArray[np.bool_]:
    if version is None or versions.dtype == pl.Null:
        return np.zeros(versions.len(), dtype=bool)
    return (versions == version).fill_null(value=False).to_numpy().astype(bool)


def _matrix(scores: pl.Series) -> Floats:
    if scores.dtype.is_numeric() or scores.dtype == pl.Null:
        return _floats(scores).reshape(-1, 1)
    if isinstance(scores.dtype, pl.Array):
        scores = scores.arr.to_list()
    lengths = scores.list.len()
    width = int(lengths.max() or 1)  # type: ignore[arg-type]  # a length is whole
    sound = (lengths == width).fill_null(value=False).to_numpy().astype(bool)
    matrix = np.full((scores.len(), width), np.nan)
    if sound.any():
        flat = scores.filter(pl.Series(sound)).explode().cast(pl.Float64)
        matrix[sound] = _floats(flat).reshape(-1, width)
    return matrix


def _floats(column: pl.Series) -> Floats:
    column = column.cast(pl.Float64)
    if column.null_count():
        column = column.fill_null(np.nan)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def as_numbers(column: pl.Series, declared: Declared | None = None) -> tuple[Floats, int]:
    """Return the values with NaN for what is no number, and how many were none."""
    dtype = column.dtype
    if dtype == pl.Null:
        return np.full(column.len(), np.nan), 0
    if dtype in _TEXT:
        numbers = column.cast(pl.String).cast(pl.Float64, strict=False)
        wrong = numbers.null_count() - column.null_count()
    elif dtype.is_numeric() or dtype == pl.Boolean:
        numbers, wrong = column, 0
    else:
        return np.full(column.len(), np.nan), column.len() - column.null_count()
    values = _floats(numbers)
    if declared == "int" and numbers.dtype.is_float():
        broken = np.isfinite(values) & (values != np.floor(values))
        if broken.any():
            wrong += int(broken.sum())
            values = np.where(broken, np.nan, values)
    return values, wrong


def _categories(column: pl.Series, declared: Declared | None) -> tuple[Counter[str], int]:
    """Return the rows of each category, and how many values were of another type."""
    dtype = column.dtype
    if dtype == pl.Null:
        return Counter(), 0
    if dtype in _TEXT or dtype == pl.Boolean or dtype.is_numeric():
        found, _ = count_categories(column)
    else:
        return Counter(), column.len() - column.null_count()
    if declared == "bool":
        said: Counter[str] = Counter()
        for value, count in found.items():
            said[YES_NO.get(value.lower(), "")] += count
        return said, said.pop("", 0)
    # A number where text was declared is no category, or 7 and "7" would be one.
    wrong = found.total() if declared == "str" and dtype not in _TEXT else 0
    return (Counter(), wrong) if wrong else (found, 0)


def _of_numbers(values: Floats, wrong: int, baseline: ColumnProfile) -> Summary:
    found = present_single(values)
    missing = values.size - found.size
    if found.size == 0:
        return Summary(baseline=baseline, rows=values.size, missing=missing, wrong=wrong)
    outside = 0
    if baseline.low is not None and baseline.high is not None:
        low, high = (np.float32(single(side)) for side in (baseline.low, baseline.high))
        outside = int(np.count_nonzero(found < low) + np.count_nonzero(found > high))
    finite = values[np.isfinite(values)]
    return Summary(
        baseline=baseline,
        rows=values.size,
        missing=missing,
        wrong=wrong,
        outside=outside,
        counts=count_single(baseline.edges, found),
        low=float(finite.min()) if finite.size else None,
        high=float(finite.max()) if finite.size else None,
        mean=_mean(finite),
    )


def _mean(finite: Floats) -> float | None:
    """Return the mean to 12 digits, so that it does not depend on the order of rows."""
    if finite.size == 0:
        return None
    with np.errstate(over="ignore"):
        mean = float(finite.sum(dtype=np.longdouble) / finite.size)
    return float(f"{mean:.12g}") if np.isfinite(mean) else None


def _of_categories(found: Counter[str], wrong: int, rows: int, baseline: ColumnProfile) -> Summary:
    known = baseline.categories
    # Where the baseline had too many values to keep, a new one cannot be told from a rare one.
    unseen = {} if OTHER in known else {k: n for k, n in found.items() if k not in known}
    return Summary(
        baseline=baseline,
        rows=rows,
        missing=rows - found.total(),
        wrong=wrong,
        unseen=unseen,
        categories=dict(found),
    )

"""Look for what a training set knows and a served row will not.

Each finding names the column, says what was seen with figures, and whether it is sure. A sure
leak is one that cannot be honest: a column that is the target under another name, or a value
that changed after the row was answered and only then tells the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Record, Signature
from mainspring.numerics.intervals import Interval, hanley_mcneil, wilson
from mainspring.numerics.scores import auc, r2
from mainspring.retraining.quick import as_number, is_text
from mainspring.retraining.truth import targets

Floats = npt.NDArray[np.float64]

#: A column alone that orders the target so well, at the lower bound, is hardly an honest input.
ALONE = 0.98
#: Of a number's cells, each holds a dozen rows or more: a whole row of the mean of all would pull
#: every one of them in, and hide a law that has no noise at all.
_LIGHT = 0.1
#: So few rows, or rows of one class, prove no copy.
LEAST_COPY, LEAST_CLASS = 50, 10
#: Columns are looked at on so many rows at most, evenly over them.
MOST_ROWS = 20_000
#: More rows than this share of the fresh ones must have a twin before twins are a finding.
_TWINS = 0.005
_BINS = 64
#: A column whose values are different in so many rows names rows.
_DISTINCT = 0.98
#: A column that parts that many pairs of an old and a new row keeps time.
_APART = 0.99


class Leak(Record, frozen=True, kw_only=True):
    """One thing that a training set gives away, or might."""

    kind: str  #: copy, alone, changed, twins, names_rows or parts_time
    column: str | None
    sure: bool
    found: str
    figures: dict[str, float] = {}


def look(
    training: pl.DataFrame,
    fresh: pl.DataFrame,
    signature: Signature,
    pairs: pl.DataFrame | None = None,
) -> list[Leak]:
    """Return what leaks in the rows of :func:`assemble.assemble`, the sure ones first.

    ``pairs`` are rows that were captured and also stand in the user's source: ``_y``, each raw
    column as it was when the row was answered, and as ``COLUMN@source`` what the source says
    now. Columns with one value, and rows of one class, give no finding.
    """
    older, newer = _some(training), _some(fresh)
    truth = targets(newer, signature)
    learnt = targets(older, signature)
    found: list[Leak] = []
    for column in [c.name for c in signature.columns if c.name in older.columns]:
        if column not in newer.columns:
            continue
        before, now = older[column], newer[column]
        if before.drop_nulls().n_unique() < 2:
            continue
        copy = _copy(column, pl.concat([_plain(before), _plain(now)]), [learnt, truth], signature)
        found += copy or _alone(column, before, now, learnt, truth, signature)
        found += _names_rows(column, before, now)
    found += _twins(training, fresh, signature)
    if pairs is not None and pairs.height:
        found += _changed(pairs, signature)
    return sorted(found, key=lambda one: (not one.sure, one.kind, one.column or ""))


def twins(training: pl.DataFrame, fresh: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Return for each training row whether it is the one twin of a fresh row.

    Twins have equal values in all of ``columns``, and nobody else has.
    """
    if not training.height or not fresh.height:
        return pl.Series([False] * training.height, dtype=pl.Boolean)
    keys = [_keys(training, columns), _keys(fresh, columns)]
    alone = [
        one.to_frame("key").with_columns(_place=pl.arange(pl.len())).filter(one.is_unique())
        for one in keys
    ]
    both = alone[0].join(alone[1].select("key"), on="key", how="inner")
    hit = np.zeros(training.height, dtype=bool)
    hit[both["_place"].to_numpy()] = True
    return pl.Series(hit)


# ---------------------------------------------------------------- a column and the target


def _copy(column: str, values: pl.Series, parts: list[Floats], signature: Signature) -> list[Leak]:
    """Return whether a column is the target under another name: each value one class."""
    truth = np.concatenate(parts)
    known = ~values.is_null().to_numpy()
    if int(known.sum()) < LEAST_COPY or known.mean() < 0.5:
        return []
    values, truth = values.filter(pl.Series(known)), truth[known]
    if signature.kind == "regression":
        return _linear(column, values, truth)
    classes, counts = np.unique(truth, return_counts=True)
    if classes.size < 2 or counts.min() < LEAST_CLASS or values.n_unique() != classes.size:
        return []
    pairs = pl.DataFrame({"value": values, "class": truth}).unique()
    if pairs.height != classes.size:
        return []
    told = f"{column} is {signature.target} under another name: each of its {classes.size} values"
    told += f" stands for one class in all of {truth.size:,} rows."
    return [Leak(kind="copy", column=column, sure=True, found=told,
                 figures={"rows": float(truth.size)})]  # fmt: skip


def _linear(column: str, values: pl.Series, truth: Floats) -> list[Leak]:
    if is_text(values) or np.ptp(truth) == 0:
        return []
    numbers = as_number(values).to_numpy().astype(np.float64)
    if not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
        return []
    slope, start = np.polyfit(numbers, truth, 1)
    rest = np.abs(truth - (slope * numbers + start)).max() / np.ptp(truth)
    if rest > 1e-6:
        return []
    told = f"{column} is the target in another unit: {slope:.4g} times it plus {start:.4g} is"
    told += f" the target in all of {truth.size:,} rows."
    return [Leak(kind="copy", column=column, sure=True, found=told,
                 figures={"rows": float(truth.size), "rest": float(rest)})]  # fmt: skip


def _alone(
    column: str,
    before: pl.Series,
    now: pl.Series,
    learnt: Floats,
    truth: Floats,
    signature: Signature,
) -> list[Leak]:
    """Return whether a column alone, learnt on the training rows, tells the fresh ones."""
    cells, width = _cells(before, now)
    low, measure = _told_by(cells[0], cells[1], width, learnt, truth, signature)
    if low is None or low <= ALONE:
        return []
    told = f"{column} alone tells {signature.target} on {truth.size:,} fresh rows: {measure} of at"
    told += f" least {low:.4f}. Is it known when a row is answered?"
    return [Leak(kind="alone", column=column, sure=False, found=told, figures={"low": low})]


def _told_by(
    older: npt.NDArray[np.int64],
    newer: npt.NDArray[np.int64],
    width: int,
    learnt: Floats,
    truth: Floats,
    signature: Signature,
) -> tuple[float | None, str]:
    """Return the lower bound of how well cells tell the target, and by what measure."""
    counts = np.bincount(older, minlength=width).astype(np.float64)
    if signature.kind == "regression":
        if truth.size < 2 * LEAST_CLASS or np.ptp(truth) == 0:
            return None, ""
        # No interval: a share of variance this close to 1 has none worth the name.
        means = _means(older, learnt, counts, width, prior=_LIGHT)
        return r2(means[newer], truth), "r2"
    if len(signature.classes) == 2:
        band = _ordered(_means(older, learnt, counts, width)[newer], truth == 1)
        return (None if band is None else band.low), "an AUC"
    if truth.size < LEAST_COPY or np.bincount(truth.astype(int)).max() > 0.95 * truth.size:
        return None, ""
    places = range(len(signature.classes))
    shares = [_means(older, (learnt == one).astype(float), counts, width) for one in places]
    right = int((np.stack(shares).argmax(axis=0)[newer] == truth).sum())
    return wilson(right, truth.size).low, "an accuracy"


def _ordered(scores: Floats, positive: npt.NDArray[np.bool_]) -> Interval | None:
    """Return how well scores order two classes; None where one has too few rows."""
    yes = int(positive.sum())
    least = min(yes, positive.size - yes)
    if least < LEAST_CLASS:
        return None
    # A perfect order has an interval without width: then that of half a row in the wrong place.
    found = min(auc(scores, positive), 1 - 1 / (2 * least))
    return hanley_mcneil(found, yes, positive.size - yes)


def _means(
    cells: npt.NDArray[np.int64],
    values: Floats,
    counts: Floats,
    width: int,
    prior: float = 1.0,
) -> Floats:
    """Return the mean of each cell, as if ``prior`` rows more had held the mean of all."""
    overall = float(values.mean())
    sums = np.bincount(cells, weights=values, minlength=width)
    return np.asarray((sums + prior * overall) / (counts + prior))


def _cells(
    before: pl.Series, now: pl.Series
) -> tuple[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], int]:
    """Return the cell of every value: a quantile of the training rows, a known text; 0 missing."""
    if is_text(before):
        names = before.cast(pl.String).drop_nulls().unique(maintain_order=True).to_list()
        places = list(range(1, len(names) + 1))
        coded = [
            one.cast(pl.String)
            .replace_strict(names, places, default=0, return_dtype=pl.Int64)
            .fill_null(0)
            .to_numpy()
            for one in (before, now)
        ]
        return (coded[0], coded[1]), len(names) + 1
    numbers = [as_number(one).fill_null(np.nan).to_numpy() for one in (before, now)]
    finite = numbers[0][np.isfinite(numbers[0])]
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1]))
    cells = [
        np.where(np.isfinite(one), np.searchsorted(edges, one, side="right") + 1, 0)
        for one in numbers
    ]
    return (cells[0], cells[1]), edges.size + 2


# ---------------------------------------------------------------- rows and time


def _names_rows(column: str, before: pl.Series, now: pl.Series) -> list[Leak]:
    """Return whether a column names rows, or its values part the fresh rows from the others."""
    told: list[Leak] = []
    whole = before.dtype.is_integer() or is_text(before)
    both = before.drop_nulls().n_unique() / max(before.len() - before.null_count(), 1)
    if whole and before.len() >= LEAST_COPY and both > _DISTINCT:
        found = (
            f"{column} has a different value in {both:.0%} of the training rows: it names rows,"
        )
        found += " and nothing can be learnt of a name."
        told.append(
            Leak(kind="names_rows", column=column, sure=False, found=found,
                 figures={"distinct": float(both)})
        )  # fmt: skip
    if not is_text(before) and before.dtype != pl.Boolean:
        numbers = [as_number(one).drop_nulls().to_numpy() for one in (before, now)]
        if min(one.size for one in numbers) >= LEAST_COPY:
            values = np.concatenate(numbers)
            side = np.concatenate([np.zeros(numbers[0].size), np.ones(numbers[1].size)])
            apart = abs(auc(np.nan_to_num(values), side) - 0.5) * 2
            if apart > _APART:
                found = f"{column} alone parts the fresh rows from the training rows"
                found += f" ({apart:.2%} of all pairs): it counts or keeps time, and a row to come"
                found += " lies outside of all that was learnt."
                told.append(
                    Leak(kind="parts_time", column=column, sure=False, found=found,
                         figures={"apart": float(apart)})
                )  # fmt: skip
    return told


def _twins(training: pl.DataFrame, fresh: pl.DataFrame, signature: Signature) -> list[Leak]:
    """Return whether fresh rows stand among the training rows more often than chance has it.

    Of values that two rows share and nobody else, chance puts the two on different sides in
    ``2 a b / (n (n - 1))`` of the cases. More for sure is no chance.
    """
    columns = [c.name for c in signature.columns if c.name in training.columns]
    columns = [*columns, signature.target]
    if not training.height or not fresh.height or len(columns) < 2:
        return []
    rows = training.height + fresh.height
    keys = pl.concat([_keys(training, columns), _keys(fresh, columns)])
    side = pl.Series([0] * training.height + [1] * fresh.height)
    pairs = (
        pl.DataFrame({"key": keys, "side": side})
        .group_by("key")
        .agg(pl.len().alias("n"), pl.col("side").sum().alias("fresh"))
        .filter(pl.col("n") == 2)
    )
    cross = int((pairs["fresh"] == 1).sum())
    if not pairs.height or cross <= _TWINS * fresh.height:
        return []
    chance = 2 * training.height * fresh.height / (rows * (rows - 1))
    band = wilson(cross, pairs.height, 0.999)
    if band.low <= chance:
        return []
    found = f"{cross:,} of {fresh.height:,} fresh rows stand among the training rows with the same"
    found += f" values in all columns, where chance has {chance * pairs.height:.0f}."
    return [Leak(kind="twins", column=None, sure=True, found=found,
                 figures={"twins": float(cross), "share": cross / fresh.height})]  # fmt: skip


def _changed(pairs: pl.DataFrame, signature: Signature) -> list[Leak]:
    """Return columns that say something else in the source than when the row was answered."""
    found = []
    for column in [c.name for c in signature.columns]:
        later = f"{column}@source"
        if column not in pairs.columns or later not in pairs.columns:
            continue
        changed = ~_same(pairs[column], pairs[later])
        count = int(changed.sum())
        if count == 0:
            continue
        band = wilson(count, pairs.height)
        then, now = (_told(pairs[one], pairs, signature) for one in (column, later))
        sure = then is not None and now is not None and now[0] > then[1]
        told = f"{column} changed after the row was answered in {count:,} of {pairs.height:,} rows"
        told += (
            f" ({band.low:.1%} to {band.high:.1%}): the source does not say what was known then."
        )
        if sure and then and now:
            told += f" What it says now tells {signature.target} better (at least {now[0]:.3f},"
            told += f" then at most {then[1]:.3f})."
        figures = {"changed": band.estimate, "low": band.low, "high": band.high}
        found.append(Leak(kind="changed", column=column, sure=sure, found=told, figures=figures))
    return found


def _told(
    values: pl.Series, pairs: pl.DataFrame, signature: Signature
) -> tuple[float, float] | None:
    """Return between which bounds a column alone tells a binary target; None for others."""
    if len(signature.classes) != 2:
        return None
    truth = pairs["_y"].to_numpy()
    cells, width = _cells(values, values)
    counts = np.bincount(cells[0], minlength=width).astype(np.float64)
    band = _ordered(_means(cells[0], truth, counts, width)[cells[0]], truth == 1)
    return None if band is None else (band.low, band.high)


def _same(one: pl.Series, other: pl.Series) -> pl.Series:
    if is_text(one) or is_text(other):
        return one.cast(pl.String).eq_missing(other.cast(pl.String))
    left, right = as_number(one), as_number(other)
    # The log of captures keeps numbers with 24 bits: what differs by less is the same.
    near = (left - right).abs() <= 1e-6 * (left.abs() + right.abs() + 1e-30)
    return (left.is_null() & right.is_null()) | near.fill_null(value=False)


def _keys(rows: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Return what tells rows apart: numbers as the log of captures keeps them."""
    parts = []
    for name in columns:
        values = rows[name]
        plain = _plain(values) if is_text(values) else as_number(values).cast(pl.Float32)
        parts.append(plain.alias(name))
    return pl.DataFrame(parts).hash_rows(seed=1)


def _plain(values: pl.Series) -> pl.Series:
    return values.cast(pl.String) if is_text(values) else as_number(values)


def _some(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.height <= MOST_ROWS:
        return rows
    return rows[np.linspace(0, rows.height - 1, MOST_ROWS).astype(np.int64)]

"""Bring rows of a prediction log into the form in which our own endpoints capture theirs.

What cannot be used at all (a row without a time, a probability of 1.7, an id of 200 letters) is
refused by its line. What a monitor should see (a value of another type, a missing one, a column
too many) stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, Signature
from mainspring.monitoring.labels import MOST_ID_CHARS
from mainspring.monitoring.truth import targets
from mainspring.scaling.models.features import DTYPES, Word
from mainspring.scaling.serving.segments import AHEAD_S, split_ids
from mainspring.workspace.feeding.naming import Columns, check_inputs
from mainspring.workspace.feeding.reading import LINE, plainest

Floats = npt.NDArray[np.float64]

# Ids are kept in two parts where they end with a number, as labels are: it costs few bytes.
#: A number from here on is no count of seconds: 1e11 s is the year 5138.
_UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
_TINY = 1e-6  # by rounding, a probability may lie that far outside of [0, 1]


@dataclass(kw_only=True)
class Shaper:
    """How the rows of one batch are read; it remembers what it had to say of them."""

    name: str  #: of the file or batch, in complaints
    columns: Columns
    signature: Signature
    received: float
    version: int  #: of rows that name none
    batch: str  #: short and unique: names rows that have no id
    scored: bool = True  #: whether the baseline has a score, so that rows need one
    at: float | None = None  #: the event time of every row, whatever stands in them
    numbered: Callable[[Sequence[str]], dict[str, int]] = field(default=lambda _: {})
    rows: int = 0
    ahead: int = 0  #: rows whose time lies beyond the clock that received them
    said: dict[str, None] = field(default_factory=dict)

    def shape(self, part: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Return rows as captures hold them, and the labels that came with them.

        Raises:
            BadInputError: naming the line of the first value that cannot be used.
        """
        lines = part[LINE]
        inputs = [n for n in part.columns if n != LINE and n not in self.columns.named()]
        check_inputs(inputs)
        ids = self._ids(part, lines)
        times = self._times(part, lines)
        self.ahead += int((times > self.received + AHEAD_S).sum())
        out = pl.DataFrame(
            [
                *split_ids(ids),
                times.alias("_time"),
                pl.Series("_received", [self.received] * part.height, dtype=pl.Float64),
                self._versions(part),
                as_series(self._scores(part, lines)),
                pl.Series("_other_version", [None] * part.height, dtype=pl.Int64),
            ]
        )
        other = pl.Series("_other_score", [None] * part.height, dtype=out["_score"].dtype)
        types = {column.name: column.type for column in self.signature.columns}
        raw = [settled(part[name], types.get(name)) for name in inputs]
        self.rows += part.height
        return out.with_columns(other, *raw), self._labels(part, ids)

    def _ids(self, part: pl.DataFrame, lines: pl.Series) -> pl.Series:
        if self.columns.id is None:
            first = self.rows
            names = [f"{self.batch}-{n}" for n in range(first, first + part.height)]
            return pl.Series("_id", names, dtype=pl.String)
        ids = part[self.columns.id].cast(pl.String).alias("_id")
        sizes = ids.str.len_chars()
        wrong = (ids.is_null() | (sizes == 0) | (sizes > MOST_ID_CHARS)).fill_null(value=True)
        _refuse(self.name, lines, wrong, ids, f"an id is text of 1 to {MOST_ID_CHARS} characters")
        return ids

    def _times(self, part: pl.DataFrame, lines: pl.Series) -> pl.Series:
        name = self.columns.time
        if self.at is not None or name is None:
            at = self.received if self.at is None else self.at
            return pl.Series([at] * part.height, dtype=pl.Float64)
        found = part[name]
        times, unit = seconds(found)
        if unit:
            self.said[f"{name!r} counts {unit}"] = None
        wrong = times.is_null() | ~times.is_finite().fill_null(value=False)
        _refuse(self.name, lines, wrong, found, "a time is UTC seconds or ISO 8601")
        return times

    def _versions(self, part: pl.DataFrame) -> pl.Series:
        name = self.columns.version
        if name is None:
            return pl.Series("_version", [self.version] * part.height, dtype=pl.Int64)
        called = part[name].cast(pl.String)
        known = self.numbered(called.drop_nulls().unique().sort().to_list())
        numbers = called.replace_strict(known, default=None, return_dtype=pl.Int64)
        return numbers.fill_null(self.version).alias("_version")

    def _scores(self, part: pl.DataFrame, lines: pl.Series) -> Floats:
        named = bool(self.columns.score or self.columns.prediction)
        if not named:
            if self.scored:
                raise BadInputError(
                    f"No column of {self.name} looks like the prediction.",
                    field="score",
                    hint="Name it: --score-column NAME, or --prediction-column NAME for a class."
                    f" There are {', '.join(n for n in part.columns[:30] if n != LINE)}.",
                )
            return np.full((part.height, 1), np.nan)
        return scores_of(part, lines, self.columns, self.signature, self.name)

    def _labels(self, part: pl.DataFrame, ids: pl.Series) -> pl.DataFrame | None:
        name = self.columns.label
        if name is None:
            return None
        label = part[name]
        if label.dtype in (pl.Categorical, pl.Enum):
            label = label.cast(pl.String)
        there = label.is_not_null()
        if label.dtype.is_float():
            there &= label.is_finite().fill_null(value=False)
        return pl.DataFrame([ids, label.alias("_label")]).filter(there)


# ---------------------------------------------------------------- values


def scores_of(
    part: pl.DataFrame, lines: pl.Series, columns: Columns, signature: Signature, name: str
) -> Floats:
    """Return the scores of rows, shape (rows, k), NaN where a row has none.

    Where only a class was kept, its probability counts as 1 and that of the others as 0.

    Raises:
        BadInputError: naming the line of a score that is none, or of a class that is unknown.
    """
    if not columns.score:
        return _of_classes(part[columns.prediction or ""], lines, signature, name)
    wanted = len(signature.classes) if signature.kind == "multiclass" else 1
    first = part[columns.score[0]]
    if len(columns.score) == 1 and first.dtype == pl.List and wanted > 1:
        scores = _of_lists(first, wanted, lines, name)
    elif len(columns.score) != wanted:
        raise BadInputError(
            f"{len(columns.score)} score columns are named, and the model has {wanted}:"
            f" one for each of {', '.join(signature.classes) or 'the values'}.",
            field="score",
        )
    else:
        scores = np.column_stack([_numbers(part[one], lines, name) for one in columns.score])
    if signature.kind != "regression":
        with np.errstate(invalid="ignore"):
            wrong = ((scores < -_TINY) | (scores > 1 + _TINY)).any(axis=1)
        _refuse(name, lines, pl.Series(wrong), first, "a score is a probability from 0 to 1")
        scores = np.clip(scores, 0.0, 1.0)
    return scores


def _of_classes(found: pl.Series, lines: pl.Series, signature: Signature, name: str) -> Floats:
    if signature.kind == "regression":
        return _numbers(found, lines, name).reshape(-1, 1)
    if signature.kind == "binary" and found.dtype.is_float():
        # Many logs call the probability itself the prediction.
        return scores_of(found.to_frame(), lines, Columns(score=[found.name]), signature, name)
    places = targets(_said(found), signature)
    wrong = places.is_null() & found.is_not_null()
    _refuse(name, lines, wrong, found, f"the classes are {', '.join(signature.classes)}")
    numbers = places.cast(pl.Float64).to_numpy()
    if signature.kind == "binary":
        return np.asarray(numbers, dtype=np.float64).reshape(-1, 1)
    out = np.zeros((found.len(), len(signature.classes)))
    there = np.isfinite(numbers)
    out[np.flatnonzero(there), numbers[there].astype(np.int64)] = 1.0
    out[~there] = np.nan
    return out


def _said(found: pl.Series) -> pl.Series:
    """Return classes as :func:`mainspring.monitoring.truth.written` writes labels."""
    if found.dtype == pl.Boolean:
        return found.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    return found.cast(pl.String)


def _of_lists(found: pl.Series, wanted: int, lines: pl.Series, name: str) -> Floats:
    wrong = found.list.len() != wanted
    _refuse(name, lines, wrong.fill_null(value=False), found, f"{wanted} scores are wanted")
    out = np.full((found.len(), wanted), np.nan)
    there = found.is_not_null().to_numpy()
    if there.any():
        flat = found.drop_nulls().explode().cast(pl.Float64).to_numpy()
        out[there] = flat.reshape(-1, wanted)
    return out


def _numbers(found: pl.Series, lines: pl.Series, name: str) -> Floats:
    if not (found.dtype.is_numeric() or found.dtype in (pl.Boolean, pl.String, pl.Null)):
        raise BadInputError(f"Column {found.name!r} of {name} holds {found.dtype}, no numbers.")
    numbers = found.cast(pl.Float64, strict=False)
    _refuse(name, lines, numbers.is_null() & found.is_not_null(), found, "a score is a number")
    return np.asarray(numbers.fill_null(np.nan).to_numpy(), dtype=np.float64)


def seconds(found: pl.Series) -> tuple[pl.Series, str]:
    """Return times in UTC seconds, null where one cannot be read, and the unit if it was none.

    Numbers of the size of milliseconds, microseconds or nanoseconds since 1970 are taken as
    such. A text or a date without an offset is UTC.

    >>> seconds(pl.Series(["1970-01-01T00:00:10Z", "1970-01-01 00:00:10", "then"]))[0].to_list()
    [10.0, 10.0, None]
    """
    if found.dtype == pl.Date or isinstance(found.dtype, pl.Datetime):
        return found.cast(pl.Datetime("us")).dt.epoch("us") / 1e6, ""
    if found.dtype == pl.String:
        numbers = found.cast(pl.Float64, strict=False)
        if numbers.null_count() > found.null_count():
            return _from_iso(found, numbers), ""
        found = numbers
    if not found.dtype.is_numeric():
        return pl.Series([None] * found.len(), dtype=pl.Float64), ""
    times = found.cast(pl.Float64)
    middle = times.drop_nulls().drop_nans().abs().median()
    size = middle if isinstance(middle, float) else 0.0
    by, unit = next(((by, unit) for least, by, unit in _UNITS if size >= least), (1.0, ""))
    return times / by, unit


def _from_iso(found: pl.Series, numbers: pl.Series) -> pl.Series:
    text = found.str.strip_chars().str.replace("Z$", "+00:00").str.replace(" ", "T", literal=True)
    aware = text.str.to_datetime("%+", strict=False, time_zone="UTC", exact=True)
    naive = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False).dt.replace_time_zone("UTC")
    short = text.str.to_datetime("%Y-%m-%dT%H:%M", strict=False).dt.replace_time_zone("UTC")
    days = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    whole = pl.select(
        pl.coalesce(
            aware.dt.cast_time_unit("us"),
            naive.dt.cast_time_unit("us"),
            short.dt.cast_time_unit("us"),
            days.dt.replace_time_zone("UTC"),
        )
    ).to_series()
    return pl.select(pl.coalesce(whole.dt.epoch("us") / 1e6, numbers)).to_series()


def settled(values: pl.Series, declared: str | None) -> pl.Series:
    """Return a raw column in its declared type where every value is of it, else as it came.

    A text in a column of numbers stays a text, so that a monitor counts it.

    >>> settled(pl.Series("x", ["1", "2.5"]), "float").to_list()
    [1.0, 2.5]
    >>> settled(pl.Series("x", ["1", "many"]), "float").to_list()
    ['1', 'many']
    """
    values = _storable(values)
    if declared is None:
        return plainest(values.to_frame()).to_series()
    if values.dtype == pl.Null:
        return values.cast(DTYPES[declared])
    if values.dtype == pl.String and declared != "str":
        fits = plainest(values.to_frame()).to_series()
        wanted = fits.dtype == pl.Boolean if declared == "bool" else fits.dtype.is_numeric()
        if not wanted:
            return values
        values = fits
    if declared == "float" and values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_nan(None)
    if declared == "int" and values.dtype.is_integer():
        return values.cast(pl.Int64, strict=False)
    return values


def _storable(values: pl.Series) -> pl.Series:
    """Return a column as text where it is neither number, text nor boolean."""
    dtype = values.dtype
    if dtype in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    if dtype == pl.Decimal:
        return values.cast(pl.Float64)
    if dtype.is_temporal():
        return values.dt.to_string("iso") if dtype != pl.Duration else values.cast(pl.Int64)
    if dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Null):
        return values
    if dtype == pl.Binary:
        raise BadInputError(
            f"Column {values.name!r} holds bytes; leave it out or write it as text.",
            field=values.name,
        )
    texts = [
        None if value is None else msgspec.json.encode(value, enc_hook=str).decode()
        for value in values.to_list()
    ]
    return pl.Series(values.name, texts, dtype=pl.String)


def described(values: pl.Series) -> Column:
    """Return what a raw column takes, as a baseline knows it."""
    kind: Word = "str"
    if values.dtype == pl.Boolean:
        kind = "bool"
    elif values.dtype.is_numeric():
        kind = "int" if values.dtype.is_integer() else "float"
    categories = None
    if kind == "str":
        found = values.cast(pl.String).drop_nulls().unique().sort()
        categories = found.to_list() if found.len() <= 1000 else None
    return Column(name=values.name, type=kind, nullable=True, categories=categories)


def as_series(scores: Floats) -> pl.Series:
    """Return scores of shape (rows, k) as captures hold them."""
    if scores.shape[1] == 1:
        return pl.Series("_score", scores[:, 0], dtype=pl.Float64)
    return pl.Series("_score", scores).cast(pl.List(pl.Float64))


def _refuse(name: str, lines: pl.Series, wrong: pl.Series, found: pl.Series, wanted: str) -> None:
    """Raise for the first wrong row, by its line."""
    if not wrong.any():
        return
    row = wrong.arg_max() if wrong.dtype == pl.Boolean else 0
    line, value = lines[row or 0], found[row or 0]
    shown = repr(value.to_list() if isinstance(value, pl.Series) else value)[:80]
    raise BadInputError(
        f"{name}, line {line}: {wanted}, found {shown} in column {found.name!r}."
        " Nothing of it was taken.",
        field=found.name or "rows",
    )

"""Profile a frame, or a stream of frames, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.profiles import Profile, ValueKind
from mainspring.numerics import comoments, distinct, frequent, merging, tallies
from mainspring.numerics.merging import Moving
from mainspring.numerics.tallies import Tally

#: Rows looked at together. Each costs 8 bytes a column for as long as that takes.
PORTION = 65_536

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_DATED = r"^\d{4}-\d{2}-\d{2}"
#: A whole number as it is written: without a leading zero, which makes it a name (a postcode).
_WHOLE = r"^[+-]?(0|[1-9]\d*)$"
_LEADING_ZERO = r"^[+-]?0\d"


class Profiler:
    """Takes rows portion by portion and says what they were.

    Text is read value by value: what is written as a number, a time (ISO 8601) or true and
    false counts as such, so that a file of texts (CSV) and one of types (Parquet) have the same
    profile. A column that a portion lacks is missing in its rows.

    Args:
        correlations: the number of columns whose correlations are taken at most, in the order
            of the columns; 0 for none. The work grows with its square.

    Example:
        >>> profiler = Profiler()
        >>> profiler.add(pl.DataFrame({"x": [1, 2], "city": ["Ulm", None]}))
        >>> [(column.name, column.kind) for column in profiler.profile().columns]
        [('x', 'Integral'), ('city', 'String')]
    """

    def __init__(self, *, correlations: int = comoments.MOST_COLUMNS) -> None:
        self.rows = 0
        self._tallies: dict[str, Tally] = {}
        self._most = correlations
        self._moving: Moving | None = None
        self._left_out = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take further rows."""
        if frame.height == 0:
            self._add(frame)
        for part in frame.iter_slices(PORTION):
            self._add(part)

    def profile(self) -> Profile:
        """Return the profile of all rows so far."""
        columns = [tallies.finish(name, tally) for name, tally in self._tallies.items()]
        moving = self._moving
        if moving is not None:
            kinds = {column.name: column.kind for column in columns}
            numbers = {name for name, kind in kinds.items() if kind in ("Integral", "Fractional")}
            moving = _of_numbers(moving, numbers, self._why())
        return merging.assemble(self.rows, columns, moving)

    def _why(self) -> str:
        if not self._left_out:
            return ""
        return (
            f"Of the number columns the first {self._most} are compared; {self._left_out} more"
            " are not, for the work grows with the square of them."
        )

    def _add(self, frame: pl.DataFrame) -> None:
        numbers: dict[str, npt.NDArray[np.float64]] = {}
        compared = None if self._moving is None else set(self._moving.columns)
        found = 0
        for name in frame.columns:
            tally = self._tallies.get(name)
            if tally is None:
                tally = tallies.with_missing(Tally(), self.rows) if self.rows else Tally()
            self._tallies[name], values = count_series(tally, frame[name])
            if values is not None:
                found += 1
                if len(numbers) < self._most if compared is None else name in compared:
                    numbers[name] = values
        if compared is None and frame.height:
            self._left_out = found - len(numbers)
        for name, tally in self._tallies.items():
            if name not in frame.columns:
                self._tallies[name] = tallies.with_missing(tally, frame.height)
        self._move(numbers, frame.height)
        self.rows += frame.height

    def _move(self, numbers: dict[str, npt.NDArray[np.float64]], rows: int) -> None:
        """Add what the number columns do together.

        A column that was all missing so far, or is now, is counted as missing there: which
        columns are compared is settled by the first portion that has numbers.
        """
        if self._moving is None:
            names = list(numbers)
            if not names or not rows:
                return
        else:
            names = list(self._moving.columns)
        empty = np.full(rows, np.nan)
        matrix = np.column_stack([numbers.get(name, empty) for name in names])
        found = comoments.of_rows(matrix)
        if self._moving is not None:
            found = comoments.merge(self._moving.moments, found)
        self._moving = Moving(tuple(names), found)


def profile_frames(
    frames: Iterable[pl.DataFrame], *, correlations: int = comoments.MOST_COLUMNS
) -> Profile:
    """Return the profile of a stream of frames.

    >>> profile_frames([pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [2]})]).rows
    2
    """
    profiler = Profiler(correlations=correlations)
    for frame in frames:
        profiler.add(frame)
    return profiler.profile()


def count_series(tally: Tally, column: pl.Series) -> tuple[Tally, npt.NDArray[np.float64] | None]:
    """Return the tally with a column's values, and the numbers among them by row, if any.

    Lists, structs and bytes are counted by their text.
    """
    kind = column.dtype
    if kind == pl.Null:
        return tallies.with_missing(tally, column.len()), None
    if kind in _TEXT:
        return _texts(tally, column.cast(pl.String))
    if kind == pl.Boolean:
        return _booleans(tally, column), None
    if kind.is_temporal() and kind not in (pl.Duration, pl.Time):
        return _times(tally, column), None
    if kind.is_numeric() or kind == pl.Duration:
        return _numbers(tally, column)
    text = pl.Series(column.name, [None if v is None else str(v) for v in column], pl.String)
    here = text.drop_nulls()
    return _named(tallies.with_missing(tally, text.len() - here.len()), here), None


def _numbers(tally: Tally, column: pl.Series) -> tuple[Tally, npt.NDArray[np.float64]]:
    if column.dtype == pl.Duration:
        column = column.dt.total_microseconds() / 1e6
    kind: ValueKind = "Integral" if column.dtype.is_integer() else "Fractional"
    # A series with nulls becomes an array with NaN.
    floats = np.asarray(column.cast(pl.Float64).to_numpy(), dtype=np.float64)
    if kind == "Fractional" or column.dtype == pl.UInt128:
        return tallies.with_numbers(tally, floats, kind), floats
    here = column.drop_nulls() if column.null_count() else column
    if column.dtype == pl.Int128:
        here = here.cast(pl.Int64, strict=False)
        if here.null_count():
            return tallies.with_numbers(tally, floats, kind), floats
    tally = tallies.with_missing(tally, column.len() - here.len())
    return tallies.with_numbers(tally, here.to_numpy(), kind), floats


def _times(tally: Tally, column: pl.Series) -> Tally:
    values = seconds(column)
    return tallies.with_numbers(tally, values, "Time")


def seconds(column: pl.Series) -> npt.NDArray[np.float64]:
    """Return dates and times as UTC seconds, NaN where there is none; without a zone it is UTC."""
    micros = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
    stamps = micros.dt.timestamp("us").cast(pl.Float64)
    return np.asarray(stamps.to_numpy(), dtype=np.float64) / 1e6


def _booleans(tally: Tally, column: pl.Series) -> Tally:
    here = column.drop_nulls()
    tally = tallies.with_missing(tally, column.len() - here.len())
    true = int(here.sum())
    counts = {name: n for name, n in (("false", here.len() - true), ("true", true)) if n}
    if not counts:
        return tally
    names = list(counts)
    hashes = distinct.hash_texts("".join(names).encode(), [len(name) for name in names])
    repeats = np.array(list(counts.values()), dtype=np.int64)
    known = frequent.Frequent(counts, here.len())
    return tallies.with_texts(tally, known, hashes, repeats, "Boolean")


def _texts(tally: Tally, column: pl.Series) -> tuple[Tally, npt.NDArray[np.float64] | None]:
    """Count texts, each as what it is written as."""
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() == column.len():
        return _wordings(tally, column), None
    named = column.str.contains(_LEADING_ZERO).fill_null(value=False) & numbers.is_not_null()
    if named.any():
        numbers = numbers.set(named, None)
    told = numbers.is_not_null()
    rest = column.filter(~told)
    whole = column.str.contains(_WHOLE).fill_null(value=False) & told
    exact = column.filter(whole).cast(pl.Int64, strict=False)
    if exact.null_count() == 0:
        tally = tallies.with_numbers(tally, exact.to_numpy(), "Integral")
    else:
        tally = tallies.with_numbers(tally, numbers.filter(whole).to_numpy(), "Integral")
    broken = numbers.filter(told & ~whole)
    if broken.len():
        tally = tallies.with_numbers(tally, broken.to_numpy(), "Fractional")
    floats = np.asarray(numbers.to_numpy(), dtype=np.float64)
    return (_wordings(tally, rest) if rest.len() else tally), floats


def _wordings(tally: Tally, column: pl.Series) -> Tally:
    """Count texts that are no numbers: times, booleans, and the rest."""
    here = column.drop_nulls()
    tally = tallies.with_missing(tally, column.len() - here.len())
    if here.len() == 0:
        return tally
    dated = here.str.contains(_DATED)
    if dated.any():
        stamps = read_times(here.filter(dated))
        known = stamps.is_not_null()
        tally = tallies.with_numbers(tally, seconds(stamps.drop_nulls()), "Time")
        here = pl.concat([here.filter(~dated), here.filter(dated).filter(~known)])
    yes, no = here.is_in(_TRUE), here.is_in(_FALSE)
    if yes.any() or no.any():
        said = yes | no
        tally = _booleans(tally, yes.filter(said))
        here = here.filter(~said)
    return _named(tally, here)


def read_times(texts: pl.Series) -> pl.Series:
    """Return ISO 8601 texts as UTC times, null for what is none."""
    plain = texts.str.replace("T", " ", literal=True)
    whole = plain.str.replace(r"(Z|\+00:?00)$", "")
    found = whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        if found.null_count():
            more = whole.str.to_datetime(form, strict=False, time_unit="us")
            found = found.zip_with(found.is_not_null(), more)
    if found.null_count():
        days = whole.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
        found = found.zip_with(found.is_not_null(), days)
    if found.null_count():
        zoned = plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
        found = found.zip_with(found.is_not_null(), zoned.dt.replace_time_zone(None))
    return found


def text_hashes(texts: pl.Series) -> distinct.Hashes:
    """Return the hash of each text of a series without nulls."""
    return distinct.hash_texts(
        str(texts.str.join("").item()).encode(), texts.str.len_bytes().to_numpy()
    )


def _named(tally: Tally, here: pl.Series) -> Tally:
    """Count texts by their name. A frame counts its own values far faster than Python could."""
    if here.len() == 0:
        return tally
    counted = here.rename("").value_counts(name="n")
    names, repeats = counted[""], counted["n"].cast(pl.Int64)
    hashes = text_hashes(names)
    taken = 0
    if names.len() > frequent.MOST:
        # As frequent.merge would, before a million texts become objects.
        taken = int(repeats.sort(descending=True)[frequent.MOST])
        large = repeats > taken
        names, kept = names.filter(large), repeats.filter(large) - taken
    else:
        kept = repeats
    counts = dict(zip(names.to_list(), kept.to_list(), strict=True))
    known = frequent.Frequent(counts, here.len(), taken)
    return tallies.with_texts(tally, known, hashes, repeats.to_numpy())


def _of_numbers(moving: Moving, numbers: set[str], why: str) -> Moving | None:
    """Return the moments of the columns that turned out to be numbers."""
    kept = [place for place, name in enumerate(moving.columns) if name in numbers]
    if not kept:
        return None
    return merging.picked(moving, kept, why)

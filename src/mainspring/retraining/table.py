"""Turn any table into a stream that can be replayed: periods, a target, columns to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S, Kind
from mainspring.retraining.assemble import seconds
from mainspring.retraining.quick import is_text
from mainspring.retraining.truth import class_texts

Floats = npt.NDArray[np.float64]

LEAST_ROWS = 400
_MOST_PERIODS = 400
_MOST_CLASSES = 50
_WANTED = 30
_LENGTHS = (3600.0, 6 * 3600.0, DAY_S, 7 * DAY_S, 14 * DAY_S, 28 * DAY_S, 91 * DAY_S, 365 * DAY_S)
_PLAIN = (pl.Boolean, pl.Date, pl.Datetime, pl.Time, pl.Duration)

_WEEK = 7 * DAY_S
_OLDEST, _LATEST = -2e9, 2.5e11  # the years 1906 and 9891


@dataclass(frozen=True)
class Stream:
    """Rows in the order of time, cut into periods numbered from 0 without a gap."""

    rows: pl.DataFrame  #: the columns to learn from
    target: npt.NDArray[np.float64]  #: the class's place, or the value
    times: npt.NDArray[np.float64]  #: UTC seconds; without a time a period lasts a week from 0 on
    period: npt.NDArray[np.int64]
    starts: list[str]  #: what each period is called
    begins: npt.NDArray[np.float64]  #: when each period begins, on the clock of ``times``
    length_s: float  #: how long a period lasts
    kind: Kind
    classes: list[str]
    scale: float
    notices: list[str]
    dropped: int

    @property
    def periods(self) -> int:
        """Return how many periods there are."""
        return len(self.starts)


def prepare(
    frame: pl.DataFrame,
    target: str,
    time: str | None,
    kind: Kind | None = None,
    period_s: float | None = None,
) -> Stream:
    """Return the stream of a table.

    Rows without a target are left out and counted; so are rows without a time. Columns that
    only name rows, or hold lists and bytes, are left out with a notice.

    Raises:
        BadInputError: if a column is missing, too few rows remain, the target cannot be
            learnt, or ``period_s`` would make fewer than 8 or more than 400 periods.
    """
    for name in filter(None, (target, time)):
        if name not in frame.columns:
            known = ", ".join(frame.columns[:30])
            raise BadInputError(f"There is no column {name!r}; found {known}.", field=name)
    notices: list[str] = []
    rows, times, dropped = _ordered(frame, target, time, notices)
    if rows.height < LEAST_ROWS:
        raise BadInputError(
            f"A simulation needs at least {LEAST_ROWS} rows with a target, found {rows.height}."
        )
    found = kind or infer_kind(rows[target])
    truth, classes, scale = _truth(rows[target], found)
    if time is None:
        times = times * (_WANTED * _WEEK / times.size)
        period, starts, begins, length = _in_order(times.size)
    else:
        period, starts, begins, length = _periods(times, period_s, notices)
    return Stream(
        rows=rows.select(_columns(rows, target, time, notices)),
        target=truth,
        times=times,
        period=period,
        starts=starts,
        begins=begins,
        length_s=length,
        kind=found,
        classes=classes,
        scale=scale,
        notices=notices,
        dropped=dropped,
    )


def infer_kind(target: pl.Series) -> Kind:
    """Return the task that a target asks for: two values, a few names, or amounts.

    Example:
        >>> infer_kind(pl.Series([0, 1, 1])), infer_kind(pl.Series([0.5, 2.0, 7.25]))
        ('binary', 'regression')
    """
    values = target.n_unique()
    if values <= 2 or target.dtype == pl.Boolean:
        return "binary"
    if is_text(target) or (target.dtype.is_integer() and values <= 20):
        return "multiclass"
    return "regression"


def _ordered(
    frame: pl.DataFrame, target: str, time: str | None, notices: list[str]
) -> tuple[pl.DataFrame, npt.NDArray[np.float64], int]:
    known = pl.col(target).is_not_null()
    if frame.schema[target].is_float():
        known &= pl.col(target).is_finite()
    rows = frame.filter(known)
    dropped = frame.height - rows.height
    if dropped:
        notices.append(f"{dropped} of {frame.height} rows have no {target} and were left out.")
    if time is None:
        notices.append(
            "There is no time column: the order of the rows is taken as time, a period as a week."
        )
        return rows, np.arange(rows.height, dtype=np.float64), dropped
    moments = seconds(rows[time])
    timeless = moments.null_count()
    if timeless:
        notices.append(f"{timeless} rows have no usable {time} and were left out.")
        rows, moments = rows.filter(moments.is_not_null()), moments.drop_nulls()
    order = moments.arg_sort()
    return rows[order], moments.gather(order).to_numpy(), dropped + timeless


def _truth(target: pl.Series, kind: Kind) -> tuple[npt.NDArray[np.float64], list[str], float]:
    if kind == "regression":
        if not (target.dtype.is_numeric() or target.dtype == pl.Boolean):
            raise BadInputError(
                f"Target {target.name!r} holds {target.dtype}; a regression needs numbers.",
                field=target.name,
            )
        values = target.cast(pl.Float64).to_numpy()
        low, high = np.quantile(values, [0.25, 0.75])
        # As a model of ours: the bounded loss is 1 for an error as wide as half of all values.
        return values, [], float(high - low) or float(values.std()) or 1.0
    texts = class_texts(target)
    # By value, so that of 0 and 1, no and yes, false and true the second is the positive one.
    order = target.cast(pl.String) if is_text(target) else target
    classes = class_texts(order.unique().sort()).to_list()
    most = 2 if kind == "binary" else _MOST_CLASSES
    if not 2 <= len(classes) <= most:
        raise BadInputError(
            f"Target {target.name!r} has {len(classes)} values; {kind} needs 2 to {most}.",
            field=target.name,
        )
    places = {name: float(place) for place, name in enumerate(classes)}
    numbers = texts.replace_strict(places, return_dtype=pl.Float64)
    return numbers.to_numpy(), classes, 1.0


def _columns(rows: pl.DataFrame, target: str, time: str | None, notices: list[str]) -> list[str]:
    kept, named, strange = [], [], []
    for name in rows.columns:
        if name in (target, time):
            continue
        values = rows[name]
        if not (values.dtype.is_numeric() or is_text(values) or values.dtype in _PLAIN):
            if values.dtype != pl.Null:
                strange.append(name)
        elif _names_rows(values):
            named.append(name)
        else:
            kept.append(name)
    if named:
        notices.append(f"Left out, as they only name rows: {', '.join(named)}.")
    if strange:
        notices.append(f"Left out, as trees cannot use them: {', '.join(strange)}.")
    if not kept:
        raise BadInputError("No column is left to learn from.")
    return kept


def _names_rows(values: pl.Series) -> bool:
    known = values.len() - values.null_count()
    if is_text(values):
        return known > 0 and values.n_unique() > 0.9 * known
    if not values.dtype.is_integer() or not known == values.len() == values.n_unique():
        return False
    return int(np.ptp(values.to_numpy())) < 10 * known  # a count of rows, not an amount


def _in_order(rows: int) -> tuple[npt.NDArray[np.int64], list[str], Floats, float]:
    cut = np.arange(rows) * _WANTED // rows
    firsts = np.searchsorted(cut, np.arange(_WANTED))
    called = [f"row {int(first)}" for first in firsts]
    begins = np.asarray(firsts * (_WANTED * _WEEK / rows), dtype=np.float64)
    return cut.astype(np.int64), called, begins, _WEEK


def _periods(
    times: Floats, period_s: float | None, notices: list[str]
) -> tuple[npt.NDArray[np.int64], list[str], Floats, float]:
    span = float(times[-1] - times[0])
    if span <= 0:
        raise BadInputError("All rows bear the same time, so there is nothing to replay.")
    length = period_s or _natural(span)
    if not 8 <= np.ceil(span / length) <= _MOST_PERIODS:
        raise BadInputError(
            f"Periods of {length / DAY_S:.3g} days cut the {span / DAY_S:.3g} days of the table "
            f"into {int(np.ceil(span / length))}; 8 to {_MOST_PERIODS} are needed.",
            field="period",
        )
    raw = np.floor((times - times[0]) / length).astype(np.int64)
    filled, dense = np.unique(raw, return_inverse=True)
    empty = int(raw[-1]) + 1 - filled.size
    if empty:
        notices.append(f"{empty} periods without a row were passed over.")
    if filled.size < 8:
        raise BadInputError(
            f"Only {filled.size} periods of {length / DAY_S:.3g} days have rows; 8 are needed.",
            field="period",
        )
    begins = np.asarray(times[0] + filled * length, dtype=np.float64)
    return dense.astype(np.int64), [_called(float(one)) for one in begins], begins, length


def _natural(span: float) -> float:
    """Return the length people count in that gives 20 to 40 periods, else a thirtieth."""
    good = [length for length in _LENGTHS if 20 <= span / length <= 40]
    return good[0] if good else span / _WANTED


def _called(moment: float) -> str:
    """Return a time as people read it; numbers that can be no seconds since 1970 stay numbers."""
    return iso(moment) if _OLDEST <= moment < _LATEST else f"{moment:.6g}"

"""Choose the rows to learn from, and the newest labelled rows to judge by.

The two never overlap: every training row is strictly older than every fresh row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RetrainingPolicy, Signature
from mainspring.retraining.truth import places

LEAST_TRAINING = 50
LEAST_FRESH = 10
#: Where the holdout would take more than this share of the rows, it is made shorter.
_MOST_FRESH = 0.5
#: Where it would hold too few rows, or rows have no time, this share is kept instead.
_SHARE = 0.2
_KEPT = ("_id", "_time", "_version", "_score", "_y")


def assemble(
    joined: pl.DataFrame,
    base: pl.DataFrame | None,
    policy: RetrainingPolicy,
    until: float,
    signature: Signature,
) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return (training rows, fresh rows), or None where there are too few of either.

    ``joined`` are captured rows with their labels (``_time``, ``_y`` or the target, and the raw
    columns); of equal ``_id`` the last counts. ``base`` are rows from before there was traffic:
    raw columns, target and, where the signature has one, the time column. Rows later than
    ``until`` are left out.

    Fresh rows are the captured ones of the newest ``holdout_s`` seconds, at most half of all.
    Training rows are what is older, of the newest ``history_s`` seconds, the newest
    ``max_rows`` of them. Both hold the raw columns, the target in the type of ``base`` (else
    the plainest type its classes allow) and the time column in the type of ``base`` (else in
    seconds). Fresh rows keep ``_id``, ``_time``, ``_version``, ``_score`` and ``_y`` besides.

    Without captured rows it is :func:`first_split` of the base.

    Raises:
        BadInputError: if base and captured rows hold a column in types that do not meet.
    """
    found = split(joined, base, policy, until, signature)
    return None if found is None else (bare(found[0]), found[1])


def split(
    joined: pl.DataFrame,
    base: pl.DataFrame | None,
    policy: RetrainingPolicy,
    until: float,
    signature: Signature,
) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return what :func:`assemble` does, and of training rows also when and whose they are.

    They keep ``_time`` (minus infinity for rows without one) and, where they were captured,
    ``_id`` and ``_version``; both are null for rows of the base.
    """
    captured = joined
    if joined.height:
        captured = _captured(joined, signature, base).filter(pl.col("_time") <= until)
    if captured.height == 0:
        return None if base is None else _split_base(base, policy, until, signature)
    cut = cut_of(captured["_time"].to_numpy(), policy.holdout_s, floor_rows=base is None)
    if cut is None:
        return None
    fresh = captured.filter(pl.col("_time") > cut)
    older = captured.filter(pl.col("_time") <= cut)
    if base is None:
        training = _dated(older, signature, None)
    else:
        training = _with_base(base, older, cut, signature)
    training = _newest(training, policy, float(fresh["_time"].max()))  # type: ignore[arg-type]
    if training.height < LEAST_TRAINING or fresh.height < LEAST_FRESH:
        return None
    return training, _dated(fresh, signature, base)


def first_split(
    base: pl.DataFrame, policy: RetrainingPolicy, signature: Signature
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows from before there was traffic into (training rows, fresh rows).

    By time: the newest ``holdout_s`` seconds are fresh, or the newest fifth where that would be
    too few or more than half. Without a time column a fixed fifth, drawn by the row's place.
    Fresh rows bear ``_time`` and ``_y`` besides.

    Raises:
        BadInputError: if there are too few rows, saying how many were found and needed.
    """
    found = _split_base(base, policy, float("inf"), signature)
    if found is None:
        needed = LEAST_TRAINING + LEAST_FRESH
        raise BadInputError(
            f"Training needs at least {LEAST_TRAINING} rows to learn from and {LEAST_FRESH} to "
            f"judge by, found {base.height} in all.",
            hint=f"Bring at least {needed} rows with a target, from more than one moment.",
        )
    return bare(found[0]), found[1]


def seconds(values: pl.Series) -> pl.Series:
    """Return a column of times as UTC seconds; times without a zone are taken as UTC.

    Numbers are seconds already. Text is read as ISO 8601, null where it is none.

    Raises:
        BadInputError: if the column holds neither times, dates, numbers nor text.
    """
    kind = values.dtype
    if kind.is_numeric():
        found = values.cast(pl.Float64)
        return found.set(~found.is_finite(), None)
    if kind == pl.String:
        values = _read_times(values)
    elif kind == pl.Date:
        values = values.cast(pl.Datetime("us"))
    elif kind != pl.Datetime:
        raise BadInputError(
            f"Column {values.name!r} holds {kind}, which is no time.", field=values.name
        )
    return values.dt.epoch("us").cast(pl.Float64) / 1e6


# ---------------------------------------------------------------- parts


def _read_times(values: pl.Series) -> pl.Series:
    readers: tuple[Callable[[], pl.Series], ...] = (
        lambda: values.str.to_datetime("%+", strict=False, time_zone="UTC"),
        lambda: values.str.to_datetime(strict=False).dt.replace_time_zone("UTC"),
        lambda: values.str.to_date(strict=False).cast(pl.Datetime("us", "UTC")),
    )
    for read in readers:
        try:
            found = read()
        except PolarsError:
            continue  # polars could not tell a format from the first values
        if found.null_count() <= values.null_count() + values.len() // 10:
            return found
    return pl.Series(values.name, [None] * values.len(), dtype=pl.Datetime("us", "UTC"))


def _captured(
    joined: pl.DataFrame, signature: Signature, base: pl.DataFrame | None
) -> pl.DataFrame:
    """Return captured rows by time: raw columns, target, time column and what is kept."""
    rows = joined
    if "_id" in rows.columns:
        rows = rows.unique("_id", keep="last", maintain_order=True)
    rows = rows.filter(pl.col("_time").is_not_null()).sort("_time", maintain_order=True)
    kept = [name for name in _KEPT if name in rows.columns]
    raw = [column.name for column in signature.columns if column.name in rows.columns]
    target = _target(rows, signature, base)
    out = rows.select(*kept, *raw).with_columns(target)
    return out.filter(pl.col(signature.target).is_not_null())


def _target(rows: pl.DataFrame, signature: Signature, base: pl.DataFrame | None) -> pl.Series:
    name = signature.target
    if "_y" not in rows.columns:
        if name not in rows.columns:
            raise BadInputError(f"The labelled rows have no target {name!r}.", field=name)
        values = rows[name]
    elif signature.kind == "regression":
        values = rows["_y"].cast(pl.Float64).alias(name)
    else:
        texts = pl.Series(signature.classes, dtype=pl.String)
        values = _plainest(texts).gather(rows["_y"].cast(pl.Int64)).alias(name)
    if base is None or name not in base.columns or base.schema[name] == values.dtype:
        return values
    return _cast(values, base.schema[name])


def _plainest(texts: pl.Series) -> pl.Series:
    """Return class names as whole numbers or truth values where all of them are."""
    if texts.is_in(["true", "false"]).all():
        return texts == "true"
    for kind in (pl.Int64, pl.Float64):
        numbers = texts.cast(kind, strict=False)
        if numbers.null_count() == 0:
            return numbers
    return texts


def _cast(values: pl.Series, kind: Any) -> pl.Series:
    if kind in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    found = values.cast(kind, strict=False)
    if found.null_count() > values.null_count():
        raise BadInputError(
            f"Labels of {values.name!r} are {values.dtype}, such as {values.drop_nulls()[0]!r}; "
            f"the rows before them hold {kind}.",
            field=values.name,
        )
    return found


def cut_of(times: np.ndarray[Any, Any], holdout_s: float, *, floor_rows: bool) -> float | None:
    """Return the time after which rows are fresh, or None where one moment is all there is."""
    ordered = np.sort(times)
    last, count = float(ordered[-1]), ordered.size
    cut = last - holdout_s
    fresh = count - int(np.searchsorted(ordered, cut, side="right"))
    if floor_rows and fresh > count * _MOST_FRESH:
        cut = float(ordered[int(count * (1 - _MOST_FRESH))])
        fresh = count - int(np.searchsorted(ordered, cut, side="right"))
    if fresh < LEAST_FRESH:
        cut = float(ordered[max(int(count * (1 - _SHARE)) - 1, 0)])
    if cut >= last:  # many rows of the very last moment: all of them are fresh
        before = ordered[ordered < last]
        if before.size == 0:
            return None
        cut = float(before[-1])
    return cut


def _with_base(
    base: pl.DataFrame, older: pl.DataFrame, cut: float, signature: Signature
) -> pl.DataFrame:
    known = _timed(base, signature).filter(pl.col("_time") <= cut)
    captured = _dated(older, signature, base)
    captured = captured.drop([name for name in ("_score", "_y") if name in older.columns])
    for name in set(captured.columns) & set(known.columns):
        before, now = known.schema[name], captured.schema[name]
        if _sort(before) != _sort(now) and pl.Null not in (before, now):
            raise BadInputError(
                f"Column {name!r} holds {before} in the rows from before and {now} in the "
                "captured rows, which do not fit together.",
                field=name,
            )
    return pl.concat([known, captured], how="diagonal_relaxed")


def _sort(kind: pl.DataType) -> str:
    """Return what a column holds, so that text is never glued to numbers."""
    if kind.is_numeric() or kind == pl.Boolean:
        return "number"
    return "text" if kind in (pl.String, pl.Categorical, pl.Enum) else str(kind.base_type())


def _timed(base: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Return base rows with ``_time``; rows without one count as older than all others."""
    name = signature.time
    if name is None or name not in base.columns:
        timed = base.with_columns(pl.lit(float("-inf")).alias("_time"))
    else:
        times = seconds(base[name]).fill_null(float("-inf")).alias("_time")
        timed = base.with_columns(times).sort("_time", maintain_order=True)
    return timed.filter(pl.col(signature.target).is_not_null())


def _dated(rows: pl.DataFrame, signature: Signature, base: pl.DataFrame | None) -> pl.DataFrame:
    """Return rows with the signature's time column, in the type it has in the base."""
    name = signature.time
    if name is None or name in rows.columns:
        return rows
    times = rows["_time"].alias(name)
    kind = base.schema.get(name) if base is not None else None
    if kind is None or kind.is_float():
        return rows.with_columns(times)
    if kind.is_numeric():
        return rows.with_columns(times.round().cast(kind))
    stamps = (times * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    if kind == pl.String:
        return rows.with_columns(stamps.dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias(name))
    if kind == pl.Datetime:
        zone = getattr(kind, "time_zone", None)
        local = stamps.dt.convert_time_zone(zone) if zone else stamps.dt.replace_time_zone(None)
        return rows.with_columns(local.cast(kind).alias(name))
    return rows.with_columns(stamps.dt.replace_time_zone(None).cast(kind).alias(name))


def _newest(training: pl.DataFrame, policy: RetrainingPolicy, last: float) -> pl.DataFrame:
    if policy.history_s is not None:
        training = training.filter(pl.col("_time") > last - policy.history_s)
    return training.sort("_time", maintain_order=True).tail(policy.max_rows)


def bare(training: pl.DataFrame) -> pl.DataFrame:
    """Return training rows without what only tells of them: as a pipeline is given them."""
    return training.drop([name for name in _KEPT if name in training.columns])


def _split_base(
    base: pl.DataFrame, policy: RetrainingPolicy, until: float, signature: Signature
) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    timed = _timed(base, signature).filter(pl.col("_time") <= until)
    dated = timed.filter(pl.col("_time").is_finite())
    if dated.height >= LEAST_FRESH:
        cut = cut_of(dated["_time"].to_numpy(), policy.holdout_s, floor_rows=True)
        if cut is None:
            return None
        training, fresh = timed.filter(pl.col("_time") <= cut), timed.filter(pl.col("_time") > cut)
        training = _newest(training, policy, float(fresh["_time"].max()))  # type: ignore[arg-type]
    else:
        drawn = np.random.default_rng(0).permutation(timed.height) < timed.height * _SHARE
        training, fresh = timed.filter(~drawn).tail(policy.max_rows), timed.filter(drawn)
    truth = places(fresh[signature.target], signature).alias("_y")
    # Rows without a time bear none that could be cut into days: all are of one moment.
    moment = pl.when(pl.col("_time").is_finite()).then("_time").otherwise(0.0).alias("_time")
    fresh = fresh.with_columns(truth, moment).filter(pl.col("_y").is_not_null())
    if training.height < LEAST_TRAINING or fresh.height < LEAST_FRESH:
        return None
    return training, fresh

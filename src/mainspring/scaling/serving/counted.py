"""Count the captured rows of versions by day and name the newest, one file at a time.

What is held is one file and the newest rows, however many were captured; and of very many only the
newest are counted, which is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from mainspring.scaling.serving import capture, segments
from mainspring.scaling.serving.segments import PLAIN

DAY_S = 86_400.0
#: Event times that a calendar has. A client may say any: its rows count on the outermost day.
CALENDAR = (-62_135_596_800.0, 253_402_214_400.0)
_TRIES = 20  # a file may be sealed or folded between our looking and our reading
_COLUMNS = ("_boot", "_n", "_time", "_version")
_EMPTY = pl.DataFrame(schema={"_id": pl.String, "_time": pl.Float64})


class Counted(msgspec.Struct, frozen=True):
    """What one version answered."""

    number: int
    rows: int
    first: float  #: event time, UTC seconds
    last: float
    days: dict[float, int]  #: rows by the second at which their UTC day begins, the oldest first
    newest: list[tuple[str, float]]  #: id and event time, the newest first


class Count(msgspec.Struct, frozen=True):
    """What some versions answered, from an event time on."""

    since: float
    whole: bool  #: false: there are more rows than are counted, and ``since`` is later than asked
    versions: list[Counted]


def count(
    folder: Path, since: float, numbers: Collection[int], *, ids: int, most_rows: int
) -> Count:
    """Return what versions answered at an endpoint with event times from ``since`` on.

    ``ids`` rows of each version are named. Files are looked at newest first, and no further than
    ``most_rows`` rows: then ``since`` is as far back as all rows were counted.
    """
    for attempt in range(_TRIES):
        try:
            return _count(folder, since, numbers, ids, most_rows)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the loop above returns or raises


def _count(
    folder: Path, since: float, numbers: Collection[int], ids: int, most_rows: int
) -> Count:
    begins = _begins(folder, since, most_rows)
    wanted = (pl.col("_time") >= begins) & pl.col("_version").is_in(list(numbers))
    if (folder / capture.FED).exists():  # two rows of one id are one, which no file can know
        rows = capture.read(folder, begins, None, []).filter(wanted).select("_id", *_COLUMNS[2:])
        parts = iter([rows])
    else:
        parts = (_named(part.filter(wanted)) for part in _parts(folder, begins))
    days: list[pl.DataFrame] = []
    newest = dict.fromkeys(numbers, _EMPTY)
    for part in parts:
        if not part.height:
            continue
        days.append(_by_day(part))
        for mine in part.partition_by("_version"):
            number = int(mine["_version"][0])
            both = pl.concat([newest[number], mine.select("_id", "_time")])
            newest[number] = both.top_k(ids, by=["_time", "_id"])
    return Count(begins, begins == since, _joined(days, newest))


def _begins(folder: Path, since: float, most_rows: int) -> float:
    """Return from when on at most ``most_rows`` rows have to be looked at."""
    behind = sorted(capture.spans(folder, since), reverse=True)
    seen = 0
    for number, (high, rows) in enumerate(behind):
        seen += rows
        if seen > most_rows and number:
            return float(np.nextafter(high, np.inf))
    return since


def _parts(folder: Path, since: float) -> Iterator[pl.DataFrame]:
    if not folder.is_dir():
        return
    folded, late = capture.files(folder, since)
    for file in folded:
        yield pl.scan_parquet(file).select(_COLUMNS).collect()
    for path in late:
        yield from (rows.select(_COLUMNS) for rows in segments.rows_of(path))


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    numbered = pl.format("{}-{}", "_boot", "_n")
    named = pl.when(pl.col("_n") == PLAIN).then("_boot").otherwise(numbered).alias("_id")
    return rows.select(named, "_time", "_version")


def _by_day(rows: pl.DataFrame) -> pl.DataFrame:
    time = pl.col("_time")
    day = ((time / DAY_S).floor() * DAY_S).clip(*CALENDAR).alias("day")
    return rows.group_by("_version", day).agg(
        pl.len().cast(pl.Int64).alias("rows"), time.min().alias("low"), time.max().alias("high")
    )


def _joined(days: list[pl.DataFrame], newest: dict[int, pl.DataFrame]) -> list[Counted]:
    if not days:
        return []
    found = pl.concat(days).sort("_version", "day")
    several = found.group_by("_version", "day", maintain_order=True).agg(
        pl.col("rows").sum(), pl.col("low").min(), pl.col("high").max()
    )
    told = []
    for mine in several.partition_by("_version", maintain_order=True):
        number = int(mine["_version"][0])
        named = newest[number].sort("_time", "_id", descending=True)
        told.append(
            Counted(
                number=number,
                rows=int(mine["rows"].sum()),
                first=float(mine["low"].min()),  # type: ignore[arg-type]
                last=float(mine["high"].max()),  # type: ignore[arg-type]
                days=dict(zip(mine["day"].to_list(), mine["rows"].to_list(), strict=True)),
                newest=list(zip(named["_id"].to_list(), named["_time"].to_list(), strict=True)),
            )
        )
    return told

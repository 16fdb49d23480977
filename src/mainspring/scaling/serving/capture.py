"""The capture log of an endpoint: what was asked, who answered what, and by which id.

An endpoint's process writes (:class:`CaptureWriter`), the engine folds and reads. Both work on
one folder: ``*.open`` is being written, ``*.seg`` is sealed, ``*.parquet`` is folded.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.scaling.serving import damage, segments, shelf
from mainspring.scaling.serving.index import Kept, Use, use
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import (
    ABOUT,
    AHEAD_S,
    EMPTY,
    KEPT,
    OPEN,
    PLAIN,
    SEALED,
    Batch,
    Span,
)
from mainspring.scaling.serving.shelf import Dropped, compact, enforce_budget, seal_orphans

__all__ = [
    "AHEAD_S",
    "Batch",
    "CaptureWriter",
    "Dropped",
    "Use",
    "compact",
    "enforce_budget",
    "files",
    "oldest",
    "read",
    "seal_orphans",
    "sealed",
    "spans",
    "use",
    "watermark",
]

FED = "fed"  #: a file of this name marks a folder whose rows came with ids of their own

_TRIES = 20  # a file may be sealed or folded between our looking and our reading

# How far each open segment is known, by path: (bytes seen, span, mark). Only its end is read anew.
_open_spans: dict[Path, tuple[int, Span, float]] = {}
# The mark of sealed segments that had to be opened to know it.
_marks: dict[str, float] = {}
_lock = threading.Lock()


def read(
    folder: Path,
    since: float | None = None,
    until: float | None = None,
    columns: list[str] | None = None,
    *,
    about: bool = False,
) -> pl.DataFrame:
    """Return the captured rows with since <= event time < until, each exactly once.

    Columns: ``_id`` (prediction id), ``_time`` (event time), ``_received``, ``_version`` (who
    answered), ``_score`` (a number, or a list of one probability a class), ``_other_version``
    and ``_other_score`` (the counterpart of a rollout, null where there was none), then the raw
    columns, or those of them named in ``columns``. Files outside the span are not opened.

    Where rows were fed with ids of their own, two of one id in the span are one: the first.
    ``_share`` is there where rows were drawn (null: all were recorded). With ``about`` each row
    also tells ``_ms`` (how long its request took), ``_role`` (champion or challenger answered),
    and the client's own ids, ``_inference`` and ``_request``; null where they are not known.

    A file whose bytes are not what was written is left out, set aside and counted.
    """
    for attempt in range(_TRIES):
        try:
            return _read(folder, since, until, columns, about=about)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the loop above returns or raises


def watermark(folder: Path) -> float | None:
    """Return the newest event time captured, or None before the first row. Cheap to ask.

    A row counts no further than :data:`AHEAD_S` past the moment it was received, so that one
    clock that jumped does not end every window (:func:`segments.mark_of`).
    """
    index, spans = _spans(folder)
    marks = [mark for span, mark in spans if span.rows]
    if index.newest is not None:
        marks.append(index.newest)
    return max(marks, default=None)


def oldest(folder: Path) -> float | None:
    """Return the oldest event time that can still be read, or None if there is no row."""
    index, spans = _spans(folder)
    lows = [span.low for span, _ in spans if span.rows]
    lows += [file.low for file in index.files]
    return min(lows, default=None)


def times(folder: Path, since: float | None, until: float) -> npt.NDArray[np.float64]:
    """Return the event times of the rows with since <= event time <= until, ascending."""
    found = read(folder, since, np.nextafter(until, np.inf), [])["_time"]
    return np.asarray(found.sort().to_numpy(), dtype=np.float64)


def rows_since(folder: Path, since: float | None) -> int:
    """Return a bound on the rows from an event time on: never too few. Cheap to ask."""
    return sum(rows for _, rows in spans(folder, since))


def spans(folder: Path, since: float | None) -> list[tuple[float, int]]:
    """Return the newest event time and the rows of each file that reaches back to ``since``."""
    low = float("-inf") if since is None else since
    index, several = _spans(folder)
    kept = [(file.high, file.rows) for file in index.files if file.high >= low]
    return kept + [(span.high, span.rows) for span, _ in several if span.high >= low]


def files(folder: Path, since: float) -> tuple[list[Path], list[Path]]:
    """Return the folded files and the segments that reach back to ``since``, oldest first.

    One that cannot be found when it is opened was sealed or folded meanwhile: look again.
    """
    paths = _segments(folder)
    index = shelf.read_index(folder)  # after the segments: see :func:`_read`
    spans_ = [
        (path, segments.span_in(path.name)) for path in paths if path.name not in index.folded
    ]
    late = [path for path, span in spans_ if span is None or span.high >= since]
    return [
        folder / file.name for file in _sound(folder, index, lambda one: one.high >= since)
    ], late


def came_late(folder: Path, before: float, received_after: float) -> npt.NDArray[np.float64]:
    """Return the event times of rows before ``before`` that were received after a moment."""
    wanted = (pl.col("_time") < before) & (pl.col("_received") > received_after)

    def worth(low: float, high: float, received: float | None) -> bool:  # noqa: ARG001
        return low < before and (received is None or received > received_after)

    return _times_of(folder, wanted, worth)


def ahead(folder: Path, since: float) -> int:
    """Return how many rows from an event time on lie beyond the clock that received them."""
    wanted = (pl.col("_time") >= since) & (pl.col("_time") > pl.col("_received") + AHEAD_S)

    def worth(low: float, high: float, received: float | None) -> bool:  # noqa: ARG001
        return high >= since

    return len(_times_of(folder, wanted, worth))


def next_time(folder: Path, since: float) -> float | None:
    """Return the oldest event time that is not before ``since``; None if there is none."""

    def worth(low: float, high: float, received: float | None) -> bool:  # noqa: ARG001
        return high >= since

    found = _times_of(folder, pl.col("_time") >= since, worth)
    return float(found[0]) if len(found) else None


def _times_of(
    folder: Path, wanted: pl.Expr, worth: Callable[[float, float, float | None], bool]
) -> npt.NDArray[np.float64]:
    """Return the event times of the rows wanted, ascending, from the files worth a look."""
    if not folder.is_dir():
        return np.empty(0)
    for attempt in range(_TRIES):
        try:
            return _picked(folder, wanted, worth)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the loop above returns or raises


def _picked(
    folder: Path, wanted: pl.Expr, worth: Callable[[float, float, float | None], bool]
) -> npt.NDArray[np.float64]:
    paths = _segments(folder)
    index = shelf.read_index(folder)
    parts = [
        pl.scan_parquet(folder / file.name).filter(wanted).select("_time").collect()
        for file in _sound(folder, index, lambda one: worth(one.low, one.high, one.received))
    ]
    for path in paths:
        span = segments.span_in(path.name)
        if path.name not in index.folded and (span is None or worth(span.low, span.high, None)):
            parts += [rows.filter(wanted).select("_time") for rows in segments.rows_of(path)]
    return np.sort(pl.concat(parts)["_time"].to_numpy()) if parts else np.empty(0)


def there(folder: Path, ids: pl.Series) -> pl.Series:
    """Return of each prediction id whether a row of it was captured and is still there."""
    for attempt in range(_TRIES):
        try:
            return _there(folder, ids)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the loop above returns or raises


def _there(folder: Path, ids: pl.Series) -> pl.Series:
    wanted = pl.DataFrame(segments.split_ids(ids)).with_row_index("_place")
    found = pl.zeros(ids.len(), pl.Boolean, eager=True)
    if not folder.is_dir():
        return found
    paths = _segments(folder)
    index = shelf.read_index(folder)
    boots = wanted["_boot"].unique()
    keys = ["_boot", "_n"]

    def parts() -> Iterator[pl.DataFrame]:
        for file in _sound(folder, index, lambda _: True):
            scan = pl.scan_parquet(folder / file.name).select(keys)
            yield scan.filter(pl.col("_boot").is_in(boots.implode())).collect()
        for path in paths:
            if path.name not in index.folded:
                yield from (rows.select(keys) for rows in segments.rows_of(path))

    for part in parts():
        if part.height:
            places = wanted.join(part, on=keys, how="semi")["_place"]
            found = found.scatter(places, values=True)
    return found


def sealed(folder: Path) -> list[str]:
    """Return the names of segments that wait to be folded, oldest first.

    Segments of writers that died are sealed on the way.
    """
    if not folder.is_dir():
        return []
    if any(folder.glob(f"*{OPEN}")):
        seal_orphans(folder)
    folded = set(shelf.read_index(folder).folded)
    return sorted(path.name for path in folder.glob(f"*{SEALED}") if path.name not in folded)


def _read(
    folder: Path,
    since: float | None,
    until: float | None,
    columns: list[str] | None,
    *,
    about: bool,
) -> pl.DataFrame:
    low = float("-inf") if since is None else since
    high = float("inf") if until is None else until
    if not folder.is_dir():
        return _finish([], columns, about=about)
    # Segments are listed before the index is read: one folded in between is then in both, and
    # the index says so. The other way round it would be in neither.
    paths = _segments(folder)
    index = shelf.read_index(folder)
    wanted = pl.col("_time").is_between(low, high, closed="left")
    parts = [
        _scan(folder / file.name, columns, about=about).filter(wanted).collect()
        for file in _sound(folder, index, lambda one: one.low < high and one.high >= low)
    ]
    for path in paths:
        span = segments.span_in(path.name)
        apart = span is not None and (span.low >= high or span.high < low)
        if path.name not in index.folded and not apart:
            parts += [rows.filter(wanted) for rows in segments.rows_of(path)]
    if {file.name for file in index.files} - {p.name for p in folder.glob("*.parquet")}:
        raise FileNotFoundError(folder)
    rows = _finish([part for part in parts if part.height], columns, about=about)
    if (folder / FED).exists():
        return rows.unique("_id", keep="first", maintain_order=True)
    return rows


def _sound(folder: Path, index: shelf.Index, wanted: Callable[[Kept], bool]) -> list[Kept]:
    """Return the files wanted that hold what was written; others are set aside."""
    good, bad = damage.sound(folder, [file for file in index.files if wanted(file)])
    if bad:
        # A disk that cannot be written is no reason not to read what is sound on it.
        with contextlib.suppress(OSError):
            shelf.quarantine(folder, [file.name for file in bad])
    return good


_OWN = ("_time", "_received", "_version", "_score", "_other_version", "_other_score")


def _scan(path: Path, columns: list[str] | None, *, about: bool) -> pl.LazyFrame:
    scan = pl.scan_parquet(path)
    if columns is None and about:
        return scan
    own = {*KEPT, *_OWN, *(ABOUT if about else ("_share",))}
    return scan.select(
        name
        for name in scan.collect_schema().names()
        if name in own or (name not in ABOUT and (columns is None or name in columns))
    )


def _finish(parts: list[pl.DataFrame], columns: list[str] | None, *, about: bool) -> pl.DataFrame:
    if parts:
        rows = pl.concat(parts, how="diagonal_relaxed")
    else:
        scores = {"_score": pl.Float64, "_other_score": pl.Float64}
        rows = pl.DataFrame(schema={**KEPT, **scores})
    numbered = pl.format("{}-{}", "_boot", "_n")
    ids = pl.when(pl.col("_n") == PLAIN).then("_boot").otherwise(numbered).alias("_id")
    told = [name for name in ("_share",) if name in rows.columns]
    if about:
        lacking = [name for name in ABOUT if name not in rows.columns]
        rows = rows.with_columns(pl.lit(None, dtype=ABOUT[name]).alias(name) for name in lacking)
        told = list(ABOUT)
    raw = [name for name in rows.columns if name not in {*_OWN, *ABOUT, "_boot", "_n"}]
    if columns is not None:
        raw = [name for name in raw if name in columns]
    return rows.select(ids, *_OWN, *told, *raw)


def _segments(folder: Path) -> list[Path]:
    """Return the segments that are there, those that are being written looked for first.

    One that is sealed while we look is then found by both names, and opening it by the old one
    says that it has to be looked for again. The other way round it would be found by neither,
    and its rows would be missing in silence.
    """
    writing = list(folder.glob(f"*{OPEN}"))
    return sorted([*folder.glob(f"*{SEALED}"), *writing])


def _spans(folder: Path) -> tuple[shelf.Index, list[tuple[Span, float]]]:
    """Return the index, and of each segment that is not folded how far it reaches and its mark.

    A mark is how far a segment moves the watermark.
    """
    for _ in range(_TRIES):
        paths = _segments(folder) if folder.is_dir() else []
        index = shelf.read_index(folder)  # after the segments: see :func:`_read`
        folded = set(index.folded)
        try:
            return index, [
                (_open_span if path.suffix == OPEN else _sealed_span)(path)
                for path in paths
                if path.name not in folded
            ]
        except FileNotFoundError:  # sealed or folded meanwhile
            continue
    raise FileNotFoundError(folder)


def _sealed_span(path: Path) -> tuple[Span, float]:
    span = segments.span_in(path.name) or EMPTY
    opened = path.name.partition("-")[0]
    # Received after the file was opened: so much is certain without a look into it.
    if opened.isdecimal() and span.high <= int(opened) / 1000 + AHEAD_S:
        return span, span.high
    with _lock:
        known = _marks.get(path.name)
    if known is None:
        known = segments.mark_of(segments.rows_of(path))
        known = -np.inf if known is None else known
        with _lock:
            if len(_marks) > 1000:
                _marks.clear()
            _marks[path.name] = known
    return span, known


def _open_span(path: Path) -> tuple[Span, float]:
    """Return how far an open segment reaches, reading only what was added since the last look."""
    with _lock:
        seen, span, mark = _open_spans.get(path, (0, EMPTY, -np.inf))
    try:
        with path.open("rb") as file:
            file.seek(seen)
            data = file.read()
    except FileNotFoundError:
        with _lock:
            _open_spans.pop(path, None)
        raise
    end = 0
    for rows, behind in segments.frames(data):
        span = span.joined(segments.span_of([rows]))
        moved = segments.mark_of([rows])
        mark = mark if moved is None else max(mark, moved)
        end = behind
    with _lock:
        if len(_open_spans) > 1000:
            _open_spans.clear()
        _open_spans[path] = (seen + end, span, mark)
    return span, mark

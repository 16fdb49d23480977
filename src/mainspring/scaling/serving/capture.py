"""The capture log of an endpoint: what was asked, who answered what, and by which id.

An endpoint's process writes (:class:`CaptureWriter`), the engine folds and reads. Both work on
one folder: ``*.open`` is being written, ``*.seg`` is sealed, ``*.parquet`` is folded.
"""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl

from mainspring.scaling.serving import segments, shelf
from mainspring.scaling.serving.index import Use, use
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import EMPTY, KEPT, OPEN, SEALED, Batch, Span
from mainspring.scaling.serving.shelf import Dropped, compact, enforce_budget, seal_orphans

__all__ = [
    "Batch",
    "CaptureWriter",
    "Dropped",
    "Use",
    "compact",
    "enforce_budget",
    "oldest",
    "read",
    "seal_orphans",
    "sealed",
    "use",
    "watermark",
]

_TRIES = 20  # a file may be sealed or folded between our looking and our reading

# How far each open segment is known, by path: (bytes seen, span). Only its end is read anew.
_open_spans: dict[Path, tuple[int, Span]] = {}
_lock = threading.Lock()


def read(
    folder: Path,
    since: float | None = None,
    until: float | None = None,
    columns: list[str] | None = None,
) -> pl.DataFrame:
    """Return the captured rows with since <= event time < until, each exactly once.

    Columns: ``_id`` (prediction id), ``_time`` (event time), ``_received``, ``_version`` (who
    answered), ``_score`` (a number, or a list of one probability a class), ``_other_version``
    and ``_other_score`` (the counterpart of a rollout, null where there was none), then the raw
    columns, or those of them named in ``columns``. Files outside the span are not opened.
    """
    for attempt in range(_TRIES):
        try:
            return _read(folder, since, until, columns)
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError  # the loop above returns or raises


def watermark(folder: Path) -> float | None:
    """Return the newest event time captured, or None before the first row. Cheap to ask."""
    newest = shelf.read_index(folder).newest
    highs = [span.high for span in _segment_spans(folder) if span.rows]
    if newest is not None:
        highs.append(newest)
    return max(highs, default=None)


def oldest(folder: Path) -> float | None:
    """Return the oldest event time that can still be read, or None if there is no row."""
    lows = [span.low for span in _segment_spans(folder) if span.rows]
    lows += [file.low for file in shelf.read_index(folder).files]
    return min(lows, default=None)


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
    folder: Path, since: float | None, until: float | None, columns: list[str] | None
) -> pl.DataFrame:
    low = float("-inf") if since is None else since
    high = float("inf") if until is None else until
    if not folder.is_dir():
        return _finish([], columns)
    # Segments are listed before the index is read: one folded in between is then in both, and
    # the index says so. The other way round it would be in neither.
    paths = sorted([*folder.glob(f"*{SEALED}"), *folder.glob(f"*{OPEN}")])
    index = shelf.read_index(folder)
    wanted = pl.col("_time").is_between(low, high, closed="left")
    parts = [
        pl.scan_parquet(folder / file.name).filter(wanted).collect()
        for file in index.files
        if file.low < high and file.high >= low
    ]
    for path in paths:
        span = segments.span_in(path.name)
        apart = span is not None and (span.low >= high or span.high < low)
        if path.name not in index.folded and not apart:
            parts += [rows.filter(wanted) for rows in segments.rows_of(path)]
    if {file.name for file in index.files} - {p.name for p in folder.glob("*.parquet")}:
        raise FileNotFoundError(folder)
    return _finish([part for part in parts if part.height], columns)


def _finish(parts: list[pl.DataFrame], columns: list[str] | None) -> pl.DataFrame:
    if parts:
        rows = pl.concat(parts, how="diagonal_relaxed")
    else:
        scores = {"_score": pl.Float64, "_other_score": pl.Float64}
        rows = pl.DataFrame(schema={**KEPT, **scores})
    ids = pl.format("{}-{}", "_boot", "_n").alias("_id")
    own = ["_time", "_received", "_version", "_score", "_other_version", "_other_score"]
    raw = [name for name in rows.columns if name not in {*own, "_boot", "_n"}]
    if columns is not None:
        raw = [name for name in raw if name in columns]
    return rows.select(ids, *own, *raw)


def _segment_spans(folder: Path) -> list[Span]:
    if not folder.is_dir():
        return []
    folded = set(shelf.read_index(folder).folded)
    spans = [
        segments.span_in(path.name) or EMPTY
        for path in folder.glob(f"*{SEALED}")
        if path.name not in folded
    ]
    return spans + [_open_span(path) for path in folder.glob(f"*{OPEN}")]


def _open_span(path: Path) -> Span:
    """Return how far an open segment reaches, reading only what was added since the last look."""
    with _lock:
        seen, span = _open_spans.get(path, (0, EMPTY))
    try:
        with path.open("rb") as file:
            file.seek(seen)
            data = file.read()
    except FileNotFoundError:  # sealed meanwhile: its name says it at the next look
        with _lock:
            _open_spans.pop(path, None)
        return span
    end = 0
    for rows, behind in segments.frames(data):
        span = span.joined(segments.span_of([rows]))
        end = behind
    with _lock:
        if len(_open_spans) > 1000:
            _open_spans.clear()
        _open_spans[path] = (seen + end, span)
    return span

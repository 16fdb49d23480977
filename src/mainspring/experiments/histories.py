"""Where the points of metrics are: packed chunks first, then the rows that came since.

Many points at once become a chunk. Single ones, as a server gets them, are rows until there are
enough of them. Chunks of a key grow like a binary counter: a new one takes in those before it
that are no larger, so that a key has few of them however its points came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import delete, func, insert, select, tuple_

from mainspring.experiments.chunks import Series, joined, pack, unpack
from mainspring.experiments.tables import metric_chunks, metric_points
from mainspring.ground.ports import Tx

FULL = 65_536  #: points in a chunk that grows no more; 1 MB
LONG_TAIL = 1_024  #: rows of a key that are worth a chunk
ENDED_TAIL = 64  #: rows that are, once their run has ended
_AT_ONCE = 200  # pairs in one statement; SQLite takes a bounded number of variables

Of = tuple[str, str]  #: a run and the key of one of its metrics


def add(tx: Tx, added: Mapping[Of, Series], fresh: Collection[str] = ()) -> None:
    """Append points to histories, as chunks.

    ``fresh`` are runs that this transaction made, so that nothing of them need be looked for.
    """
    old = [of for of in added if of[0] not in fresh]
    chunks, tails = _chunks(tx, old), _take_tails(tx, old)
    rows: list[dict[str, Any]] = []
    merged: dict[Of, list[int]] = {}
    for of, series in added.items():
        if of in tails:
            series = joined([tails[of], series])  # noqa: PLW2901  what stood in the tail is first
        before = chunks.get(of, [])
        total = sum(count for _, count in before)
        taken: list[int] = []
        size = len(series)
        while before and before[-1][1] <= size and before[-1][1] + size <= FULL:
            first, count = before.pop()
            taken.insert(0, first)
            size += count
        if taken:
            merged[of] = taken
        rows.append({"of": of, "first": taken[0] if taken else total, "series": series})
    there = _unpacked(tx, merged)
    _drop(tx, merged)
    cells: list[dict[str, Any]] = []
    for row in rows:
        parts = [there[row["of"], first] for first in merged.get(row["of"], [])]
        cells += _cells(row["of"], row["first"], joined([*parts, row["series"]]))
    if cells:
        tx.run(insert(metric_chunks), cells)


def series(tx: Tx, run: str, key: str, after: int = 0, limit: int | None = None) -> Series:
    """Return points of one metric in the order of arrival, after so many already seen."""
    columns = metric_chunks.c
    here = (columns.run == run) & (columns.key == key) & (columns.first + columns.count > after)
    if limit is not None:
        here &= columns.first < after + limit
    statement = select(columns.first, columns.count, columns.data).where(here)
    parts: list[Series] = []
    end = None if limit is None else after + limit
    for row in tx.all(statement.order_by(columns.first)):
        whole = unpack(row.data, row.count)
        stop = None if end is None else max(0, end - row.first)
        parts.append(whole.cut(max(0, after - row.first), stop))
    got = sum(map(len, parts))
    if limit is None or got < limit:
        packed = _packed_count(tx, run, key)
        rest = None if limit is None else limit - got
        parts.append(_tail(tx, run, key, max(0, after - packed), rest))
    return joined([part for part in parts if len(part)])


def several(tx: Tx, pairs: Sequence[Of]) -> dict[Of, Series]:
    """Return the whole histories of several metrics, of whatever runs."""
    parts: dict[Of, list[Series]] = {of: [] for of in pairs}
    columns = metric_chunks.c
    for some in _cut(list(parts)):
        here = tuple_(columns.run, columns.key).in_(some)
        chosen = select(columns.run, columns.key, columns.count, columns.data).where(here)
        for row in tx.all(chosen.order_by(columns.run, columns.key, columns.first)):
            parts[row.run, row.key].append(unpack(row.data, row.count))
    for of, tail in _tails(tx, list(parts)).items():
        parts[of].append(tail)
    return {of: joined(found) for of, found in parts.items()}


def holds(tx: Tx, run: str, key: str, step: int) -> Series:
    """Return the packed points of one metric among which those of a step are."""
    columns = metric_chunks.c
    within = (columns.step_low <= step) & (columns.step_high >= step)
    here = (columns.run == run) & (columns.key == key) & within
    found = tx.all(select(columns.count, columns.data).where(here).order_by(columns.first))
    return joined([unpack(row.data, row.count) for row in found])


def tidy(tx: Tx, run: str | None = None, *, least: int = LONG_TAIL, most: int = 50) -> int:
    """Pack the rows of keys that have many; of one run, or of all. Return how many keys.

    ``most`` bounds how many are packed at once: the rest is left for the next time.
    """
    columns = metric_points.c
    statement = select(columns.run, columns.key, func.count().label("rows"))
    if run is not None:
        statement = statement.where(columns.run == run)
    grouped = statement.group_by(columns.run, columns.key).having(func.count() >= least)
    found = [(row.run, row.key) for row in tx.all(grouped.limit(most))]
    empty = Series(np.empty(0, np.int64), np.empty(0), np.empty(0))
    add(tx, dict.fromkeys(found, empty))
    return len(found)


# ---------------------------------------------------------------- chunks


def _cells(of: Of, first: int, whole: Series) -> Iterator[dict[str, Any]]:
    for start in range(0, len(whole), FULL):
        part = whole.cut(start, start + FULL)
        yield {
            "run": of[0],
            "key": of[1],
            "first": first + start,
            "count": len(part),
            "step_low": int(part.steps.min()),
            "step_high": int(part.steps.max()),
            "data": pack(part),
        }


def _chunks(tx: Tx, pairs: list[Of]) -> dict[Of, list[tuple[int, int]]]:
    """Return first place and count of every chunk, in order."""
    found: dict[Of, list[tuple[int, int]]] = {}
    columns = metric_chunks.c
    for some in _cut(pairs):
        here = tuple_(columns.run, columns.key).in_(some)
        chosen = select(columns.run, columns.key, columns.first, columns.count).where(here)
        for row in tx.all(chosen.order_by(columns.run, columns.key, columns.first)):
            found.setdefault((row.run, row.key), []).append((row.first, row.count))
    return found


def _unpacked(tx: Tx, merged: Mapping[Of, list[int]]) -> dict[tuple[Of, int], Series]:
    found: dict[tuple[Of, int], Series] = {}
    columns = metric_chunks.c
    for some in _cut(_places(merged)):
        here = tuple_(columns.run, columns.key, columns.first).in_(some)
        for row in tx.all(select(metric_chunks).where(here)):
            found[(row.run, row.key), row.first] = unpack(row.data, row.count)
    return found


def _drop(tx: Tx, merged: Mapping[Of, list[int]]) -> None:
    columns = metric_chunks.c
    for some in _cut(_places(merged)):
        here = tuple_(columns.run, columns.key, columns.first).in_(some)
        tx.run(delete(metric_chunks).where(here))


def _places(merged: Mapping[Of, list[int]]) -> list[tuple[str, str, int]]:
    return [(*of, first) for of, places in merged.items() for first in places]


def _packed_count(tx: Tx, run: str, key: str) -> int:
    columns = metric_chunks.c
    here = (columns.run == run) & (columns.key == key)
    row = tx.one(select(func.max(columns.first + columns.count).label("end")).where(here))
    return 0 if row is None or row.end is None else int(row.end)


# ---------------------------------------------------------------- rows


def _tail(tx: Tx, run: str, key: str, after: int, limit: int | None) -> Series:
    columns = metric_points.c
    here = (columns.run == run) & (columns.key == key)
    statement = select(columns.step, columns.time, columns.value).where(here)
    # SQLite has no OFFSET without a LIMIT.
    statement = statement.order_by(columns.id).limit(2**62 if limit is None else limit)
    return _series(tx.all(statement.offset(after)))


def _tails(tx: Tx, pairs: list[Of]) -> dict[Of, Series]:
    rows: dict[Of, list[Any]] = {}
    columns = metric_points.c
    for some in _cut(pairs):
        here = tuple_(columns.run, columns.key).in_(some)
        for row in tx.all(select(metric_points).where(here).order_by(columns.id)):
            rows.setdefault((row.run, row.key), []).append(row)
    return {of: _series(found) for of, found in rows.items()}


def _take_tails(tx: Tx, pairs: list[Of]) -> dict[Of, Series]:
    found = _tails(tx, pairs)
    columns = metric_points.c
    for some in _cut(list(found)):
        tx.run(delete(metric_points).where(tuple_(columns.run, columns.key).in_(some)))
    return found


def _series(rows: Sequence[Any]) -> Series:
    return Series(
        np.array([row.step for row in rows], np.int64),
        np.array([row.time for row in rows], np.float64),
        # SQLite turns NaN into NULL, so NULL is how a row keeps a NaN.
        np.array([np.nan if row.value is None else row.value for row in rows], np.float64),
    )


def _cut(pairs: Sequence[Any]) -> Iterable[list[Any]]:
    return (list(pairs[at : at + _AT_ONCE]) for at in range(0, len(pairs), _AT_ONCE))

"""Search the files of lines, newest first, without reading what cannot hold an answer.

1. A file whose whole time span lies outside of what is asked is not opened.
2. Inside a file the bounds are found by halving, as lines stand in the order of time.
3. What is read, in pieces from the end, is searched as bytes for the rarest thing asked for;
   only lines that hold it are decoded and looked at.
"""

from __future__ import annotations

import glob
import heapq
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mainspring.ground import logs
from mainspring.ground.logfiles import process_of
from mainspring.workspace.logs.lines import (
    LogLine,
    Query,
    holds,
    process_of_prediction,
    read,
    seconds_of,
    shown,
)

FIRST_PIECE = 65_536  #: bytes; few lines are answered fast
MOST_PIECE = 4_194_304
SLACK_S = 2.0  #: how far lines of processes that share a file may be out of order
_TIME = slice(9, 36)  # of a line that begins with {"time":"
_BEGINS = b'{"time":"'

_Found = tuple[str, dict[str, Any]]


def search(folder: Path, query: Query, limit: int) -> list[LogLine]:
    """Return the newest lines that a query asks for, newest first, at most ``limit``."""
    return [shown(found) for _, found in islice(matches(folder, query), limit)]


def counts(folder: Path, query: Query, step_s: float) -> dict[float, int]:
    """Return how many lines meet a query in each stretch of ``step_s`` seconds, by its start.

    Stretches without a line are left out.
    """
    found: dict[float, int] = defaultdict(int)
    for time, _ in matches(folder, query):
        found[seconds_of(time) // step_s * step_s] += 1
    return dict(sorted(found.items()))


def matches(folder: Path, query: Query) -> Iterator[_Found]:
    """Return (time, line) of every line that meets a query, newest first."""
    chains: dict[str, list[Path]] = defaultdict(list)
    for file in folder.iterdir() if folder.is_dir() else ():
        process = process_of(file)
        if process is not None and query.is_of(process):
            chains[process].append(file)
    return heapq.merge(
        *(_chain(files, query) for files in chains.values()),
        key=lambda found: found[0],
        reverse=True,
    )


def processes(folder: Path) -> list[str]:
    """Return the names of the processes that have written lines."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted({name for file in found if (name := process_of(file)) is not None})


def _chain(files: list[Path], query: Query) -> Iterator[_Found]:
    """Search the files of one process, each only when those after it gave all they have."""
    searched: set[int] = set()
    # Without a stamp in its name comes the one that is written now; the stamps sort by time.
    written = [file for file in files if not _is_turned(file)]
    for file in written:
        yield from _in_file(file, query, searched)
    # It may have been turned over since the folder was listed: then its name was another's.
    turned = {file for file in files if _is_turned(file)}
    for file in written:
        names = file.parent.glob(f"{glob.escape(file.stem)}.*.jsonl")
        turned |= {one for one in names if process_of(one) == process_of(file)}
    for file in sorted(turned, key=lambda f: f.name, reverse=True):
        yield from _in_file(file, query, searched)


def _is_turned(file: Path) -> bool:
    return process_of(file) != file.name.removesuffix(".jsonl")


def _in_file(file: Path, query: Query, searched: set[int]) -> Iterator[_Found]:
    """Search a file, unless it was searched by another name; remember it in ``searched``."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # it was let go while we look
        return
    try:
        about = os.fstat(number)
        if about.st_ino in searched:
            return
        searched.add(about.st_ino)
        if query.since is not None and about.st_mtime < query.since - SLACK_S:
            return
        first, last = _bounds(number, about.st_size, query)
        yield from _back(number, first, last, query)
    finally:
        os.close(number)


def _bounds(number: int, size: int, query: Query) -> tuple[int, int]:
    """Return the part of a file that may hold lines of the time asked for."""
    first, last = 0, size
    if query.since is not None:
        first = _halve(number, size, logs.stamp(query.since - SLACK_S))
    if query.until is not None:
        last = _halve(number, size, logs.stamp(query.until + SLACK_S))
    return first, last


def _halve(number: int, size: int, time: str) -> int:
    """Return where the first line begins that is not before a time."""
    low, high, wanted = 0, size, time.encode()
    while low < high:
        middle = (low + high) // 2
        place, found = _line_at(number, middle, size)
        if found is None or found >= wanted:
            high = middle
        else:
            low = place + 1
    return _line_at(number, low, size)[0]


def _line_at(number: int, offset: int, size: int) -> tuple[int, bytes | None]:
    """Return where the first whole line at or after an offset begins, and its time."""
    place = offset
    while place < size:
        begin = place
        if place:  # from one byte before, so that a line that begins right here is found
            data = os.pread(number, FIRST_PIECE, place - 1)
            at = data.find(b"\n")
            if at < 0:
                place += max(len(data), 1)
                continue
            begin = place + at
        head = os.pread(number, 40, begin)
        if head.startswith(_BEGINS) and head[28:29] == b"." and head[35:36] == b"Z":
            return begin, head[_TIME]
        place = begin + 1  # a torn line
    return size, None


def _back(number: int, first: int, last: int, query: Query) -> Iterator[_Found]:
    """Search a part of a file in pieces, from its end."""
    needles, folded = _needles(query)
    since = logs.stamp(query.since) if query.since is not None else ""
    until = logs.stamp(query.until) if query.until is not None else "~"
    piece, end = FIRST_PIECE, last
    while end > first:
        start = max(end - piece, first)
        data = os.pread(number, end - start, start)
        if start > first:  # it begins in the middle of a line
            cut = data.find(b"\n") + 1
            if not cut or cut == len(data):
                piece *= 4
                continue
            data, start = data[cut:], start + cut
        found = []
        for raw in _lines(data, needles, folded):
            line = read(raw)
            if line is not None and since <= line["time"] <= until and holds(query, line):
                found.append((line["time"], line))
        # Those who share a file may have written a little out of turn.
        yield from sorted(found, key=lambda one: one[0], reverse=True)
        end, piece = start, min(piece * 4, MOST_PIECE)


def _needles(query: Query) -> tuple[list[bytes], bool]:
    """Return bytes of which a line must hold one, and whether capital letters count as small."""
    for key in ("request", "task", "run", "step", "loop"):
        wanted = getattr(query, key)
        if wanted is not None:
            several = (wanted, *query.also) if key == "run" else (wanted,)
            return [f'"{key}":{_quoted(one)}'.encode() for one in several], False
    if query.prediction is not None:  # of all lines of its process: each is of many rows
        begin = process_of_prediction(query.prediction) or query.prediction
        ids = [f'"prediction":{_quoted(begin)[:-1]}', _quoted(query.prediction)[1:-1]]
        return [one.encode() for one in ids], False
    if query.text:
        return [_quoted(query.text)[1:-1].encode().lower()], True
    if query.level not in ("debug", "info"):
        return [f'"level":"{level}"'.encode() for level in query.levels], False
    if query.endpoint is not None:
        return [f'"endpoint":{_quoted(query.endpoint)}'.encode()], False
    return [], False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _lines(data: bytes, needles: list[bytes], folded: bool) -> Iterator[bytes]:
    """Return the lines that hold one of the needles, in any order; all if there is none."""
    if not needles:
        yield from data.split(b"\n")
        return
    where = data.lower() if folded else data
    for number, needle in enumerate(needles):
        place = where.find(needle)
        while place >= 0:
            begin = data.rfind(b"\n", 0, place) + 1
            end = data.find(b"\n", place)
            end = len(data) if end < 0 else end
            if not any(one in where[begin:end] for one in needles[:number]):  # it came already
                yield data[begin:end]
            place = where.find(needle, end)

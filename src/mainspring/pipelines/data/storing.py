"""Keep the files of a folder as objects: small ones packed together, large ones by themselves.

Files below ``SMALL`` go into packs, one object for thousands of them: one flush of the disk
instead of thousands. What is known already is only named. How large files are kept, see
:mod:`large`.

Files come in the order of their paths and are kept some at a time, so that memory does not grow
with their number; of those that were read, a packed line is held until all are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from mainspring.ground.errors import StoreError
from mainspring.pipelines.data import reading
from mainspring.pipelines.data.keeping import Keeping
from mainspring.pipelines.data.large import Large
from mainspring.pipelines.data.manifest import Entry, Part
from mainspring.pipelines.data.reading import BATCH, PACK, SMALL, Read, read_ahead, read_small
from mainspring.pipelines.data.stats import UNKNOWN
from mainspring.pipelines.data.walk import Found

Both = Callable[[], Iterator[tuple[Found | None, bytes, Entry | None]]]
"""Goes through what lies there beside the version before; see :func:`seen.beside`."""


class _Todo(NamedTuple):
    """A file that cannot be named as it was."""

    file: Found
    digest: bytes  #: ``UNKNOWN`` if it has to be read
    before: Entry | None
    at: int  #: bytes of the files before it


def entries(
    keeping: Keeping,
    root: Path,
    both: Both,
    size: int,
    tell: Callable[[int, int], None] = lambda _at, _of: None,
) -> Iterator[tuple[Entry, bool]]:
    """Keep the files of a folder, or the one file; then go through where they are, by path.

    With each it is said whether its digest was unknown. ``tell`` is told how many bytes are
    looked after, of all ``size``.

    Raises:
        BadInputError: if a file cannot be read.
        StoreError: if a disk fails.
    """
    storing = _Storing(keeping, root, lambda at: tell(at, size))
    kept = storing.kept(both)
    one = next(kept, None)
    for file, digest, before in both():
        if file is None:
            continue
        if one is not None and one.path == file.path:
            yield one, digest == UNKNOWN
            one = next(kept, None)
        elif before is not None:
            yield _as(before, file), False
        else:
            raise StoreError(f"{file.path} was not kept.")


class _Storing:
    """The files of one place on their way to be kept."""

    def __init__(self, keeping: Keeping, root: Path, tell: Callable[[int], None]) -> None:
        self._keeping, self._large, self._root, self._tell = keeping, Large(keeping), root, tell
        self._where = reading.at(root)

    def kept(self, both: Both) -> Iterator[Entry]:
        """Keep what has to be; only then return what goes through where that is, by path."""
        packed: list[bytes] = []
        for window, read in read_ahead(self._root, self._windows(both), _to_read):
            done = self._window(window, read)
            packed.append(msgspec.msgpack.encode([done[one.file.path] for one in window]))
        return (entry for some in packed for entry in _ENTRIES.decode(some))

    def _windows(self, both: Both) -> Iterator[list[_Todo]]:
        """Go through the files that cannot be named as they were, some at a time."""
        window: list[_Todo] = []
        at = small = 0
        for file, digest, before in both():
            if file is None:
                continue
            if not self._is_same(digest.hex(), before):
                window.append(_Todo(file, digest, before, at))
                small += file.size if _is_read(window[-1]) else 0
            at += file.size
            if small >= PACK or len(window) >= BATCH:
                yield window
                window, small = [], 0
        if window:
            yield window

    def _is_same(self, digest: str, before: Entry | None) -> bool:
        """Return whether the version before holds these bytes, and they are there."""
        return before is not None and before.sha256 == digest and self._keeping.whole(before)

    def _window(self, window: list[_Todo], read: Sequence[Read]) -> dict[str, Entry]:
        """Keep some files; return where each is."""
        done: dict[str, Entry] = {}
        had = {file.path: data for file, data in zip(_to_read(window), read, strict=True)}
        self._known(window, had, done)
        held: dict[str, bytes] = {}  # by digest, each once
        for one in window:
            path = one.file.path
            if path in had:
                data, digest = had[path]
                if one.before is not None and self._is_same(digest, one.before):
                    done[path] = _as(one.before, one.file)
                elif data:
                    held[digest] = data
        places = self._keeping.keep(held)
        for one in window:
            path = one.file.path
            if path in had and path not in done:
                data, digest = had[path]
                done[path] = _entry(one.file, len(data), digest, places.get(digest))
            if path not in done:
                further = partial(_further, self._tell, one.at)
                done[path] = self._large.one(self._root, one.file, one.before, further)
        self._tell(window[-1].at + window[-1].file.size)
        return done

    def _known(
        self, window: Sequence[_Todo], had: dict[str, Read], done: dict[str, Entry]
    ) -> None:
        """Make entries of files that are known by digest alone; read small ones that are gone."""
        known = [one for one in window if one.digest != UNKNOWN]
        places = self._keeping.find(one.digest.hex() for one in known if one.file.size)
        for one in known:
            file, digest = one.file, one.digest.hex()
            if not file.size or digest in places:
                done[file.path] = _entry(file, file.size, digest, places.get(digest))
            elif file.size < SMALL:
                data = read_small(self._where, file)
                had[file.path] = data, hashlib.sha256(data).hexdigest()


_ENTRIES = msgspec.msgpack.Decoder(list[Entry])


def _is_read(one: _Todo) -> bool:
    return one.digest == UNKNOWN and one.file.size < SMALL


def _to_read(window: Sequence[_Todo]) -> list[Found]:
    return [one.file for one in window if _is_read(one)]


def _further(tell: Callable[[int], None], at: int, more: int) -> None:
    tell(at + more)


def _as(before: Entry, file: Found) -> Entry:
    """Return where a file is that is as it was, but for being executable."""
    if before.executable == file.executable:
        return before
    return msgspec.structs.replace(before, executable=file.executable)


def _entry(file: Found, size: int, digest: str, part: Part | None) -> Entry:
    whole = part is None or part == Part(digest, 0, size)
    parts = () if part is None or whole else (part,)
    return Entry(file.path, size, digest, file.executable, parts)

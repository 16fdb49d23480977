"""What lies at a place, a folder at a time, and which digests are remembered of it.

A folder is kept as it is remembered: packed. Where the bytes are those of the last time,
nothing in it was touched, and none of its files is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from mainspring.pipelines.data import manifest, stats
from mainspring.pipelines.data.manifest import Entry, Kind
from mainspring.pipelines.data.stats import UNKNOWN, Packed, State
from mainspring.pipelines.data.walk import Found, Refused, Row, folders

_WIDE = len(UNKNOWN)
_NOTHING = stats.pack([]), b""


class Seen:
    """The files below a folder, or the one file, against what was remembered of them."""

    def __init__(
        self, root: Path, state: State, apart: Collection[Path] = (), ours: Path | None = None
    ) -> None:
        self.refused: list[Refused] = []
        self.count = 0  #: files
        self.size = 0  #: bytes of them
        self._folders: dict[str, Packed] = {}
        self._touched: set[str] = set()  # folders that are not as they were
        for prefix, rows in folders(root, self.refused, apart, ours):
            self.count += len(rows)
            self.size += sum([row[1] for row in rows])
            packed, before = stats.pack(rows), state.folders.get(prefix)
            if before is not None and before[0] == packed:
                self._folders[prefix] = before
            else:
                self._touched.add(prefix)
                self._folders[prefix] = packed, _matched(rows, before)
        self.refused.sort()
        same = not self._touched and len(self._folders) == len(state.folders)
        self._content = state.content if same else ""

    @property
    def as_before(self) -> bool:
        """Return whether nothing was touched, and every file is known."""
        return bool(self._content)

    @property
    def unknown(self) -> int:
        """Return how many files there are whose digest is not known."""
        return sum(_cut(known).count(UNKNOWN) for _, known in self._folders.values())

    def each(self, *, unknown: bool = False) -> Iterator[tuple[Found, bytes]]:
        """Go through the files by path, each with its digest, or ``UNKNOWN``.

        With ``unknown`` only through those whose digest is not known. A folder is unpacked when
        its turn has come, so that no more than a few are in memory.
        """
        for prefix, _, row, digest in self._rows():
            if not unknown or digest == UNKNOWN:
                yield Found(prefix + row[0], *row[1:]), digest

    def files(self, *, unknown: bool = False) -> list[Found]:
        """Return the files by path; with ``unknown`` only those whose digest is not known."""
        return [file for file, _ in self.each(unknown=unknown)]

    def known(self) -> dict[str, str]:
        """Return the digests that are known, by path."""
        return {file.path: digest.hex() for file, digest in self.each() if digest != UNKNOWN}

    def learn(self, digests: Iterable[bytes], content: str = "") -> None:
        """Take the digests of the files that were unknown, in the order of :meth:`each`.

        ``content`` is the digest of all files together, where that is known already.
        """
        told = iter(digests)
        learnt: dict[str, bytearray] = {}
        for prefix, index, _, known in self._rows():
            if known == UNKNOWN:
                digest = next(told, None)
                if digest is None:
                    break
                if prefix not in learnt:
                    learnt[prefix] = bytearray(self._folders[prefix][1])
                learnt[prefix][index * _WIDE : (index + 1) * _WIDE] = digest
        for prefix, all_known in learnt.items():
            self._folders[prefix] = self._folders[prefix][0], bytes(all_known)
        self._touched |= learnt.keys()
        self._content = content

    def content(self, kind: Kind) -> str:
        """Return the digest that a version of these files would have; empty if one is unknown."""
        if not self._content and (kind == "folder" or self.count == 1):
            if any(UNKNOWN in digests for _, digests in self._folders.values()):
                return ""
            lines = (
                (prefix + row[0], row[1], digest.hex(), row[5])
                for prefix, _, row, digest in self._rows()
            )
            self._content = manifest.digest_of_lines(kind, lines)
        return self._content

    def to_remember(self, kind: Kind, seen_ns: int) -> tuple[str, dict[str, Packed]]:
        """Return the content and folders of a state: what a change after ``seen_ns`` would show.

        Of a file that could be changed without a sign the digest is left out.
        """
        content, kept = self.content(kind), dict(self._folders)
        for prefix in self._touched:
            packed, digests = kept[prefix]
            rows = stats.unpack(packed)
            if not all(stats.is_settled(row, seen_ns) for row in rows):
                content = ""
                told = [
                    one if stats.is_settled(row, seen_ns) else UNKNOWN
                    for row, one in zip(rows, _cut(digests), strict=True)
                ]
                kept[prefix] = packed, b"".join(told)
        return content, kept

    def _rows(self) -> Iterator[tuple[str, int, Row, bytes]]:
        """Go through the files by path: folder, place within it, what was seen, digest."""
        below: dict[str, set[str]] = {}  # the folders that lie in each
        for prefix in self._folders:
            inner = prefix
            while inner:
                above = inner[: inner.rfind("/", 0, -1) + 1]
                others = below.setdefault(above, set())
                if inner in others:
                    break
                others.add(inner)
                inner = above
        under_way = [self._level("", below)]
        while under_way:
            for step in under_way[-1]:
                if isinstance(step, str):
                    under_way.append(self._level(step, below))
                    break
                yield step
            else:
                under_way.pop()

    def _level(
        self, prefix: str, below: Mapping[str, Collection[str]]
    ) -> Iterator[str | tuple[str, int, Row, bytes]]:
        """Go through one folder: its files, and the folders in it where their turn is.

        A folder's name with its slash stands in order where the paths of its files do.
        """
        inner = sorted(below.get(prefix, ()), reverse=True)
        packed, digests = self._folders.get(prefix, _NOTHING)
        for index, row in enumerate(stats.unpack(packed)):
            while inner and inner[-1] < prefix + row[0]:
                yield inner.pop()
            yield prefix, index, row, digests[index * _WIDE : (index + 1) * _WIDE]
        while inner:
            yield inner.pop()


def beside(
    files: Iterable[tuple[Found, bytes]], entries: Iterable[Entry]
) -> Iterator[tuple[Found | None, bytes, Entry | None]]:
    """Go through what lies there and what a version holds, path by path; None what is not."""
    there, held = iter(files), iter(entries)
    file, entry = next(there, None), next(held, None)
    while file is not None and entry is not None:
        path, other = file[0].path, entry.path
        if path == other:
            yield *file, entry
            file, entry = next(there, None), next(held, None)
        elif path < other:
            yield *file, None
            file = next(there, None)
        else:
            yield None, UNKNOWN, entry
            entry = next(held, None)
    while file is not None:
        yield *file, None
        file = next(there, None)
    while entry is not None:
        yield None, UNKNOWN, entry
        entry = next(held, None)


def only(state: State, paths: Collection[str]) -> dict[str, Packed]:
    """Return the folders of a state, with nothing known but of some files."""
    kept: dict[str, Packed] = {}
    for prefix, (packed, digests) in state.folders.items():
        told = [
            one if prefix + row[0] in paths else UNKNOWN
            for row, one in zip(stats.unpack(packed), _cut(digests), strict=True)
        ]
        kept[prefix] = packed, b"".join(told)
    return kept


def _cut(digests: bytes) -> list[bytes]:
    return [digests[at : at + _WIDE] for at in range(0, len(digests), _WIDE)]


def _matched(rows: list[Row], before: Packed | None) -> bytes:
    """Return the digests of a folder's files, as far as those files are as they were."""
    if before is None:
        return UNKNOWN * len(rows)
    known = dict(zip(stats.unpack(before[0]), _cut(before[1]), strict=True))
    return b"".join([known.get(row, UNKNOWN) for row in rows])

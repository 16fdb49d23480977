"""What lies at a place, a folder at a time, and which digests are remembered of it.

A folder is kept as it is remembered: packed. Where the bytes are those of the last time,
nothing in it was touched, and none of its files is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from mainspring.pipelines.data import manifest, stats
from mainspring.pipelines.data.manifest import Kind
from mainspring.pipelines.data.stats import UNKNOWN, Packed, State
from mainspring.pipelines.data.walk import Found, Refused, Row, folders

_WIDE = len(UNKNOWN)


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

    def files(self, *, unknown: bool = False) -> list[Found]:
        """Return the files by path; with ``unknown`` only those whose digest is not known."""
        found = [
            Found(prefix + row[0], *row[1:])
            for prefix, row, digest in self._each(unknown)
            if not unknown or digest == UNKNOWN
        ]
        found.sort()
        return found

    def known(self) -> dict[str, str]:
        """Return the digests that are known, by path."""
        return {
            prefix + row[0]: digest.hex()
            for prefix, row, digest in self._each()
            if digest != UNKNOWN
        }

    def learn(self, digests: Mapping[str, str]) -> None:
        """Take the digests of files that were read."""
        self._content = ""
        for prefix, (packed, known) in self._folders.items():
            if UNKNOWN in known:
                told = [
                    bytes.fromhex(digests[path])
                    if one == UNKNOWN and (path := prefix + row[0]) in digests
                    else one
                    for row, one in zip(stats.unpack(packed), _cut(known), strict=True)
                ]
                self._folders[prefix] = packed, b"".join(told)
                self._touched.add(prefix)

    def content(self, kind: Kind) -> str:
        """Return the digest that a version of these files would have; empty if one is unknown."""
        if not self._content and (kind == "folder" or self.count == 1):
            lines = [
                (prefix + row[0], row[1], digest.hex(), row[5])
                for prefix, row, digest in self._each()
                if digest != UNKNOWN
            ]
            if len(lines) == self.count:
                lines.sort()
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

    def _each(self, unknown: bool = False) -> Iterator[tuple[str, Row, bytes]]:
        for prefix, (packed, digests) in self._folders.items():
            if not unknown or UNKNOWN in digests:
                for row, digest in zip(stats.unpack(packed), _cut(digests), strict=True):
                    yield prefix, row, digest


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

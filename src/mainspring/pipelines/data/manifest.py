"""What one version of a dataset holds: its files, their digests, and where their bytes are.

A manifest is an object like any other. Its own digest says where the bytes are kept, and
changes when they are packed anew; :func:`digest_of` says what the bytes are, and never does.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from mainspring.ground.errors import BadInputError, DamagedError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects, Readable

FORMAT = 1
LEAF = 2_000  #: entries of one leaf, about: what is written anew when one file changes
KINDS = ("file", "folder", "table", "query")
Kind = Literal["file", "folder", "table", "query"]
MAX_PATH = 4_000
#: Names parted by single slashes, none of them ``.`` or ``..``, of characters that all may have.
_PLAIN = re.compile(r"(?:(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\ud800-\udfff]+(?:/(?!$)|$))+")


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run of bytes within an object."""

    object: str
    offset: int
    length: int


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file of a version."""

    path: str  #: below the folder, with ``/``; of a single file its name
    size: int  #: bytes
    sha256: str  #: of the bytes
    executable: bool = False
    #: where the bytes are, one after another; none: the object of their own digest
    parts: tuple[Part, ...] = ()
    chunks: str | None = None  #: of a large file, the object that lists its chunks

    @property
    def places(self) -> tuple[Part, ...]:
        """Return where the bytes are; none for an empty file."""
        if self.parts or not self.size:
            return self.parts
        return (Part(self.sha256, 0, self.size),)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one version, in the order of their paths."""

    kind: Kind
    entries: list[Entry]

    @property
    def digest(self) -> str:
        """Return the digest of what it holds; see :func:`digest_of`."""
        return digest_of(self.kind, self.entries)

    @property
    def size(self) -> int:
        """Return how many bytes its files have together."""
        return sum(entry.size for entry in self.entries)

    @property
    def objects(self) -> set[str]:
        """Return the objects that hold its bytes and its lists of chunks."""
        found = {part.object for entry in self.entries for part in entry.places}
        return found | {entry.chunks for entry in self.entries if entry.chunks}


class _Leaf(msgspec.Struct, frozen=True):
    """Some entries, kept as an object of their own."""

    object: str
    count: int


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest as it is kept."""

    format: int
    kind: Kind
    leaves: list[_Leaf]


def digest_of(kind: str, entries: Iterable[Entry]) -> str:
    """Return the digest of some files, whatever way their bytes are kept.

    Of one file, a table or the result of a query it is the sha256 of the bytes. Of a folder it
    is that of one line a file, in the order of the paths: path, size, sha256 and ``x`` if it is
    executable, with a zero byte after each.

    >>> digest_of("file", [Entry("a.csv", 3, "ab" * 32)]) == "ab" * 32
    True
    """
    return digest_of_lines(kind, ((e.path, e.size, e.sha256, e.executable) for e in entries))


Line = tuple[str, int, str, bool]
"""Path, size, sha256, and whether it is executable."""


def digest_of_lines(kind: str, lines: Iterable[Line]) -> str:
    """Return what :func:`digest_of` does, of files in the order of their paths."""
    if kind != "folder":
        [only] = lines
        return only[2]
    found = hashlib.sha256()
    told: list[str] = []
    for path, size, digest, executable in lines:
        told.append(f"{path}\0{size}\0{digest}\0{'x' if executable else ''}\0\n")
        if len(told) == LEAF:
            found.update("".join(told).encode())
            told = []
    found.update("".join(told).encode())
    return found.hexdigest()


def settled(kind: Kind, entries: Iterable[Entry]) -> Manifest:
    """Return a manifest of some files, sorted and checked.

    Raises:
        BadInputError: naming the path that leads outside, or stands there twice, or is a file
            and a folder at once; or if a kind of one file has not one.
    """
    found = sorted(entries, key=lambda entry: entry.path)
    if kind not in KINDS:
        raise BadInputError(
            f"There is no kind {kind!r} of data: {', '.join(KINDS)}.", field="kind"
        )
    if kind != "folder" and len(found) != 1:
        raise BadInputError(f"A {kind} is one file, found {len(found)}.", field="path")
    names = {entry.path for entry in found}
    if len(names) != len(found):
        twice = next(a.path for a, b in pairwise(found) if a.path == b.path)
        raise BadInputError(f"{twice!r} is there twice.", field="path")
    folders: set[str] = set()
    for entry in found:
        check_path(entry.path)
        above = entry.path.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    for path in sorted(folders & names):
        raise BadInputError(f"{path!r} is a file and a folder at once.", field="path")
    return Manifest(kind=kind, entries=found)


def check_path(path: str) -> str:
    """Return a path unchanged if it leads to a place below the folder on any machine.

    Raises:
        BadInputError: naming what is wrong with it.
    """
    if len(path) <= MAX_PATH and _PLAIN.fullmatch(path):  # as good as all are
        return path
    wrong = ""
    parts = path.split("/")
    if not path or len(path) > MAX_PATH:
        wrong = f"must have 1 to {MAX_PATH} characters"
    elif path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
        wrong = "leads outside of its folder, or is not plain"
    elif any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        wrong = "is not UTF-8, or holds a control character"
    if wrong:
        shown = path[:200].encode("utf-8", "backslashreplace").decode()
        raise BadInputError(
            f"The path {shown!r} {wrong}.", field="path", hint="Rename the file, or leave it out."
        )
    return path


def write(manifest: Manifest, objects: Objects) -> str:
    """Keep a manifest and return the digest of its object."""
    kept = [_Leaf(objects.put(canonical(part)), len(part)) for part in _cut(manifest.entries)]
    return objects.put(canonical(_Kept(format=FORMAT, kind=manifest.kind, leaves=kept)))


def leaves(digest: str, objects: Readable) -> list[str]:
    """Return the objects that a manifest is kept in besides its own.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone, changed or no manifest.
    """
    return [leaf.object for leaf in _kept(digest, objects).leaves]


def read(digest: str, objects: Readable) -> Manifest:
    """Return a manifest that is kept.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone, changed or no manifest.
    """
    kept = _kept(digest, objects)
    try:
        entries = [
            entry
            for leaf in kept.leaves
            for entry in msgspec.json.decode(objects.get(leaf.object), type=list[Entry])
        ]
        return settled(kept.kind, entries)
    except (msgspec.MsgspecError, BadInputError) as error:
        raise _unreadable(digest, error) from error


def _kept(digest: str, objects: Readable) -> _Kept:
    try:
        kept = msgspec.json.decode(objects.get(digest), type=_Kept)
    except msgspec.MsgspecError as error:
        raise _unreadable(digest, error) from error
    if kept.format != FORMAT:
        raise _unreadable(digest, f"it has the format {kept.format}")
    return kept


def _unreadable(digest: str, why: object) -> DamagedError:
    return DamagedError(
        f"The object {digest} is no manifest that this release can read: {why}",
        hint="A newer release may have written it.",
    )


def _cut(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Cut entries into leaves where a path itself says so: a new file moves no other cut."""
    start = 0
    for place, entry in enumerate(entries, 1):
        count = place - start
        chosen = count * 4 >= LEAF and zlib.crc32(entry.path.encode()) % LEAF == 0
        if chosen or count >= 4 * LEAF:
            yield entries[start:place]
            start = place
    if start < len(entries) or not entries:
        yield entries[start:]

"""What one version of a dataset holds: its files, their digests, and where their bytes are.

A manifest is an object like any other. Its own digest says where the bytes are kept, and
changes when they are packed anew; :func:`digest_of` says what the bytes are, and never does.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
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
    each = iter(lines)
    while some := list(islice(each, LEAF)):
        found.update(_told(some))
    return found.hexdigest()


def _told(lines: Iterable[Line]) -> bytes:
    return "".join(
        [
            f"{path}\0{size}\0{digest}\0{'x' if executable else ''}\0\n"
            for path, size, digest, executable in lines
        ]
    ).encode()


def settled(kind: Kind, entries: Iterable[Entry]) -> Manifest:
    """Return a manifest of some files, sorted and checked.

    Raises:
        BadInputError: naming the path that leads outside, or stands there twice, or is a file
            and a folder at once; or if a kind of one file has not one.
    """
    found = sorted(entries, key=lambda entry: entry.path)
    _check_kind(kind, len(found))
    return Manifest(kind=kind, entries=list(checked(found)))


def _check_kind(kind: str, files: int) -> None:
    if kind not in KINDS:
        raise BadInputError(
            f"There is no kind {kind!r} of data: {', '.join(KINDS)}.", field="kind"
        )
    if kind != "folder" and files != 1:
        raise BadInputError(f"A {kind} is one file, found {files:,}.", field="path")


def checked(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Go through files in the order of their paths, and see that they can lie in one folder.

    Raises:
        BadInputError: naming the path that leads outside, or stands there twice, or is a file
            and a folder at once, or comes too late.
    """
    last = ""
    above: list[str] = []  # files whose paths begin the next ones: all that a folder could be
    for entry in entries:
        path = entry.path
        check_path(path)
        if path <= last:
            how = "there twice" if path == last else "not in its order"
            raise BadInputError(f"{path!r} is {how}.", field="path")
        while above and not path.startswith(above[-1]):
            above.pop()
        for file in above:
            if path[len(file)] == "/":
                raise BadInputError(f"{file!r} is a file and a folder at once.", field="path")
        above.append(path)
        last = path
        yield entry


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


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that was kept, and what it holds in all."""

    manifest: str  #: the object
    kind: Kind
    digest: str  #: of the content; see :func:`digest_of`
    files: int
    size: int  #: bytes of them


def write(manifest: Manifest, objects: Objects) -> str:
    """Keep a manifest and return the digest of its object."""
    return stream(manifest.kind, manifest.entries, objects).manifest


def stream(kind: Kind, entries: Iterable[Entry], objects: Objects) -> Written:
    """Keep a manifest of files that come in the order of their paths, and hold none for long.

    Raises:
        BadInputError: as :func:`settled`, or if they are not in order.
    """
    kept: list[_Leaf] = []
    files = size = 0
    only = ""
    whole = hashlib.sha256()
    for leaf in _cut(checked(entries)):
        kept.append(_Leaf(objects.put(canonical(leaf)), len(leaf)))
        files += len(leaf)
        size += sum([entry.size for entry in leaf])
        if kind == "folder":
            whole.update(_told([(e.path, e.size, e.sha256, e.executable) for e in leaf]))
        elif leaf:
            only = leaf[0].sha256
    _check_kind(kind, files)
    digest = objects.put(canonical(_Kept(format=FORMAT, kind=kind, leaves=kept)))
    content = whole.hexdigest() if kind == "folder" else only
    return Written(manifest=digest, kind=kind, digest=content, files=files, size=size)


def leaves(digest: str, objects: Readable) -> list[str]:
    """Return the objects that a manifest is kept in besides its own.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone, changed or no manifest.
    """
    return [leaf.object for leaf in _kept(digest, objects).leaves]


class Opened:
    """A manifest that is kept, whose files are read a leaf at a time.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone, changed or no manifest.
    """

    def __init__(self, digest: str, objects: Readable) -> None:
        self._digest, self._objects = digest, objects
        kept = _kept(digest, objects)
        self.kind, self._leaves = kept.kind, kept.leaves
        self.count = sum(leaf.count for leaf in kept.leaves)  #: files

    @property
    def entries(self) -> Iterator[Entry]:
        """Go through the files in the order of their paths.

        Raises:
            NotFoundError, DamagedError: if bytes of the manifest are gone, or changed.
        """
        try:
            _check_kind(self.kind, self.count)
            yield from checked(chain.from_iterable(map(self._leaf, self._leaves)))
        except BadInputError as error:
            raise _unreadable(self._digest, error) from error

    def _leaf(self, leaf: _Leaf) -> list[Entry]:
        return leaf_of(leaf.object, self._objects)


def leaf_of(digest: str, objects: Readable) -> list[Entry]:
    """Return the files of one leaf; see :func:`leaves`.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone, changed or none.
    """
    try:
        return msgspec.json.decode(objects.get(digest), type=list[Entry])
    except msgspec.MsgspecError as error:
        raise _unreadable(digest, error) from error


def read(digest: str, objects: Readable) -> Manifest:
    """Return a manifest that is kept.

    Raises:
        NotFoundError, DamagedError: if its bytes are gone, changed or no manifest.
    """
    opened = Opened(digest, objects)
    return Manifest(kind=opened.kind, entries=list(opened.entries))


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


def _cut(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Cut entries into leaves where a path itself says so: a new file moves no other cut."""
    leaf: list[Entry] = []
    cut = False
    for entry in entries:
        leaf.append(entry)
        count = len(leaf)
        if count * 4 < LEAF:
            continue
        if count >= 4 * LEAF or zlib.crc32(entry.path.encode()) % LEAF == 0:
            yield leaf
            leaf, cut = [], True
    if leaf or not cut:
        yield leaf

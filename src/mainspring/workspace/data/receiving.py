"""Take data versions from other machines: the server's end of :mod:`sending`.

Whoever sends asks which pieces lack (files below a megabyte, chunks of larger ones), sends
those, and then the list of the version's files. Every piece is digested here, so that nobody can
give bytes another name. Nothing is a version before the last step, one transaction; before
that every file was found to be there, whole. Pieces that no version names are young for a day,
so that an upload cut short goes on where it was; then gc takes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, authorise
from mainspring.pipelines.data import known, manifest, versions
from mainspring.pipelines.data.cuts import MOST
from mainspring.pipelines.data.keeping import Keeping
from mainspring.pipelines.data.manifest import Entry, Kind, Part
from mainspring.pipelines.data.reading import SMALL
from mainspring.pipelines.data.taking import joined
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data import adding
from mainspring.workspace.data.places import Hints
from mainspring.workspace.opening import Workspace

MOST_ASKED = 5_000  #: digests asked for at once
MAX_PIECES = 64 << 20  #: bytes of a body of pieces
MAX_FILES = 256 << 20  #: bytes of a version's list of files: some three million
MAX_PART = 16 << 20  #: bytes read at once
_MOST_PIECES = 20_000  # of one body: what is made of each takes memory, however short it is
_MOST_FILES = 3_000_000
_TOLD = 100_000  # pieces named as missing at once
_NOTHING = hashlib.sha256(b"").digest()

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count = Annotated[int, Meta(ge=0, le=2**62)]


class SentFile(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """One file of a version as it is sent, as a MessagePack array of these fields."""

    path: str
    size: Count
    sha256: Digest
    executable: bool = False
    #: of a file of a megabyte and more: length and digest of each; none if it is kept already
    chunks: tuple[tuple[Count, Digest], ...] = ()


_PIECES = Annotated[list[memoryview], Meta(max_length=_MOST_PIECES)]
_FILES = Annotated[list[SentFile], Meta(max_length=_MOST_FILES)]


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be sent."""

    lacking: list[str]  #: digests, in the order they were asked for


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of pieces that were sent."""

    pieces: int
    bytes: int  #: of those that were new


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A version, or what has to be sent before it can be one."""

    version: DataVersion | None = None
    new: bool = False  #: False: the newest version holds the same already
    missing: list[str] = []  #: digests of pieces and files; then nothing was added


def lacking(ws: Workspace, digests: Sequence[str]) -> Lacking:
    """Return which of some pieces are not kept; those that are stay for a day at least."""
    authorise(ws.who, Permission.LOG)
    keeping = Keeping(ws.objects, Hints(ws))
    found = keeping.find(digests)
    keeping.end()
    return Lacking(lacking=[one for one in dict.fromkeys(digests) if one not in found])


def take(ws: Workspace, digest: str, body: Path) -> Taken:
    """Keep pieces, a MessagePack array of bytes; ``digest`` is that of the whole body.

    Raises:
        BadInputError: if the body is another, or no such array, or a piece is too long.
    """
    authorise(ws.who, Permission.LOG)
    data = body.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise BadInputError(f"The body has the digest {found}, not {digest}.", field="digest")
    try:
        pieces = msgspec.msgpack.decode(data, type=_PIECES)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"The body is no array of pieces: {error}.", field="body") from error
    for number, piece in enumerate(pieces):
        if not 0 < len(piece) <= MOST:
            raise BadInputError(
                f"Piece {number} has {len(piece):,} bytes; 1 to {MOST:,} are taken.", field="body"
            )
    keeping = Keeping(ws.objects, Hints(ws))
    keeping.keep({hashlib.sha256(piece).hexdigest(): piece for piece in pieces})
    keeping.end()
    here("data.received")
    return Taken(pieces=len(pieces), bytes=keeping.stored)


def commit(
    ws: Workspace,
    name: str,
    kind: Kind,
    digest: str,
    body: Path,
    *,
    message: str = "",
    source: str = "",
) -> Committed:
    """Keep a list of files as the next version of a dataset, once all of their bytes are kept.

    Each file is looked for in the newest version and among what is kept; one that came in
    chunks is read here and has its digest, or nothing is added.

    Raises:
        BadInputError: if the list cannot be so, naming the field: ``path`` for one that leads
            outside or stands twice, ``size``, ``chunks`` or ``sha256`` where a file's bytes are
            not what is said, ``digest`` if the list is not the one that was meant.
    """
    authorise(ws.who, Permission.LOG)
    check_name(name)
    files = _files(body)
    last = ws.read(Permission.LOG, lambda tx: versions.newest(tx, name))
    before = adding.entries_of(ws, last)
    keeping = Keeping(ws.objects, Hints(ws))
    placing = _Placing(ws, keeping, before, files)
    entries = [entry for file in files if (entry := placing.entry(file)) is not None]
    keeping.end()
    if placing.missing:
        return Committed(missing=list(placing.missing)[:_TOLD])
    held = manifest.settled(kind, entries)
    if held.digest != digest:
        raise BadInputError(
            f"These files are the version {held.digest}, not {digest}.", field="digest"
        )
    written = manifest.stream(held.kind, held.entries, ws.objects)
    version = adding.keep(ws, name, written, message=message, source=source)
    new = last is None or version.number != last.number
    return Committed(version=version, new=new)


def part(ws: Workspace, reference: str, digest: str, start: int, count: int) -> bytes:
    """Return some bytes of an object that a version is kept in; nobody verified them.

    Raises:
        NotFoundError: if there is no such version, or the object is none of its.
    """
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, reference))
    if digest not in _objects(ws, version.manifest or ""):
        raise NotFoundError(
            f"{version.reference} has no object {digest}.",
            field="object",
            hint="Its bytes may have been packed anew: begin again, what is there is kept.",
        )
    return ws.objects.part(digest, start, min(count, MAX_PART))


def _objects(ws: Workspace, digest: str) -> frozenset[str]:
    return _objects_of(_Hashed(ws, digest))


class _Hashed:
    """A workspace's manifest, told from others by its digest alone."""

    def __init__(self, ws: Workspace, digest: str) -> None:
        self.ws, self.digest = ws, digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.digest == self.digest


@lru_cache(maxsize=8)
def _objects_of(one: _Hashed) -> frozenset[str]:
    """Return the objects that a manifest and its files are kept in."""
    objects = one.ws.objects
    held = manifest.read(one.digest, objects)
    return frozenset(held.objects | {one.digest, *manifest.leaves(one.digest, objects)})


def _files(body: Path) -> list[SentFile]:
    try:
        files = msgspec.msgpack.decode(body.read_bytes(), type=_FILES)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"The body is no list of files: {error}.", field="body") from error
    for file in files:
        manifest.check_path(file.path)
    return files


class _Placing:
    """Finds where the files of a list are kept; what is not there is named in ``missing``."""

    def __init__(
        self,
        ws: Workspace,
        keeping: Keeping,
        before: Mapping[str, Entry],
        files: Collection[SentFile],
    ) -> None:
        self.missing: dict[str, None] = {}
        self._ws, self._keeping, self._before = ws, keeping, before
        wanted: set[str] = set()
        for file in files:
            if not self._is_as_before(file):
                wanted.update(digest.hex() for _, digest in file.chunks)
                if not file.chunks:
                    wanted.add(file.sha256.hex())
        self._places: dict[str, Part] = {}
        for some in known.in_parts(sorted(wanted), known.BATCH):
            self._places |= keeping.find(some)

    def entry(self, file: SentFile) -> Entry | None:
        """Return where a file is kept, verified; None if something of it lacks.

        Raises:
            BadInputError: if its bytes are not what is said of them.
        """
        digest = file.sha256.hex()
        if file.size == 0:
            if file.sha256 != _NOTHING:
                raise _wrong(file, "sha256", "it is empty, and this is not the digest of nothing")
            return Entry(file.path, 0, digest, file.executable)
        if self._is_as_before(file):
            kept = self._before[file.path]
            return msgspec.structs.replace(kept, executable=file.executable)
        parts = self._of_chunks(file) if file.chunks else self._whole(file, digest)
        if parts is None:
            return None
        own = parts == (Part(digest, 0, file.size),)
        return Entry(file.path, file.size, digest, file.executable, () if own else parts)

    def _is_as_before(self, file: SentFile) -> bool:
        kept = self._before.get(file.path)
        return (
            kept is not None
            and (kept.size, kept.sha256) == (file.size, file.sha256.hex())
            and self._keeping.whole(kept)
        )

    def _whole(self, file: SentFile, digest: str) -> tuple[Part, ...] | None:
        """Return where the bytes of a file's own digest are: in a pack, or as an object."""
        place = self._places.get(digest)
        if place is None and file.size >= SMALL and self._keeping.is_there(digest):
            place = Part(digest, 0, self._ws.objects.size(digest))
        if place is None:
            self.missing[digest] = None
            return None
        if place.length != file.size:
            raise _wrong(file, "size", f"it has {place.length:,} bytes, not {file.size:,}")
        return (place,)

    def _of_chunks(self, file: SentFile) -> tuple[Part, ...] | None:
        total = sum(length for length, _ in file.chunks)
        if total != file.size:
            told = f"they have {total:,} bytes together, not {file.size:,}"
            raise _wrong(file, "chunks", told)
        parts: list[Part] = []
        lacks = False
        for length, one in file.chunks:
            place = self._places.get(one.hex())
            if place is None:
                self.missing[one.hex()] = None
                lacks = True
            elif place.length != length:
                raise _wrong(
                    file, "chunks", f"{one.hex()} has {place.length:,} bytes, not {length:,}"
                )
            else:
                parts.append(place)
        if lacks:
            return None
        found = hashlib.sha256()
        for place in parts:
            found.update(self._ws.objects.part(place.object, place.offset, place.length))
        if found.digest() != file.sha256:
            raise _wrong(file, "sha256", f"its chunks make up {found.hexdigest()}")
        return tuple(joined(parts))


def _wrong(file: SentFile, field: str, why: str) -> BadInputError:
    return BadInputError(f"{file.path} cannot be so: {why}.", field=field)

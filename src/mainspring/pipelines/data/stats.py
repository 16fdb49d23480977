r"""Remember the digests of files, so that what was not touched is not read again.

A file counts as untouched while its size, its times of change and its inode are those that
were seen before it was read. Clocks of file systems tick: a file that was written within the
tick in which it was looked at could be written once more without a sign (Git's "racy" entries).
So nothing is remembered of a file whose times were not well in the past when it was looked at;
it is read again, and then remembered, the next time.
"""

from __future__ import annotations

import os
import tempfile
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.identity import sha256
from mainspring.pipelines.data.walk import Row

if TYPE_CHECKING:
    from mainspring.pipelines.data.versions import DataVersion

_MAGIC = b"mainspring-stats-2\n"
#: Of older releases: the version at a place is still told, its files are read again.
_BEFORE = b"mainspring-stats-1\n"
#: The kernel stamps files by a clock that ticks 100 to 1000 times a second.
_TICK_NS = 50_000_000
#: A time of whole milliseconds may come from a file system that keeps no finer ones, or of
#: whole seconds; FAT keeps two seconds.
_COARSE_NS = 2_100_000_000

UNKNOWN = bytes(32)  #: in place of a digest that is not known

Packed = tuple[bytes, bytes]
"""The rows of a folder's files as :func:`pack` packs them, and their digests, 32 bytes each."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a place in the file system: the version that was there, and its files."""

    place: str
    name: str = ""  #: the dataset; empty if no version was added from or brought to it
    number: int = 0
    digest: str = ""  #: of that version
    manifest: str = ""
    kind: str = ""
    content: str = ""  #: of what the files hold, as a version's digest; empty unless all are known
    folders: dict[str, Packed] = {}  #: by what the paths of its files begin with


def of_version(
    place: Path, version: DataVersion, content: str, folders: dict[str, Packed]
) -> State:
    """Return the state of a place at which a version lies."""
    return State(
        place=str(place),
        name=version.name,
        number=version.number,
        digest=version.digest,
        manifest=version.manifest or "",
        kind=version.kind,
        content=content,
        folders=folders,
    )


def pack(rows: list[Row]) -> bytes:
    """Return the files of a folder as bytes: the same for the same files."""
    return msgspec.msgpack.encode(rows)


def unpack(packed: bytes) -> list[Row]:
    """Return the files of a folder."""
    return _ROWS.decode(packed)


_ROWS = msgspec.msgpack.Decoder(list[Row])


def is_settled(row: Row, seen_ns: int) -> bool:
    """Return whether a change after ``seen_ns`` would show in the file's times."""
    _, _, mtime_ns, ctime_ns, _, _ = row
    tick = _COARSE_NS if ctime_ns % 1_000_000 == 0 else _TICK_NS
    return max(mtime_ns, ctime_ns) + tick < seen_ns


def now_ns() -> int:
    """Return the time on the clock that file systems of this machine stamp files by."""
    return time.time_ns()


def load(folder: Path, place: Path) -> State:
    """Return what is known of a place; nothing if it was never kept, or is damaged."""
    found = of_file(_file(folder, place))
    return found if found and found.place == str(place) else State(place=str(place))


def of_file(file: Path) -> State | None:
    """Return the state that a file holds; None if there is none, or it is damaged."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    head, body = data[: len(_MAGIC) + 4], memoryview(data)[len(_MAGIC) + 4 :]
    check = zlib.crc32(body).to_bytes(4, "big")
    if head not in (_MAGIC + check, _BEFORE + check):
        return None  # cut short by a power cut: everything is read again
    return msgspec.msgpack.decode(body, type=State)


def save(folder: Path, state: State) -> None:
    """Keep what is known of a place, in one step.

    On a disk that is full or may not be written nothing is kept: the files are read again.
    """
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder, state)


def _write(folder: Path, state: State) -> None:
    body = msgspec.msgpack.encode(state)
    number, name = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(_MAGIC + zlib.crc32(body).to_bytes(4, "big"))
            file.write(body)
        Path(name).replace(_file(folder, Path(state.place)))
    finally:
        Path(name).unlink(missing_ok=True)


def _file(folder: Path, place: Path) -> Path:
    return folder / sha256(os.fsencode(place))[:32]

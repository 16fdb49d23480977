"""What waits for a server: journals and the files they name, and how to send them.

The journal is the spool. The server says how far it has folded a journal, and the bytes from
there on are sent; so an answer that was lost, a server that was away and a process that died
all come to the same: ask where to go on. Files that a journal names are sent when the server
says that it misses them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec

from mainspring.experiments import journal
from mainspring.experiments.frames import MAX_FRAME
from mainspring.experiments.journal import Part
from mainspring.ground.errors import DamagedError
from mainspring.ground.identity import sha256, slug
from mainspring.workspace.tracking.courier import Courier, Standing

AT_ONCE = MAX_FRAME + (1 << 20)  #: bytes of a journal in one request; the server takes more
_URL = "url"

Told = Callable[[int], None]


def folder_of(home: Path, url: str) -> Path:
    """Return the folder in which what is meant for a server waits.

    >>> folder_of(Path("/h"), "http://ml.lan:8750").name
    'http-ml-lan-8750.bb78b91f'
    """
    plain = url.rstrip("/")
    return home / "spool" / f"{slug(plain)}.{sha256(plain.encode())[:8]}"


def begin(folder: Path, url: str) -> None:
    """Make the folder of a spool, which knows its server."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if url_of(folder) != url.rstrip("/"):
        part = folder / f".{_URL}"
        part.write_text(url.rstrip("/"), "utf-8")
        part.replace(folder / _URL)


def url_of(folder: Path) -> str | None:
    """Return which server a spool is for, or None if it is no spool."""
    try:
        return (folder / _URL).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def folders(home: Path) -> list[Path]:
    """Return the spools of a home."""
    place = home / "spool"
    if not place.is_dir():
        return []
    return sorted(one for one in place.iterdir() if url_of(one) is not None)


def waiting(folder: Path) -> int:
    """Return how many bytes of journals a spool holds."""
    return sum(part.size for parts in journal.listed(folder).values() for part in parts)


def objects_of(folder: Path, name: str) -> Path:
    """Return where the files wait that a journal names."""
    return folder / "objects" / name


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal has come."""

    position: int  #: the server has it up to here
    closed: bool = False  #: wholly, and its process is gone: nothing of it waits here any more


def send(
    courier: Courier,
    folder: Path,
    name: str,
    parts: list[Part],
    told: Told | None = None,
    known: Reach | None = None,
) -> Reach:
    """Send a journal as far as it goes by now, and take away what the server has.

    When no more may come of its process the journal is closed. ``told`` hears of every stretch
    how many bytes it had. ``known`` is how far it had come the last time: the server is not
    asked first, and says so if it is not.

    Raises:
        UnavailableError: if the server does not answer; some of it may be there by then.
        MainspringError: if the server refuses it for good.
        StoreError: if its bytes are gone, or not what was written.
    """
    if known is None or known.position < parts[0].begin:  # somebody else sent more of it
        at = courier.standing(name)
    else:
        at = Standing(position=known.position)
    while not at.closed:
        parts, alive = journal.followed(parts)
        if not parts:
            return Reach(position=at.position, closed=True)
        data, ended = _stretch(parts, at.position, alive=alive)
        if not data and ended is None:
            break
        before = at.position
        at = _sent(courier, folder, name, before, data, ended)
        parts = _drop(parts, at.position)
        if told is not None:
            told(at.position - before)
        if at.position == before and not at.closed:
            break  # half a frame, which its process is about to finish
    if at.closed:
        _forget(folder, name, parts)
    return Reach(position=at.position, closed=at.closed)


def _stretch(parts: list[Part], position: int, *, alive: bool) -> tuple[bytes, float | None]:
    """Return what comes next, and the time at which its process ended if that is all."""
    newest = parts[-1]
    data = journal.bytes_from(parts, position, AT_ONCE)
    last = position + len(data) >= newest.begin + newest.size
    return data, newest.path.stat().st_mtime if last and not alive else None


def _sent(
    courier: Courier, folder: Path, name: str, position: int, data: bytes, ended: float | None
) -> Standing:
    at = courier.send(name, position, data, ended)
    if not at.missing:
        return at
    for digest in at.missing:
        file = objects_of(folder, name) / digest[:2] / digest[2:]
        if not file.is_file():
            raise DamagedError(f"The journal {name} names the object {digest}, which is gone.")
        courier.put(digest, file)
    at = courier.send(name, position, data, ended)
    if at.missing:
        raise DamagedError(f"The server misses what it was sent: {', '.join(at.missing)}.")
    return at


def _drop(parts: list[Part], position: int) -> list[Part]:
    gone = [part for part, after in pairwise(parts) if after.begin <= position]
    for part in gone:
        part.path.unlink(missing_ok=True)
    return [part for part in parts if part not in gone]


def _forget(folder: Path, name: str, parts: list[Part]) -> None:
    for part in parts:
        part.path.unlink(missing_ok=True)
    shutil.rmtree(objects_of(folder, name), ignore_errors=True)

"""Delete the objects that nothing names any more.

What is needed is found, not counted: every text column of every table is searched for
digests, so are the files of the home that hold what is not in the database yet, and the
manifests among the objects found so are followed. Whatever is not found, and was not put
within the last day, goes. The order makes dying harmless: rows go before the objects they
name, and an object that is left over is found by the next time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from mainspring.ground.errors import NotFoundError
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Kept, Tx
from mainspring.workspace.keeping import texts
from mainspring.workspace.opening import Workspace

#: Folders of a home in which nothing names an object: traffic, what processes print, parts of
#: uploads, objects (ours, and those that wait for a server), what is remembered of data, what is
#: built and what is made again.
_PASSED = frozenset({"captures", "logs", "uploads", "objects", "data", "cache", "again"})
HELD_BYTES = 16 << 20  #: a manifest larger than this is read from a file, piece by piece
AT_ONCE = 16  #: objects looked into side by side; a bucket answers slowly
_OVERLAP = 63  #: a digest less one: it may lie across two pieces


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """How much lies there."""

    objects: int
    size: int  #: bytes


def measured(objects: dict[bytes, Kept]) -> Space:
    """Return the number and the size of some objects."""
    return Space(objects=len(objects), size=sum(one.size for one in objects.values()))


def listed(ws: Workspace) -> dict[bytes, Kept]:
    """Return every object that is kept, by its digest as bytes."""
    return {bytes.fromhex(one.digest): one for one in ws.objects.each()}


def unneeded(
    ws: Workspace,
    there: dict[bytes, Kept],
    without: frozenset[str] = frozenset(),
    tell: Callable[[int], None] = lambda _: None,
) -> list[Kept]:
    """Return which of the objects nothing needs; ``without`` some runs, as if they were gone.

    Raises:
        DamagedError: if an object whose bytes are needed to tell is damaged.
    """
    # The files first: what a journal loses meanwhile has gone into the tables.
    found: set[bytes] = set()
    for file in _files(ws):
        found |= digests_of_file(file)
    found |= ws.read(Permission.ADMIN, lambda tx: _named(tx, without))
    needed = found & there.keys()
    todo = [there[digest] for digest in needed]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="gc") as pool:
        while todo:
            part, todo = todo[: AT_ONCE * 64], todo[AT_ONCE * 64 :]
            # What is no object goes at once: a manifest names the digests of thousands of files.
            for inside in pool.map(lambda one: named_in(ws, one) & there.keys(), part):
                new = inside - needed
                needed |= new
                todo += [there[digest] for digest in new]
            tell(len(needed) - len(todo))
    return [one for digest, one in there.items() if digest not in needed]


def sweep(
    ws: Workspace, gone: list[Kept], before: float, tell: Callable[[int], None]
) -> list[Kept]:
    """Delete objects unless somebody put them at or after ``before``; return which went."""
    done: list[Kept] = []
    for number, one in enumerate(gone, 1):
        if one.at < before and ws.objects.delete(one.digest, before):
            done.append(one)
            here("gc.deleted")
        tell(number)
    return done


def _named(tx: Tx, without: frozenset[str]) -> set[bytes]:
    found: set[bytes] = set()
    for table in texts.tables():
        if table.name in texts.SILENT:
            continue
        skip = without.__contains__ if without else None
        for text in texts.long_texts(tx, table, skip):
            found |= texts.digests_in(text.encode("utf-8", "surrogatepass"))
    return found


def named_in(ws: Workspace, one: Kept) -> set[bytes]:
    """Return the digests that an object names, if it is a manifest, which all are JSON."""
    if one.size < 64:
        return set()
    try:
        if ws.objects.part(one.digest, 0, 1) not in (b"{", b"["):
            return set()
        if one.size <= HELD_BYTES:
            return texts.digests_in(ws.objects.get(one.digest))
        with tempfile.TemporaryDirectory(prefix="mainspring-gc-") as folder:
            file = Path(folder) / "manifest"
            ws.objects.fetch(one.digest, file)
            return digests_of_file(file)
    except NotFoundError:  # another gc was faster
        return set()


def _files(ws: Workspace) -> Iterator[Path]:
    """Go through the files of a home that may name objects: journals above all."""
    objects = Path(ws.settings.objects_url.removeprefix("file://")).absolute()
    database = ws.settings.database_url.removeprefix("sqlite:///")
    for folder, folders, names in os.walk(ws.home):
        here_ = Path(folder)
        folders[:] = [
            name
            for name in folders
            if name not in _PASSED and (here_ / name).absolute() != objects
        ]
        for name in names:
            file = here_ / name
            if file.is_file() and not file.is_symlink() and not str(file).startswith(database):
                yield file


def digests_of_file(file: Path) -> set[bytes]:
    """Return every digest that a file names, read piece by piece."""
    found: set[bytes] = set()
    tail = b""
    try:
        with file.open("rb") as source:
            while piece := source.read(1 << 20):
                found |= texts.digests_in(tail + piece)
                tail = (tail + piece)[-_OVERLAP:]
    except FileNotFoundError:  # folded and taken away this moment: its rows are there
        return found
    return found

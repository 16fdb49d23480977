"""Take an archive in: verify it whole, keep its objects, then put in its rows, all or none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from mainspring.ground.errors import DamagedError, StoreError
from mainspring.ground.identity import sha256_file
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Tx
from mainspring.workspace.archive import merging
from mainspring.workspace.archive.merging import Merged
from mainspring.workspace.archive.reading import Archive
from mainspring.workspace.opening import Workspace

Tell = Callable[[str, int, int], None]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken in."""

    sha256: str  #: of the archive
    added: int  #: rows
    same: int  #: rows that were there already
    objects: int
    unfinished: int  #: tasks that were under way where it was written


def take_in(ws: Workspace, file: Path, *, tell: Tell = lambda _what, _at, _of: None) -> Imported:
    """Import an archive beside what is there, or not at all.

    (1) Read all of it and check every digest; (2) keep the objects, each under the digest of
    its own bytes; (3) put in every row in one transaction, with a line in the audit log. Cut
    short before (3) is done, it leaves no more than objects that nothing names, for gc.

    Raises:
        NotFoundError: if there is no such file.
        DamagedError: if the archive is cut short or was changed.
        BadInputError: if a newer release wrote it.
        ConflictError: if rows are there already and differ; it names some of them.
    """
    authorise(ws.who, Permission.ADMIN)
    with Archive(file) as archive:
        archive.verify(tell)
        digest = sha256_file(file)
        _keep_objects(ws, archive, tell)

        def work(tx: Tx) -> Merged:
            tell("rows", 0, 0)
            found = merging.merge(tx, archive)
            detail = {
                "sha256": digest,
                "added": found.added,
                "same": found.same,
                "mainspring": archive.manifest.mainspring,
                "audit": msgspec.to_builtins(archive.manifest.audit),
            }
            tx.audit("archive.import", f"archive:{digest[:16]}", detail)
            here("import.rows")
            return found

        done = ws.write(Permission.ADMIN, work)
        return Imported(
            sha256=digest,
            added=done.added,
            same=done.same,
            objects=archive.manifest.objects.count,
            unfinished=archive.manifest.unfinished,
        )


def _keep_objects(ws: Workspace, archive: Archive, tell: Tell) -> None:
    total = archive.manifest.objects.count
    for number, (digest, pieces) in enumerate(archive.objects(), 1):
        if _put(ws, pieces) != digest:
            raise DamagedError(f"The archive is damaged: object {digest} was changed meanwhile.")
        tell("objects", number, total)
        here("import.object")


def _put(ws: Workspace, pieces: Iterator[bytes]) -> str:
    first = next(pieces, b"")
    second = next(pieces, None)
    if second is None:  # the most are small
        return ws.objects.put(first)
    with tempfile.TemporaryDirectory(prefix="mainspring-import-") as folder:
        copy = Path(folder) / "object"
        try:
            with copy.open("wb") as out:
                out.write(first)
                out.write(second)
                for piece in pieces:
                    out.write(piece)
        except OSError as error:
            raise StoreError(f"An object could not be unpacked: {error.strerror}.") from error
        return ws.objects.put_file(copy)

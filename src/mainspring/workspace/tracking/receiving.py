"""Take what scripts elsewhere logged: the server's end of :mod:`sending`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.experiments import extras, folding, frames
from mainspring.experiments.folding import Folded, Stretch
from mainspring.ground.errors import BadInputError, PermissionDeniedError
from mainspring.ground.identity import check_digest, sha256_file
from mainspring.ground.permissions import Permission, Role

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

#: Of a journal at once: what is folded in one transaction. A frame fits.
MAX_JOURNAL = 16 << 20
MAX_OBJECT = 16 << 30  #: bytes of one file


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal is folded."""

    position: int
    closed: bool = False  #: nothing more is taken: its process is gone
    missing: list[str] = []  #: digests of objects that have to be sent first


def standing(ws: Workspace, journal: str) -> Standing:
    """Return how far a journal is folded; one that nobody knows is at 0.

    Raises:
        PermissionDeniedError: if somebody else began it.
    """
    known = ws.read(Permission.LOG, lambda tx: folding.standings(tx, [journal])).get(journal)
    if known is None:
        return Standing(position=0)
    _check_owner(ws, journal, known.owner)
    return Standing(position=known.position, closed=known.closed is not None)


def receive(
    ws: Workspace, journal: str, position: int, body: Path, ended: float | None
) -> Standing:
    """Fold bytes of a journal that stand at a position of it, as far as they are new.

    Raises:
        PermissionDeniedError: if somebody else began the journal.
        BadInputError: if the bytes are damaged, or say what cannot be kept.
    """
    data = body.read_bytes()
    before = standing(ws, journal)
    missing = _missing(ws, data[max(0, before.position - position) :])
    if missing:
        return Standing(position=before.position, closed=before.closed, missing=missing)

    def work(tx: Tx) -> Folded:
        known = folding.standings(tx, [journal]).get(journal)
        owner = ws.who.name
        if known is not None:
            _check_owner(ws, journal, known.owner)
            owner = known.owner
        one = Stretch(journal=journal, start=position, data=data, owner=owner, ended=ended)
        return folding.fold(tx, [one], ws.clock.now())[journal]

    told = ws.write(Permission.LOG, work)
    rest = data[max(0, told.position - position) :] if told.position >= position else b""
    if told.damaged or (ended is None and frames.is_broken(rest)):
        raise BadInputError(
            f"The journal {journal} is damaged at its byte {told.position:,}: no whole frame"
            " begins there.",
            field="body",
        )
    return Standing(position=told.position, closed=told.closed)


def keep(ws: Workspace, digest: str, body: Path) -> None:
    """Keep a file's bytes, whose digest must be the one that was named.

    Raises:
        BadInputError: if it is not.
    """
    found = sha256_file(body)
    if found != digest:
        raise BadInputError(f"The bytes have the digest {found}, not {digest}.", field="digest")
    ws.objects.put_file(body)


def _check_owner(ws: Workspace, journal: str, owner: str) -> None:
    if owner != ws.who.name and ws.who.role is not Role.ADMIN:
        raise PermissionDeniedError(
            f"The journal {journal} was begun by {owner}.",
            hint="Send it with that token, or ask an admin to.",
        )


def _missing(ws: Workspace, data: bytes) -> list[str]:
    """Return the digests of files that the frames name and nobody sent yet."""
    named: dict[str, set[int]] = {}
    for one in frames.read(data).frames:
        if isinstance(one, frames.File):
            named.setdefault(check_digest(one.digest), set()).add(one.size)
        elif isinstance(one, frames.Extra):
            for digest, size in extras.files_of(one).items():
                named.setdefault(check_digest(digest), set()).add(size)
    # What is there might be about to go, until the rows name it.
    missing = [digest for digest in named if not ws.objects.renew(digest)]
    for digest in named.keys() - set(missing):
        kept = ws.objects.size(digest)
        if named[digest] != {kept}:
            told = ", ".join(f"{size:,}" for size in sorted(named[digest] - {kept}))
            raise BadInputError(
                f"The object {digest} has {kept:,} bytes; a frame says {told}.", field="size"
            )
    return missing

"""Take what scripts elsewhere logged: the server's end of :mod:`sending`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.experiments import folding, frames
from mainspring.experiments.folding import Folded, Stretch
from mainspring.ground.errors import BadInputError, PermissionDeniedError
from mainspring.ground.identity import sha256_file
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
    if told.damaged:
        raise BadInputError(
            f"The journal {journal} is damaged at its byte {told.position:,}.", field="body"
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
    found = frames.read(data).frames
    named = dict.fromkeys(one.digest for one in found if isinstance(one, frames.File))
    # What is there might be about to go, until the rows name it.
    return [digest for digest in named if not ws.objects.renew(digest)]

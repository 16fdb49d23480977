"""Journals and objects: what scripts on other machines logged, and the files that belong to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.receiving import MAX_JOURNAL, MAX_OBJECT, Standing

JournalId = Annotated[
    str,
    Meta(
        pattern="^jrn_[0-9a-z]{26}$",
        description="The journal's id; its process makes it up.",
        examples=["jrn_01jz0000000000000000000000"],
    ),
]
Digest = Annotated[
    str, Meta(pattern="^[0-9a-f]{64}$", description="The sha256 of the bytes, in hexadecimal.")
]


class OfJournal(Request, frozen=True, kw_only=True):
    """About one journal."""

    journal: JournalId


class SendJournal(Request, frozen=True, kw_only=True):
    """Which journal, where in it the bytes of the body stand, and whether they are the last."""

    journal: JournalId
    position: Annotated[int, Meta(ge=0, le=2**62)]
    ended: Annotated[float, Meta(ge=0, le=253_402_300_799)] | None = None


class OfObject(Request, frozen=True, kw_only=True):
    """About the bytes of one digest."""

    digest: Digest


@operation("journals.get", "GET", "/api/v1/journals/{journal}", Permission.LOG)
def get_journal(ws: Workspace, request: OfJournal) -> Standing:
    """Say how far a journal is folded: its bytes from there on are wanted next."""
    from mainspring.workspace.tracking.receiving import standing

    return standing(ws, request.journal)


@operation(
    "journals.send",
    "POST",
    "/api/v1/journals/{journal}",
    Permission.LOG,
    takes_bytes=MAX_JOURNAL,
    example={"journal": "jrn_01jz0000000000000000000000", "position": 0},
)
def send_journal(ws: Workspace, request: SendJournal, body: Path) -> Standing:
    """Fold bytes of a journal, as far as they are new, and say how far it is folded then.

    Sending them again changes nothing. Objects that its files need are sent first: those that
    are missing are named, and nothing is folded until they are there. ``ended`` says that the
    journal's process let go of it or died then: runs that it left open are crashed.
    """
    from mainspring.workspace.tracking.receiving import receive

    return receive(ws, request.journal, request.position, body, request.ended)


@operation(
    "objects.put", "PUT", "/api/v1/objects/{digest}", Permission.LOG, takes_bytes=MAX_OBJECT
)
def put_object(ws: Workspace, request: OfObject, body: Path) -> Done:
    """Keep the bytes of the body under their digest, which must be the one in the path."""
    from mainspring.workspace.tracking.receiving import keep

    keep(ws, request.digest, body)
    return Done()

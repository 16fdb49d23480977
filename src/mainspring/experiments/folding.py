"""Fold journals into the store: what they say becomes runs, params, points and files.

Folding a stretch of a journal twice changes nothing: in the transaction that takes its frames,
the table of journals moves on to where they end. What the store must refuse, such as a param
that another process had set to another value, is kept as a note of the run; nothing is dropped
unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from mainspring.experiments import frames as f
from mainspring.experiments.tables import journals, run_notes
from mainspring.ground.errors import PermissionDeniedError
from mainspring.ground.ports import Tx

if TYPE_CHECKING:
    from mainspring.experiments.taking import Batch


class Stretch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Bytes of one journal, from a place in its stream on."""

    journal: str
    start: int
    data: bytes
    owner: str  #: the principal that began the journal
    ended: float | None = None  #: no more will come: its process died, or let go, at this time


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal is folded."""

    position: int
    closed: bool = False  #: its process is gone and every whole frame is folded
    damaged: bool = False  #: whole frames follow after bytes that are none


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the table of journals says of one."""

    owner: str
    position: int
    open: list[str] = []
    closed: float | None = None


def fold(tx: Tx, stretches: Sequence[Stretch], now: float) -> dict[str, Folded]:
    """Take what the stretches say, as far as it is new.

    Raises:
        PermissionDeniedError: if a journal was begun by another principal.
        BadInputError: if a frame says something that cannot be.
    """
    known = standings(tx, [one.journal for one in stretches])
    from mainspring.experiments.taking import Batch  # it loads numpy

    batch, told = Batch(), {}
    for one in stretches:
        before = known.get(one.journal) or Standing(owner=one.owner, position=0)
        if before.owner != one.owner:
            raise PermissionDeniedError(f"The journal {one.journal} is somebody else's.")
        told[one.journal] = _take(tx, batch, one, before, now)
    batch.apply(tx)
    return told


def standings(tx: Tx, ids: Sequence[str]) -> dict[str, Standing]:
    """Return what is known of journals."""
    found: dict[str, Standing] = {}
    for start in range(0, len(ids), 500):  # SQLite takes a bounded number of variables
        here = journals.c.id.in_(list(ids[start : start + 500]))
        for row in tx.all(select(journals).where(here)):
            found[row.id] = Standing(
                owner=row.owner,
                position=row.position,
                open=msgspec.json.decode(row.open, type=list[str]),
                closed=row.closed,
            )
    return found


def notes_of(tx: Tx, run: str) -> list[str]:
    """Return what was logged for a run and could not be taken, in words."""
    statement = select(run_notes.c.text).where(run_notes.c.run == run)
    return [row.text for row in tx.all(statement.order_by(run_notes.c.id).limit(1_000))]


def _take(tx: Tx, batch: Batch, one: Stretch, before: Standing, now: float) -> Folded:
    behind = before.position - one.start
    if behind < 0 or before.closed is not None or behind > len(one.data):
        # Bytes between are not here, or it is all known: whoever asks goes on from there.
        return Folded(position=before.position, closed=before.closed is not None)
    data = one.data[behind:] if behind else one.data
    got = f.read(data)
    opened, count = batch.gather(got.frames, before.open)
    whole = count == len(got.frames)  # else the rest is for the next transaction
    # What stands before damage is taken, and the journal stays where it is.
    closing = one.ended is not None and not got.damaged and whole
    if closing and one.ended is not None:
        batch.crash(opened, one.ended)
        opened = []
    position = before.position + (got.size if whole else f.size_of(data, count))
    if position != before.position or closing:
        _keep(tx, one, position, opened, now, one.ended if closing else None)
    return Folded(position=position, closed=closing, damaged=got.damaged and whole)


def _keep(
    tx: Tx, one: Stretch, position: int, opened: list[str], now: float, closed: float | None
) -> None:
    cells = {
        "id": one.journal,
        "owner": one.owner,
        "position": position,
        "open": msgspec.json.encode(opened).decode(),
        "seen": now,
        "closed": closed,
    }
    if tx.dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_  # type: ignore[assignment]
    statement = insert_(journals).values(**cells)
    change = {name: cells[name] for name in ("position", "open", "seen", "closed")}
    tx.run(statement.on_conflict_do_update(index_elements=["id"], set_=change))

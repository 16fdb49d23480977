"""The one gate of a model: declared with its loop, else for the model itself."""

from __future__ import annotations

from typing import Literal

from mainspring.engine import reactor
from mainspring.ground.errors import ConflictError
from mainspring.ground.gates import Gate
from mainspring.ground.objects import Record
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Tx
from mainspring.readiness import declared, facts
from mainspring.workspace.opening import Workspace

#: Of a model for which nobody declared one. A card is asked for where somebody says so.
DEFAULT = Gate(needs_card=False)


class ModelGate(Record, frozen=True, kw_only=True):
    """The gate of a model and where it comes from."""

    model: str
    gate: Gate
    source: Literal["loop", "model", "default"]
    loop: str | None = None  #: the loop that it was declared with
    at: float | None = None  #: wall time of the declaration, where it is known
    by: str | None = None


def of_model(tx: Tx, model: str) -> ModelGate:
    """Return the gate of a model."""
    for row in reactor.loop_rows(tx):
        if row.spec.model == model:
            return ModelGate(
                model=model, gate=row.spec.gate, source="loop", loop=row.name, by=row.by
            )
    known = declared.of_model(tx, model)
    if known is not None:
        return ModelGate(model=model, gate=known.gate, source="model", at=known.at, by=known.by)
    return ModelGate(model=model, gate=DEFAULT, source="default")


def show(ws: Workspace, model: str) -> ModelGate:
    """Return the gate of a model, by its name or title.

    Raises:
        NotFoundError: if there is no such model.
    """

    def look(tx: Tx) -> ModelGate:
        name = facts.called(tx, model)
        facts.check_model(tx, name)
        return of_model(tx, name)

    return ws.read(Permission.READ, look)


def declare(ws: Workspace, model: str, gate: Gate) -> ModelGate:
    """Declare the gate of a model that no loop looks after.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if a loop looks after it: its gate is declared there, and nowhere else.
    """

    def work(tx: Tx) -> ModelGate:
        name = facts.called(tx, model)
        facts.check_model(tx, name)
        put(tx, name, gate)
        return of_model(tx, name)

    return ws.write(Permission.LOOP, work)


def refuse_fewer_eyes(tx: Tx, model: str, gate: Gate) -> None:
    """Refuse to drop the second pair of eyes of a model to whoever is no approver.

    Else an author who may declare loops could approve by declaring that nobody need.

    Raises:
        PermissionDeniedError: if the gate there is asks for an approval, this one does not, and
            who declares it may not promote.
    """
    if of_model(tx, model).gate.approval and not gate.approval:
        authorise(tx.who, Permission.PROMOTE)


def put(tx: Tx, model: str, gate: Gate) -> None:
    """Declare a model's gate in a transaction; the same gate again is no new declaration.

    Raises:
        ConflictError: if a loop declares another gate for the model.
    """
    known = of_model(tx, model)
    if known.source == "loop":
        if known.gate != gate:
            raise ConflictError(
                f"The gate of {model} is declared with its loop {known.loop}; a model has one.",
                field="gate",
                hint="Change it there, or ask for none: the loop's is used.",
            )
        return
    refuse_fewer_eyes(tx, model, gate)
    declared.declare(tx, model, gate)

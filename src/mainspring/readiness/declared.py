"""Keep the gate that was declared for a model that no loop looks after. The newest stands."""

from __future__ import annotations

import msgspec
from sqlalchemy import insert, select

from mainspring.ground.gates import Gate
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Record
from mainspring.ground.ports import Tx
from mainspring.readiness.tables import declared_gates as table


class Declared(Record, frozen=True, kw_only=True):
    """One declaration of a model's gate."""

    model: str
    gate: Gate
    at: float  #: wall time
    by: str


def declare(tx: Tx, model: str, gate: Gate) -> bool:
    """Keep the gate of a model; return False if it is declared so already."""
    known = of_model(tx, model)
    if known is not None and known.gate == gate:
        return False
    text = canonical(gate).decode()
    tx.run(insert(table).values(model=model, gate=text, at=tx.now(), by=tx.who.name))
    told = {"gate": msgspec.to_builtins(gate)}
    told |= {"before": None if known is None else msgspec.to_builtins(known.gate)}
    tx.audit("gate.declare", f"model:{model}", told)
    return True


def of_model(tx: Tx, model: str) -> Declared | None:
    """Return the newest declaration for a model, or None."""
    query = select(table).where(table.c.model == model).order_by(table.c.id.desc())
    row = tx.one(query.limit(1))
    if row is None:
        return None
    gate = msgspec.json.decode(row.gate, type=Gate)
    return Declared(model=row.model, gate=gate, at=row.at, by=row.by)

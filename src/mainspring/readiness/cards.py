"""Read the cards of versions: the newest stands, those before it are its history."""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from mainspring.ground.objects import Card, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import tables as t


def newest(tx: Tx, model: str, number: int | None = None) -> dict[int, Card]:
    """Return the newest card that was written for each version of a model, or for one."""
    query = select(t.cards).where(t.cards.c.model == model).order_by(t.cards.c.id)
    if number is not None:
        query = query.where(t.cards.c.number == number)
    return {row.number: msgspec.json.decode(row.card, type=Card) for row in tx.all(query)}


def written(tx: Tx, model: str, number: int) -> list[tuple[Card, float, str]]:
    """Return every card that was written after the version, when and by whom, newest first."""
    asked = (t.cards.c.model == model) & (t.cards.c.number == number)
    rows = tx.all(select(t.cards).where(asked).order_by(t.cards.c.id.desc()))
    return [(msgspec.json.decode(row.card, type=Card), row.at, row.by) for row in rows]


def registered(tx: Tx, model: str, number: int) -> Card | None:
    """Return the card that a version was registered with."""
    asked = (t.versions.c.model == model) & (t.versions.c.number == number)
    row = tx.one(select(t.versions.c.record).where(asked))
    return None if row is None else msgspec.json.decode(row.record, type=Version).card

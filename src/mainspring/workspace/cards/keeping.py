"""Let people say their part of a card or a sheet; what was said before stays readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.debt import sheets
from mainspring.experiments import datasets
from mainspring.ground.cards import check
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Card, DataSheet
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record
from mainspring.readiness import cards, facts, registry
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up


class WrittenCard(Record, frozen=True, kw_only=True):
    """A card as it was at some time."""

    card: Card
    at: float
    by: str


def set_card(ws: Workspace, model: str, number: int, words: Mapping[str, Any]) -> Card:
    """Change the fields of a version's card that are given, and return the whole card.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if an assumption lacks a text, an owner or a day.
    """

    def work(tx: Tx) -> Card:
        named = facts.called(tx, model)
        before = registry.get(tx, named, number).card
        blank = Card(purpose="", owner="", limitations="")
        card = check(msgspec.structs.replace(before or blank, **words))
        if card != before:
            registry.set_card(tx, named, number, card, ws.clock.now())
        return card

    return ws.write(Permission.REGISTER, work)


def card_history(ws: Workspace, model: str, number: int) -> list[WrittenCard]:
    """Return every card that was written for a version by hand, the newest first.

    The card it was registered with is the last of them.

    Raises:
        NotFoundError: if there is no such version.
    """

    def look(tx: Tx) -> list[WrittenCard]:
        named = facts.called(tx, model)
        version = registry.get(tx, named, number)
        written = [
            WrittenCard(card=card, at=at, by=by)
            for card, at, by in cards.written(tx, named, number)
        ]
        first = cards.registered(tx, named, number)
        if first is not None:
            written.append(WrittenCard(card=first, at=version.created, by=version.by))
        return written

    return ws.read(Permission.READ, look)


def set_data_sheet(ws: Workspace, name: str, words: Mapping[str, Any]) -> DataSheet:
    """Change the fields of a dataset's sheet that are given, and return the whole sheet.

    Raises:
        NotFoundError: if no run logged such a dataset.
    """
    caught_up(ws)

    def work(tx: Tx) -> DataSheet:
        if not datasets.by_name(tx, name):
            raise NotFoundError(f"There is no dataset {name!r}.", field="name")
        sheet = msgspec.structs.replace(sheets.get(tx, name), **words)
        sheets.put(tx, name, sheet, ws.clock.now())
        return sheet

    return ws.write(Permission.REGISTER, work)

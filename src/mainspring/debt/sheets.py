"""Keep what people say of datasets, with everything that was said before."""

from __future__ import annotations

import msgspec
from sqlalchemy import insert, select

from mainspring.debt.tables import data_sheets
from mainspring.ground.identity import canonical
from mainspring.ground.objects import DataSheet
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record


class Said(Record, frozen=True, kw_only=True):
    """A sheet as it was at some time."""

    sheet: DataSheet
    at: float
    by: str


def put(tx: Tx, name: str, sheet: DataSheet, at: float) -> None:
    """Let a sheet stand for a dataset from now on; the same words again change nothing."""
    before = history(tx, name, limit=1)
    if before and before[0].sheet == sheet:
        return
    text = canonical(sheet).decode()
    tx.run(insert(data_sheets).values(name=name, sheet=text, at=at, by=tx.who.name))
    tx.audit("datasheet.set", f"dataset:{name}", {"sheet": msgspec.to_builtins(sheet)})


def get(tx: Tx, name: str) -> DataSheet:
    """Return the sheet that stands; a blank one where nobody said anything."""
    found = history(tx, name, limit=1)
    return found[0].sheet if found else DataSheet()


def history(tx: Tx, name: str, limit: int = 100) -> list[Said]:
    """Return what was said of a dataset, the newest first."""
    query = select(data_sheets).where(data_sheets.c.name == name)
    return [
        Said(sheet=msgspec.json.decode(row.sheet, type=DataSheet), at=row.at, by=row.by)
        for row in tx.all(query.order_by(data_sheets.c.id.desc()).limit(limit))
    ]

"""Insert rows, or leave those that are there: the one thing that both databases word apart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

from mainspring.ground.ports import Tx


def insert(tx: Tx, table: Table) -> Any:
    """Return an INSERT that can say what happens on a conflict.

    SQLAlchemy's package of a dialect imports every driver there is for it, so that of the other
    database is left alone.
    """
    if tx.dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as ours
    else:
        from sqlalchemy.dialects.sqlite import insert as ours  # type: ignore[assignment]
    return ours(table)


def insert_or_leave(tx: Tx, table: Table) -> Any:
    """Return an INSERT that leaves rows alone which are there already."""
    return insert(tx, table).on_conflict_do_nothing()

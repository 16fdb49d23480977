"""What is watched without a loop: an endpoint, and what its windows are judged by."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Kind, LoopSpec, MonitorPolicy, Record
from mainspring.ground.ports import Tx
from mainspring.monitoring.tables import watches


class Watch(Record, frozen=True, kw_only=True):
    """A monitor of one endpoint, as declared, with how the rows that are fed to it are read."""

    endpoint: str
    model: str
    kind: Kind
    target: str = ""
    monitor: MonitorPolicy = MonitorPolicy()
    columns: dict[str, Any] = {}  #: see ``workspace.feeding.naming.Columns``
    created: float = 0.0
    by: str = ""

    def as_loop(self) -> LoopSpec:
        """Return what a loop would declare to be watched so; it has no name and no pipeline."""
        return LoopSpec(
            name="",
            model=self.model,
            pipeline="",
            endpoint=self.endpoint,
            target=self.target,
            kind=self.kind,
            monitor=self.monitor,
        )


def save(tx: Tx, watch: Watch) -> None:
    """Keep a watch; the one that was declared before is replaced."""
    text = canonical(watch).decode()
    mine = watches.c.endpoint == watch.endpoint
    if tx.run(update(watches).where(mine).values(watch=text)) == 0:
        tx.run(insert(watches).values(endpoint=watch.endpoint, watch=text))


def find(tx: Tx, endpoint: str) -> Watch | None:
    """Return how an endpoint is watched; None if it is not, or by a loop."""
    row = tx.one(select(watches).where(watches.c.endpoint == endpoint))
    return None if row is None else msgspec.json.decode(row.watch, type=Watch)


def get(tx: Tx, endpoint: str) -> Watch:
    """Return how an endpoint is watched.

    Raises:
        NotFoundError: if it is not.
    """
    found = find(tx, endpoint)
    if found is None:
        raise NotFoundError(f"Nothing watches {endpoint!r}.", field="endpoint")
    return found


def every(tx: Tx) -> list[Watch]:
    """Return every watch, by endpoint."""
    rows = tx.all(select(watches).order_by(watches.c.endpoint))
    return [msgspec.json.decode(row.watch, type=Watch) for row in rows]


def remove(tx: Tx, endpoint: str) -> None:
    """Watch an endpoint no more; what was found stays."""
    tx.run(delete(watches).where(watches.c.endpoint == endpoint))

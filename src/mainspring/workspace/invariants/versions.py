"""The promises of the registry."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from mainspring.ground.ports import Tx
from mainspring.readiness import tables as t
from mainspring.readiness import verdicts
from mainspring.workspace.opening import Workspace


def aliases(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001  one shape
    """Yield aliases that name no version, and those whose history tells another story."""
    there = {(row.model, row.number) for row in tx.all(select(t.versions))}
    gone = {(row.model, row.number) for row in tx.all(select(t.deleted_versions))}
    told = {
        (row.model, row.alias): row.number
        for row in tx.all(select(t.alias_history).order_by(t.alias_history.c.id))
    }
    for row in tx.all(select(t.aliases)):
        named = f"{row.model}@{row.alias}"
        if (row.model, row.number) not in there:
            yield f"{named} names version {row.number}, which is not there."
        elif (row.model, row.number) in gone:
            yield f"{named} names version {row.number}, which is deleted."
        last = told.get((row.model, row.alias))
        if last != row.number:
            yield f"{named} names version {row.number}, and its history ends with {last}."


def champions(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield champions that never passed a gate."""
    for row in tx.all(select(t.aliases).where(t.aliases.c.alias == "champion")):
        if not verdicts.ever_passed(tx, row.model, row.number):
            yield f"{row.model}/{row.number} is champion and never passed a gate."


def numbers(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield models whose versions are not 1 to the newest."""
    found: dict[str, list[int]] = {}
    for row in tx.all(select(t.versions).order_by(t.versions.c.number)):
        found.setdefault(row.model, []).append(int(row.number))
    for row in tx.all(select(t.models)):
        several = found.get(row.name, [])
        if several != list(range(1, int(row.newest) + 1)):
            yield f"{row.name} counts {row.newest} versions and has {len(several)}."

"""The pages of data: datasets, the versions of one, and what differs between two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import versions
from mainspring.pipelines.data.versions import DataVersion
from mainspring.web.pages import bars
from mainspring.workspace.data import comparing, profiles, showing, telling
from mainspring.workspace.data.profiles import Side
from mainspring.workspace.opening import Workspace

_VERSIONS = 200
#: Bytes of tables that nobody has counted yet, which a page counts; more is the command's to do.
MOST_COUNTED = 256_000_000


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return every dataset, with its newest version."""
    return {"datasets": ws.read(Permission.READ, versions.names)}


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the versions of a dataset, the newest first, and one of them in full."""
    name = asked["name"]
    every = ws.read(Permission.READ, lambda tx: versions.every(tx, name))
    chosen = _chosen(every, asked.get("version", ""))
    known = _is_counted(ws, comparing.version_side(ws, chosen.reference))
    told = showing.describe(ws, chosen.reference, counted=known)
    before = [one for one in every if one.number < chosen.number]
    return {
        "name": name,
        "versions": every[:_VERSIONS],
        "more": max(len(every) - _VERSIONS, 0),
        "chosen": chosen,
        "told": told,
        "counted": known,
        "before": before[0] if before else None,
        "histogram": bars.histogram,
    }


def gather_diff(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what differs between two versions of a dataset; without a choice the newest two."""
    name = asked["name"]
    every = ws.read(Permission.READ, lambda tx: versions.every(tx, name))
    after = _chosen(every, asked.get("to", ""))
    older = [one for one in every if one.number < after.number]
    before = _chosen(every, asked["from"]) if asked.get("from") else (older or [after])[0]
    sides = [comparing.version_side(ws, one.reference) for one in (before, after)]
    known = all(_is_counted(ws, side) for side in sides)
    found = comparing.compare(ws, sides[0], sides[1], statistics=known)
    described = [showing.describe(ws, one.reference, counted=known) for one in (before, after)]
    drawn = [
        {
            (table.name, column.name): bars.histogram(
                column.low, column.high, column.edges, column.counts
            )
            for table in one.tables
            for column in table.columns
        }
        for one in described
    ]
    return {
        "name": name,
        "versions": every[:_VERSIONS],
        "before": before,
        "after": after,
        "found": found,
        "counted": known,
        "headline": telling.headline(found),
        "rows_told": telling.rows_told,
        "by_column": telling.by_column,
        "said": telling.said,
        "drawn": drawn,
    }


def _chosen(every: list[DataVersion], number: str) -> DataVersion:
    """Return the version of that number; the newest without one."""
    if not number:
        return every[0]
    found = [one for one in every if str(one.number) == number]
    if not found:
        told = number[:20]
        raise BadInputError(f"{every[0].name} has no version {told!r}.", field="version")
    return found[0]


def _is_counted(ws: Workspace, side: Side) -> bool:
    """Return whether a page may count what nobody has counted yet."""
    tables = profiles.tables_of(side.entries).values()
    new = [e for one in tables for e in one.parts if not profiles.is_known(ws, e)]
    return sum(entry.size for entry in new) <= MOST_COUNTED

"""Rehearse a roll-back of every endpoint: ``mainspring doctor --drill``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mainspring.ground.errors import MainspringError
from mainspring.ground.settings import Settings

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


#: State (ok, warn or bad), what was found, what to do.
Told = tuple[str, str, str]


def rehearsed(settings: Settings) -> Iterator[Told]:
    """Roll a copy of each endpoint back under load and forward again, and keep the evidence."""
    from mainspring.ground.permissions import Permission
    from mainspring.scaling.serving import endpoints
    from mainspring.workspace.opening import open_workspace

    ws = open_workspace(settings)
    try:
        served = [
            one.name
            for one in ws.read(Permission.READ, endpoints.list_endpoints)
            if one.kind == "served"
        ]
        for name in served:
            yield _one(ws, name)
        if not served:
            yield "ok", "no endpoint to roll back", ""
    finally:
        ws.close()


def _one(ws: Workspace, name: str) -> Told:
    from mainspring.workspace.scoring import drill

    try:
        found = drill.rollback(ws, name)
    except MainspringError as error:
        return "warn", f"{name}: not rehearsed. {error}", ""
    told = f"{name}: {found.evidence.found}"
    if found.evidence.passed:
        return "ok", told, ""
    advice = f"See: mainspring evidence endpoint:{name} --kind rollback_drill"
    return "bad", told, advice

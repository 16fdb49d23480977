"""The pages of models: all of them, and one with versions, gates, aliases, card and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ground.objects import Version
from mainspring.workspace.opening import Workspace

_SHOWN = 30  # versions with all their detail; older ones are counted


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return every model by name."""
    from mainspring.workspace.views.models import model_list

    return {"models": model_list(ws)}


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one model with everything that is known of its newest versions.

    Raises:
        NotFoundError: if there is no such model.
    """
    from mainspring.workspace.views.models import model_detail

    found = model_detail(ws, asked["model"])
    ordered = sorted(found.versions, key=lambda version: version.number, reverse=True)
    return {
        "model": found,
        "versions": [_one(ws, version) for version in ordered[:_SHOWN]],
        "older": len(ordered[_SHOWN:]),
    }


def _one(ws: Workspace, version: Version) -> dict[str, Any]:
    from mainspring.workspace.views import models

    ref = f"{version.model}/{version.number}"
    return {
        "detail": models.version_detail(ws, version.model, version.number),
        "why": models.why(ws, ref),
        "card": models.card(ws, ref),
    }

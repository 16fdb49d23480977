"""Signs of life that processes of a home leave in small files, for others to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: The engine says this often that it lives; ``/health`` calls it late after three.
BEAT_S = 1.0


def engine_lives(ws: Workspace) -> bool:
    """Return whether this home's engine has shown a sign of life within the last seconds."""
    told = read_json(ws.home / "run" / "engine.json")
    return told is not None and ws.clock.now() - float(told["at"]) <= 3 * BEAT_S


def read_json(file: Path) -> dict[str, Any] | None:
    """Return what a small file holds, or None where there is none."""
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found

"""Gather what endpoints did over time, of the tallies that their processes write."""

from __future__ import annotations

import threading
from pathlib import Path

from mainspring.scaling.serving.minutes import Minutes
from mainspring.workspace.opening import Workspace

#: Endpoints whose counts are kept in memory between two looks; the least asked for goes first.
MOST = 500

_FOLLOWED: dict[Path, Minutes] = {}
_LOCK = threading.Lock()


def minutes_of(ws: Workspace, endpoint: str) -> Minutes:
    """Return an endpoint's counts over time, up to now; what was read before is not read again."""
    folder = ws.captures(endpoint)
    with _LOCK:
        found = _FOLLOWED.pop(folder, None) or Minutes(folder)
        _FOLLOWED[folder] = found
        while len(_FOLLOWED) > MOST:
            del _FOLLOWED[next(iter(_FOLLOWED))]
    found.look()
    return found

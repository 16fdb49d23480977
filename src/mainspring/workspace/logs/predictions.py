"""Find in the logs which predictions of an endpoint failed, were refused or were slow."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.workspace.logs import reading
from mainspring.workspace.logs.lines import LogLine, Query, shown

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: What such a line says; see scaling/serving/notes.py.
NORMAL = "prediction"
EVENTS = ("slow prediction", "prediction failed", "prediction refused")
BACK_S = 3600.0
MOST = 12
KEPT_S = 5.0  #: so long an answer is given again: pages ask every other second

_KNOWN: dict[tuple[Path, str], tuple[float, list[LogLine]]] = {}
_LOCK = threading.Lock()


def of_prediction(ws: Workspace, prediction: str) -> list[LogLine]:
    """Return the newest lines about the request that a prediction belongs to."""
    found = reading.search(ws.home / "logs", Query(prediction=prediction).check(), MOST)
    return [one for one in found if one.event in (NORMAL, *EVENTS)]


def troubled(ws: Workspace, endpoint: str) -> list[LogLine]:
    """Return the newest lines of the last hour about predictions that did not go well.

    Such lines say who asked, which version, how long it took and the ids; never a value.
    """
    key, now = (ws.home, endpoint), ws.clock.now()
    with _LOCK:
        at, lines = _KNOWN.get(key, (0.0, []))
        if 0 <= now - at < KEPT_S:
            return lines
    found: list[LogLine] = []
    for event in EVENTS:
        query = Query(text=event, endpoint=endpoint, since=now - BACK_S)
        met = (shown(line) for _, line in reading.matches(ws.home / "logs", query))
        found += islice((one for one in met if one.event == event), MOST)
    found.sort(key=lambda one: -one.time)
    with _LOCK:
        if len(_KNOWN) > 1000:
            _KNOWN.clear()
        _KNOWN[key] = (now, found[:MOST])
    return found[:MOST]

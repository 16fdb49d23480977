"""Roll back, and measure how long it takes until endpoints answer with the version before."""

from __future__ import annotations

import time

from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import endpoints
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import endpoint_http

RECOVERY_S = 10.0  # after it, an endpoint is told to have not come back
POLL_S = 0.02


def roll_back(
    ws: Workspace, model: str, reason: str, to: int | None = None
) -> tuple[int, dict[str, float | None]]:
    """Roll back as :func:`acts.roll_back`, and wait until endpoints answer with the version.

    Returns that version and, for each endpoint of the model that is up, the seconds from the
    command until its process said that it answers with it; None if it did not within 10 s.
    """
    start = time.monotonic()
    number = acts.roll_back(ws, model, reason, to)
    places = ws.read(Permission.READ, lambda tx: endpoints.of_model(tx, model))
    waiting = {
        place.name: url
        for place in places
        if place.kind == "served" and (url := endpoint_http.address(ws.home, place.name))
    }
    found: dict[str, float | None] = dict.fromkeys(waiting)
    while waiting and time.monotonic() - start < RECOVERY_S:
        for name, url in list(waiting.items()):
            told = endpoint_http.status(ws, url) or {}
            if told.get("champion") == number:
                found[name] = round(time.monotonic() - start, 3)
                del waiting[name]
        if waiting:
            time.sleep(POLL_S)
    return number, found

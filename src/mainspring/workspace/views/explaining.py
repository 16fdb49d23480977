"""What a window of an endpoint is told apart from its version's reference rows by."""

from __future__ import annotations

from mainspring.ground.permissions import Permission
from mainspring.monitoring.explain import Telling, tell_apart
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace
from mainspring.workspace.reports.of_window import captured, stored


def explain_window(ws: Workspace, endpoint: str, window: str | None = None) -> Telling:
    """Return how well a window is told from its reference; the newest if none is named.

    Raises:
        NotFoundError: if there is no such endpoint, or no such window of it.
    """
    held = stored(ws, endpoint, window)
    one = held.window
    if one.version is None or held.baseline is None:
        return Telling(area=None, why="The version that answered is not kept any more.")
    rows = captured(ws, one)
    if rows is None:
        return Telling(area=None, why="The rows of this window are not kept any more.")
    digest = ws.read(
        Permission.READ,
        lambda tx: registry.get(tx, endpoints.get(tx, endpoint).model, one.version or 0).package,
    )
    return tell_apart(rows, package.reference(digest, ws.objects), held.baseline.columns)

"""What an endpoint tells of itself: ``/ping``, ``/health``, ``/status``, ``/metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.exposing import exposition
from mainspring.scaling.serving.protocols.calls import Call, Reply

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp


async def ready(app: EndpointApp, call: Call) -> Reply:  # noqa: ARG001
    """Say whether there is a version to answer with."""
    return answers.health("ready", yes=app.ready)


async def status(app: EndpointApp, call: Call) -> Reply:
    """Return the endpoint's account of itself."""
    app.admitted(call, Permission.READ)
    return answers.as_json(app.status())


async def metrics(app: EndpointApp, call: Call) -> Reply:
    """Return its counts as Prometheus reads them."""
    app.admitted(call, Permission.READ)
    return Reply(200, b"text/plain; version=0.0.4", exposition(app).encode())


WHOLE = {
    ("GET", "/ping"): ready,
    ("GET", "/health"): ready,
    ("GET", "/status"): status,
    ("GET", "/metrics"): metrics,
}

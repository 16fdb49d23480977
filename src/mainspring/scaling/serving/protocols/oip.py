"""The Open Inference Protocol v2 over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import answers, requests
from mainspring.scaling.serving.protocols.calls import Call, Reply, no_model, not_loaded
from mainspring.scaling.serving.router import Generation, Variant

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp

MODELS = "/v2/models/"


async def live(app: EndpointApp, call: Call) -> Reply:  # noqa: ARG001
    """Say that the process answers."""
    return answers.health("live", yes=True)


async def ready(app: EndpointApp, call: Call) -> Reply:  # noqa: ARG001
    """Say whether there is a version to answer with."""
    return answers.health("ready", yes=app.generations.current.champion is not None)


async def server(app: EndpointApp, call: Call) -> Reply:
    """Say what serves here."""
    app.admitted(call, Permission.READ)
    return answers.server(app.name)


async def model(app: EndpointApp, call: Call) -> Reply:
    """Say what a version takes and gives, or whether it is ready."""
    app.admitted(call, Permission.READ)
    now = app.generations.current
    rest = call.path.removeprefix(MODELS)
    asks_ready = rest.endswith("/ready")
    variant = named(app, rest.removesuffix("/ready"), now)
    if asks_ready:
        return answers.health("ready", yes=variant is not None)
    if variant is None:
        raise not_loaded(app.name)
    return answers.model(now, variant)


async def infer(app: EndpointApp, call: Call) -> Reply:
    """Answer rows that came as tensors."""
    if not call.path.endswith("/infer"):
        raise NotFoundError(f"There is no {call.method} {call.path[:200]}.")
    if b"inference-header-content-length" in call.headers:
        raise BadInputError(
            "Binary tensors are not read; send JSON.", field="inference-header-content-length"
        )
    body = await app.asked_by(call)
    now = app.generations.current
    path = call.path.removeprefix(MODELS).removesuffix("/infer")
    variant = named(app, path, now)
    if variant is None:
        raise not_loaded(app.name)
    asked = requests.read_infer(body)
    answers.check_outputs(asked.outputs)
    if "/versions/" in path:  # a version asked by name answers, whatever the shares say
        now = Generation(now.serial, now.routing, variant, None)
    done = await app.predict(now, variant, asked, call)
    return answers.inference(now, variant, done.answer, done.ids, asked)


def named(app: EndpointApp, rest: str, now: Generation) -> Variant | None:
    """Return the version a ``/v2/models/`` path names; without a number the champion.

    Raises:
        NotFoundError: if that model or version is not served here.
    """
    name, found, number = rest.partition("/versions/")
    if name not in (app.name, now.routing.model) or "/" in number:
        raise no_model(rest)
    if not found:
        return now.champion
    variant = now.variant(int(number)) if number.isdigit() and len(number) < 10 else None
    if variant is None:
        raise NotFoundError(f"Version {number[:20]!r} of {name} is not served here.")
    return variant


WHOLE = {
    ("GET", "/v2/health/live"): live,
    ("GET", "/v2/health/ready"): ready,
    ("GET", "/v2"): server,
    ("GET", "/v2/"): server,
}
UNDER = [("GET", MODELS, model), ("POST", MODELS, infer)]

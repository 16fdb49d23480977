"""The repository of the Open Inference Protocol: what is here, to be loaded and let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.protocols.calls import Call, Reply, no_model, not_loaded
from mainspring.scaling.serving.requests import decoded

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp

MODELS = "/v2/repository/models/"


class _Index(msgspec.Struct):
    ready: bool = False


class _Change(msgspec.Struct):
    parameters: dict[str, Any] | None = None


_index: Callable[[bytes | memoryview], _Index] = msgspec.json.Decoder(_Index).decode
_change: Callable[[bytes | memoryview], _Change] = msgspec.json.Decoder(_Change).decode


def wants_ready(body: bytes) -> bool:
    """Return whether an index of ready models alone is asked for; an empty body asks for all.

    Raises:
        BadInputError: if the body cannot be read.
    """
    return bool(decoded(_index, body).ready) if body.strip() else False


def rows(app: EndpointApp) -> list[dict[str, str]]:
    """Return the versions of this endpoint, each with its state."""
    now = app.generations.current
    found = [one for one in (now.champion, now.challenger) if one is not None]
    if not found:
        reason = app.generations.trouble or "no version is loaded"
        return [{"name": app.name, "version": "", "state": "UNAVAILABLE", "reason": reason}]
    return [
        {"name": app.name, "version": str(one.number), "state": "READY", "reason": ""}
        for one in found
    ]


async def index(app: EndpointApp, call: Call) -> Reply:
    """Say what is here, and whether it is ready."""
    app.admitted(call, Permission.READ)
    only_ready = wants_ready(await app.body(call))
    told = [row for row in rows(app) if row["state"] == "READY" or not only_ready]
    return answers.as_json(told)


async def change(app: EndpointApp, call: Call) -> Reply:
    """Load the model, or let go of it until the next request."""
    verb = call.path.rpartition("/")[2]
    if verb not in ("load", "unload"):
        raise NotFoundError(f"There is no {call.method} {call.path[:200]}.")
    body = await app.body(call)
    asked = (decoded(_change, body).parameters or {}) if body.strip() else {}
    await changed(app, call, verb, asked)
    return answers.as_json({})


async def changed(app: EndpointApp, call: Call, verb: str, asked: Mapping[str, Any]) -> None:
    """Load the model or let go of it, if the caller may; ``asked`` are the parameters for that.

    Raises:
        MainspringError: if it may not, or it cannot be done.
    """
    app.admitted(call, Permission.SERVE)
    name = call.path.removeprefix(MODELS).rpartition("/")[0]
    if name not in (app.name, app.generations.current.routing.model):
        raise no_model(name)
    for word in asked:
        if word != "unload_dependents":
            raise BadInputError(
                f"The parameter {word[:80]!r} is not taken: what a model is, its version says.",
                field=word,
            )
    await (load(app) if verb == "load" else unload(app))


async def load(app: EndpointApp) -> None:
    """Load what the endpoint should serve, unless it is loaded.

    Raises:
        UnavailableError: if there is nothing to serve or it cannot be loaded, saying why.
    """
    await asyncio.to_thread(app.generations.look)
    if app.generations.current.champion is None:
        raise not_loaded(app.name, app.generations.trouble)


async def unload(app: EndpointApp) -> None:
    """Let go of the model in memory; the next request or load brings it back.

    Raises:
        ConflictError: where it could not be let go of.
    """
    if app.let_go is None:
        raise ConflictError(
            f"The endpoint {app.name} has processes of its own and keeps its model.",
            hint="An endpoint with the place 'shared' can be let go of; one of its own is scaled"
            " to zero workers when nobody asks, or removed.",
        )
    await app.let_go()


WHOLE = {("POST", "/v2/repository/index"): index}
UNDER = [("POST", MODELS, change)]

"""The Open Inference Protocol v2 over HTTP, with binary tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import answers, inference, tensors
from mainspring.scaling.serving.protocols.calls import (
    Call,
    Reply,
    alone,
    no_model,
    not_loaded,
    packed,
)
from mainspring.scaling.serving.requests import Asked
from mainspring.scaling.serving.router import Generation, Variant

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp

MODELS = "/v2/models/"


async def live(app: EndpointApp, call: Call) -> Reply:  # noqa: ARG001
    """Say that the process answers."""
    return answers.health("live", yes=True)


async def ready(app: EndpointApp, call: Call) -> Reply:  # noqa: ARG001
    """Say whether there is a version to answer with."""
    return answers.health("ready", yes=app.ready)


async def server(app: EndpointApp, call: Call) -> Reply:
    """Say what serves here."""
    app.admitted(call, Permission.READ)
    return answers.as_json(answers.server(f"mainspring/{app.name}"))


async def model(app: EndpointApp, call: Call) -> Reply:
    """Say what a version takes and gives, whether it is ready, or what it did."""
    app.admitted(call, Permission.READ)
    now = app.generations.current
    rest = call.path.removeprefix(MODELS)
    if rest.endswith("/ready"):
        variant = named(app, rest.removesuffix("/ready"), now)
        return answers.health("ready", yes=variant is not None or app.generations.asleep)
    if rest == "stats" or rest.endswith("/stats"):
        return _statistics(app, rest.removesuffix("stats").removesuffix("/"), now)
    variant = named(app, rest, now)
    if variant is None:
        raise not_loaded(app.name)
    return answers.as_json(answers.model(rest.partition("/")[0], now, variant))


def _statistics(app: EndpointApp, rest: str, now: Generation) -> Reply:
    name = rest.partition("/")[0] or app.name
    if "/versions/" in rest:
        asked = named(app, rest, now)
        variants = [] if asked is None else [asked]
    else:
        named(app, name, now)
        variants = [one for one in (now.champion, now.challenger) if one is not None]
    told = [answers.statistics(name, one.number, app.counts.of(one.number)) for one in variants]
    return answers.as_json({"model_stats": told})


async def infer(app: EndpointApp, call: Call) -> Reply:
    """Answer rows that came as tensors."""
    if not call.path.endswith("/infer"):
        raise NotFoundError(f"There is no {call.method} {call.path[:200]}.")
    rest = call.path.removeprefix(MODELS).removesuffix("/infer")
    body = await app.asked_by(call)
    named(app, rest, app.generations.current)  # who is asked matters more than what is sent
    asked = inference.read(body, call.headers.get(inference.HEADER))
    variant, given = await inferred(app, call, rest, asked)
    told = {"model_name": rest.partition("/")[0], "model_version": str(variant.number)}
    return packed(inference.write(told, given, asked), call)


async def inferred(
    app: EndpointApp, call: Call, rest: str, asked: inference.Inference
) -> tuple[Variant, list[tensors.Tensor]]:
    """Return the version that ``rest`` of the path names, and its answer to tensors.

    Raises:
        MainspringError: for what cannot be answered, naming the tensor where it is one.
    """
    now = app.generations.current
    variant = named(app, rest, now)
    if variant is None:
        raise not_loaded(app.name)
    answers.check_outputs(asked.outputs)
    rows = Asked(tensors.columns_of(asked.tensors, variant.served.signature), asked.id)
    if "/versions/" in rest:  # a version asked by name answers, whatever the shares say
        now = alone(now, variant)
    done = await app.predict(now, variant, rows, call)
    return variant, answers.outputs(variant, done.answer, done.ids, asked.outputs)


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
    variant = now.variant(int(number)) if number.isdecimal() and len(number) < 10 else None
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

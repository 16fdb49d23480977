"""Which endpoints there are, and whose champion each serves."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy import delete, insert, select

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import EndpointOptions, Record
from mainspring.ground.ports import Tx
from mainspring.scaling.serving.tables import endpoints, rollouts


class Endpoint(Record, frozen=True, kw_only=True):
    """One place that answers: a name, the model it serves, the loop that watches it.

    A ``fed`` endpoint answers elsewhere: no process of ours belongs to it, its rows are fed.
    """

    name: str
    model: str
    created: float
    loop: str | None = None
    kind: Literal["served", "fed"] = "served"
    options: EndpointOptions = EndpointOptions()


def ensure(
    tx: Tx,
    name: str,
    model: str,
    *,
    at: float,
    loop: str | None = None,
    kind: Literal["served", "fed"] = "served",
) -> Endpoint:
    """Return the endpoint by that name, made if it is not there.

    An endpoint without a loop is given one; otherwise what is there stays, its kind too.

    Raises:
        ConflictError: if it serves another model, or another loop watches it.
    """
    check_name(name)
    found = _find(tx, name)
    if found is None:
        made = Endpoint(name=name, model=model, created=at, loop=loop, kind=kind)
        kept = None if kind == "served" else kind
        row = {"name": name, "model": model, "created": at, "loop": loop, "kind": kept}
        tx.run(insert(endpoints).values(**row))
        return made
    if found.model != model:
        raise ConflictError(
            f"Endpoint {name} serves {found.model}, not {model}.",
            field="model",
            hint="Choose another name, or remove that endpoint first.",
        )
    if loop is None or found.loop == loop:
        return found
    if found.loop is not None:
        raise ConflictError(f"Endpoint {name} is watched by loop {found.loop}, not {loop}.")
    tx.run(endpoints.update().where(endpoints.c.name == name).values(loop=loop))
    return msgspec.structs.replace(found, loop=loop)


def get(tx: Tx, name: str) -> Endpoint:
    """Return one endpoint.

    Raises:
        NotFoundError: if there is none by that name.
    """
    found = _find(tx, name)
    if found is None:
        raise NotFoundError(f"There is no endpoint {name!r}.", field="endpoint")
    return found


def list_endpoints(tx: Tx) -> list[Endpoint]:
    """Return every endpoint, by name."""
    return [_read(row) for row in tx.all(select(endpoints).order_by(endpoints.c.name))]


def of_model(tx: Tx, model: str) -> list[Endpoint]:
    """Return the endpoints that serve a model, by name."""
    question = select(endpoints).where(endpoints.c.model == model).order_by(endpoints.c.name)
    return [_read(row) for row in tx.all(question)]


def configure(tx: Tx, name: str, options: EndpointOptions) -> Endpoint:
    """Keep how an endpoint is served from now on, and audit it.

    Raises:
        NotFoundError: if there is none by that name.
        ConflictError: if it is answered elsewhere, or another has its gRPC port.
        BadInputError: for a gRPC port that cannot be.
    """
    found = get(tx, name)
    if found.kind == "fed":
        raise ConflictError(f"Endpoint {name} is answered elsewhere; it has no options.")
    if options.grpc is not None:
        _check_grpc(tx, name, options.grpc, options.place)
    text = msgspec.json.encode(options).decode()
    tx.run(endpoints.update().where(endpoints.c.name == name).values(options=text))
    tx.audit("endpoint.configure", f"endpoint:{name}", msgspec.to_builtins(options))
    return msgspec.structs.replace(found, options=options)


def _check_grpc(tx: Tx, name: str, port: int, place: str) -> None:
    if place == "shared":
        raise BadInputError(
            "gRPC is spoken by endpoints with a process of their own.",
            field="grpc",
            hint="Leave it out, or choose the place 'own'.",
        )
    if not 0 <= port < 65_536:
        raise BadInputError(f"A port is between 0 and 65535, found {port}.", field="grpc")
    # The workers of one endpoint share its port, so the system would let another have it, too.
    others = [one.name for one in list_endpoints(tx) if one.options.grpc == port != 0]
    if others not in ([], [name]):
        raise ConflictError(f"Endpoint {others[0]} has the gRPC port {port}.", field="grpc")


def remove(tx: Tx, name: str) -> None:
    """Forget an endpoint; its rollouts stay on record.

    Raises:
        NotFoundError: if there is none by that name.
        ConflictError: if a rollout runs on it.
    """
    get(tx, name)
    running = select(rollouts.c.id).where(
        rollouts.c.endpoint == name, rollouts.c.state == "running"
    )
    found = tx.one(running)
    if found is not None:
        raise ConflictError(f"Rollout {found.id} runs on endpoint {name}; end it first.")
    tx.run(delete(endpoints).where(endpoints.c.name == name))


def _find(tx: Tx, name: str) -> Endpoint | None:
    row = tx.one(select(endpoints).where(endpoints.c.name == name))
    return None if row is None else _read(row)


def _read(row: Any) -> Endpoint:
    return Endpoint(
        name=row.name,
        model=row.model,
        created=row.created,
        loop=row.loop,
        kind=row.kind or "served",
        options=_options(row.options),
    )


def _options(text: str | None) -> EndpointOptions:
    return EndpointOptions() if text is None else msgspec.json.decode(text, type=EndpointOptions)

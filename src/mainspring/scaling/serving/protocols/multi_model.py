"""SageMaker's contract of containers with many models: ``/models`` of the shared host.

A model's name is its endpoint's, and its ``url`` is the model that the endpoint serves. What is
listed is in memory. One that was let go of is loaded again by its next request, so that
``invoke`` answers for every endpoint of the host, listed or not.

Source: docs.aws.amazon.com/sagemaker, "Custom Containers Contract for Multi-Model Endpoints".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from mainspring.ground.errors import (
    BadInputError,
    MainspringError,
    NotFoundError,
    OverloadedError,
)
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.body import Receive, Scope, Send, read_body
from mainspring.scaling.serving.protocols.calls import Reply
from mainspring.scaling.serving.protocols.catalog import Catalog, Listed
from mainspring.scaling.serving.requests import decoded

PATH = "/models"
PAGE = 100
_BODY_BYTES = 65_536
_INVOKE = "/invoke"


class _Load(msgspec.Struct):
    model_name: str
    url: str


_load: Callable[[bytes | memoryview], _Load] = msgspec.json.Decoder(_Load).decode


def is_mine(path: str) -> bool:
    """Return whether a path is of this contract."""
    return path == PATH or path.startswith(f"{PATH}/")


async def answer(
    catalog: Catalog,
    admit: Callable[[Mapping[str, Any], Permission], Any],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> Reply | None:
    """Return the answer to a request below ``/models``; None: a model's endpoint has answered.

    ``admit`` lets a scope do something, or raises.

    Raises:
        MainspringError: if it may not or cannot be done.
    """
    method, path = scope["method"], scope["path"]
    name = path[len(PATH) + 1 :]
    if method == "POST" and name.endswith(_INVOKE):
        # Asked there who may, as every prediction is.
        await catalog.pass_on(name.removesuffix(_INVOKE), "/invocations", scope, receive, send)
        return None
    if method == "GET":
        admit(scope, Permission.READ)
        return (
            _listed(catalog, scope) if not name else answers.as_json(_told(_there(catalog, name)))
        )
    if method not in ("POST", "DELETE") or (method == "POST") is bool(name):
        raise NotFoundError(f"There is no {method} {path[:200]}.")
    admit(scope, Permission.SERVE)
    if method == "DELETE":
        _there(catalog, name)
        await catalog.unload(name)
        return answers.as_json({})
    body = await read_body(receive, dict(scope["headers"]), _BODY_BYTES)
    return await _loaded(catalog, decoded(_load, body))


async def _loaded(catalog: Catalog, asked: _Load) -> Reply:
    if "/" in asked.url:
        raise BadInputError(
            f"The url {asked.url[:80]!r} is no model of this home.",
            field="url",
            hint="It takes a model's name, or NAME@champion.",
        )
    try:
        found = await catalog.load(asked.model_name, asked.url)
    except OverloadedError as error:
        return _without_room(error)
    return answers.as_json(_told(found))


def _listed(catalog: Catalog, scope: Scope) -> Reply:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    after = query.get("next_page_token", [None])[0]
    if after is not None and len(after) > 200:
        raise BadInputError("No page has that token.", field="next_page_token")
    page, following = catalog.names(after, PAGE)
    told: dict[str, Any] = {"models": [_told(one) for one in page if one.loaded]}
    if following is not None:
        told["nextPageToken"] = following
    return answers.as_json(told)


def _there(catalog: Catalog, name: str) -> Listed:
    found = catalog.get(name)
    if not found.loaded:
        raise NotFoundError(
            f"{name} is not in memory.", field="name", hint="Its next request loads it."
        )
    return found


def _told(one: Listed) -> dict[str, str]:
    return {"modelName": one.name, "modelUrl": one.reference}


def _without_room(error: MainspringError) -> Reply:
    """Return the refusal that means: let go of others, and try again."""
    return answers.as_json(error.as_dict(), 507)

"""Webhooks: who is told what happens to the registry, and whether it arrived."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, Name, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

HookId = Annotated[Name, Meta(description="The webhook's id.", examples=["hook_01jz"])]


class AddWebhook(Request, frozen=True, kw_only=True):
    """Who wants to be told what, and where."""

    name: Name
    url: Annotated[str, Meta(min_length=1, max_length=2000, examples=["https://example.com/in"])]
    events: Annotated[list[Name], Meta(min_length=1, max_length=20)]
    description: Annotated[str, Meta(max_length=2000)] = ""
    secret: Annotated[str, Meta(max_length=1000, description="Signs deliveries.")] | None = None


class OfWebhook(Request, frozen=True, kw_only=True):
    """About one webhook."""

    webhook: HookId


class WebhookRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, and how its deliveries stand."""

    id: str
    name: str
    url: str
    events: list[str]
    active: bool
    signed: bool
    deliveries: dict[str, int]  #: by state: done, ready (waiting), failed (given up)
    trouble: str  #: what went wrong with the newest that did


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are tried again."""

    deliveries: int


@operation("webhooks.list", "GET", "/api/v1/webhooks", Permission.ADMIN)
def list_webhooks(ws: Workspace) -> list[WebhookRow]:
    """List webhooks, and how their deliveries stand. Secrets are never shown."""
    from mainspring.workspace import telling

    found = []
    for hook in telling.listed(ws):
        states, wrong = telling.deliveries(ws, hook.id)
        found.append(
            WebhookRow(
                id=hook.id,
                name=hook.name,
                url=hook.url,
                events=hook.events,
                active=hook.active,
                signed=hook.has_secret,
                deliveries=states,
                trouble=wrong,
            )
        )
    return found


@operation(
    "webhooks.add",
    "POST",
    "/api/v1/webhooks",
    Permission.ADMIN,
    example={"name": "ci", "url": "https://example.com/in", "events": ["alias.set"]},
)
def add_webhook(ws: Workspace, request: AddWebhook) -> WebhookRow:
    """Tell somebody what happens to the registry, from now on."""
    from mainspring.workspace import telling

    hook = telling.make(
        ws,
        request.name,
        request.url,
        request.events,
        description=request.description,
        secret=request.secret,
    )
    return WebhookRow(
        id=hook.id,
        name=hook.name,
        url=hook.url,
        events=hook.events,
        active=hook.active,
        signed=hook.has_secret,
        deliveries={},
        trouble="",
    )


@operation("webhooks.remove", "POST", "/api/v1/webhooks/{webhook}/remove", Permission.ADMIN)
def remove_webhook(ws: Workspace, request: OfWebhook) -> Done:
    """Tell a webhook nothing any more; what waits for it is cancelled."""
    from mainspring.workspace import telling

    telling.remove(ws, request.webhook)
    return Done()


@operation("webhooks.retry", "POST", "/api/v1/webhooks/{webhook}/retry", Permission.ADMIN)
def retry_webhook(ws: Workspace, request: OfWebhook) -> Retried:
    """Try again the deliveries that were given up."""
    from mainspring.workspace import telling

    return Retried(deliveries=telling.retry(ws, request.webhook))

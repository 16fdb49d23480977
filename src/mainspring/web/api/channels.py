"""Channels: over what people are told, and whether it reaches them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.ground.rules import Channel, ChannelKind
from mainspring.web.api.fields import Done, Name, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.alarming import ChannelRow

ChannelName = Annotated[Name, Meta(description="The channel's name.", examples=["on-call"])]


class AddChannel(Request, frozen=True, kw_only=True):
    """A channel: its kind and where it leads. The secret is never shown again."""

    name: ChannelName
    kind: ChannelKind
    target: Annotated[
        dict[str, Any],
        Meta(description="webhook, slack, apprise: url; mail: host, sender, to...; command."),
    ] = {}
    secret: Annotated[str, Meta(max_length=4000)] | None = None
    endpoints: Annotated[list[Name], Meta(max_length=100)] = []
    per_hour: Annotated[int, Meta(ge=1, le=10_000)] = 30


class OfChannel(Request, frozen=True, kw_only=True):
    """About one channel."""

    name: ChannelName


class SwitchChannel(Request, frozen=True, kw_only=True):
    """Whether a channel is used."""

    name: ChannelName
    active: bool


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    said: str


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """How many pages are tried again."""

    pages: int


@operation("channels.list", "GET", "/api/v1/channels", Permission.READ)
def list_channels(ws: Workspace) -> list[ChannelRow]:
    """List channels and how what they had to tell stands. Secrets are never shown."""
    from mainspring.workspace.views import alarming

    return alarming.channel_list(ws)


@operation(
    "channels.add",
    "POST",
    "/api/v1/channels",
    Permission.ADMIN,
    example={"name": "ops", "kind": "webhook", "target": {"url": "https://example.com/in"}},
)
def add_channel(ws: Workspace, request: AddChannel) -> Channel:
    """Tell people over this too, from the next page on."""
    from mainspring.workspace.alarming import verbs
    from mainspring.workspace.views import alarming

    made = verbs.add_channel(
        ws,
        request.name,
        request.kind,
        request.target,
        secret=request.secret,
        endpoints_=request.endpoints,
        per_hour=request.per_hour,
    )
    return alarming.shown(made)


@operation("channels.remove", "POST", "/api/v1/channels/{name}/remove", Permission.ADMIN)
def remove_channel(ws: Workspace, request: OfChannel) -> Done:
    """Tell nobody over a channel any more; what waits for it is dropped."""
    from mainspring.workspace.alarming import verbs

    verbs.remove_channel(ws, request.name)
    return Done()


@operation("channels.switch", "POST", "/api/v1/channels/{name}/switch", Permission.ADMIN)
def switch_channel(ws: Workspace, request: SwitchChannel) -> Channel:
    """Let a channel rest, or use it again."""
    from mainspring.workspace.alarming import verbs
    from mainspring.workspace.views import alarming

    return alarming.shown(verbs.switch_channel(ws, request.name, active=request.active))


@operation("channels.test", "POST", "/api/v1/channels/{name}/test", Permission.ADMIN)
def test_channel(ws: Workspace, request: OfChannel) -> Tested:
    """Tell an example over a channel now, and show what came back."""
    from mainspring.workspace.alarming import verbs

    return Tested(said=verbs.test_channel(ws, request.name))


@operation("channels.retry", "POST", "/api/v1/channels/{name}/retry", Permission.ADMIN)
def retry_channel(ws: Workspace, request: OfChannel) -> Retried:
    """Try again the pages that could not be told over a channel."""
    from mainspring.workspace.alarming import verbs

    return Retried(pages=verbs.retry_channel(ws, request.name))

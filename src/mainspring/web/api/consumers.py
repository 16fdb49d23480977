"""Who uses what: consumers, dependents, and what goes away."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.debt.consumers import Consumer
from mainspring.ground.deprecations import Deprecation
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, EndpointName, Name, Reason, Request, TokenName
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.owed.noticing import Downstream, Noticed, Seen

Thing = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="dataset:NAME, feature:MODEL.COLUMN, model:NAME or endpoint:NAME.",
        examples=["feature:flights.distance"],
    ),
]
Going = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="model/7, model:NAME, endpoint:NAME or dataset:NAME.",
        examples=["endpoint:flights"],
    ),
]
ClientName = Annotated[
    Name, Meta(description="What it says in the header X-Client.", examples=["billing"])
]


class AskDependents(Request, frozen=True, kw_only=True):
    """What is asked about."""

    subject: Thing


class ListConsumers(Request, frozen=True, kw_only=True):
    """Of which endpoint; of all if none is named."""

    endpoint: EndpointName | None = None


class AddConsumer(Request, frozen=True, kw_only=True):
    """Who uses an endpoint, who answers for it, and by what it is known in the traffic."""

    endpoint: EndpointName
    name: Annotated[Name, Meta(description="A service or a team.", examples=["billing"])]
    owner: Annotated[str, Meta(min_length=1, max_length=500, examples=["payments team"])]
    tokens: Annotated[list[TokenName], Meta(max_length=50)] = []
    clients: Annotated[list[ClientName], Meta(max_length=50)] = []
    channel: Annotated[Name, Meta(description="Over which it is told.")] | None = None


class RemoveConsumer(Request, frozen=True, kw_only=True):
    """Which consumer of which endpoint."""

    endpoint: EndpointName
    name: Name


class Deprecate(Request, frozen=True, kw_only=True):
    """What goes away when, why, and what to use instead."""

    subject: Going
    until: Annotated[float, Meta(description="UTC seconds: nobody should ask for it from then.")]
    reason: Reason
    use: Annotated[str, Meta(max_length=300, description="What to use instead.")] = ""


class TakeBack(Request, frozen=True, kw_only=True):
    """What stays after all."""

    subject: Going


@operation("dependents.get", "GET", "/api/v1/dependents", Permission.READ)
def get_dependents(ws: Workspace, request: AskDependents) -> Downstream:
    """Show who stands on a dataset, feature, model or endpoint, directly or through others.

    By runs and the datasets they read, signatures, loops, endpoints, alarm rules, declared
    consumers, and who was seen calling in the last 90 days.
    """
    from mainspring.workspace.owed import noticing

    return noticing.dependents(ws, request.subject)


@operation("consumers.list", "GET", "/api/v1/consumers", Permission.READ)
def list_consumers(ws: Workspace, request: ListConsumers) -> list[Seen]:
    """List who says that they use an endpoint, and who calls it without having said so.

    A caller is known by the name of its token, by the header X-Client, and by the class of its
    User-Agent; no person and no address is kept.
    """
    from mainspring.workspace.owed import noticing

    return noticing.seen(ws, request.endpoint)


@operation(
    "consumers.add",
    "POST",
    "/api/v1/consumers",
    Permission.SERVE,
    example={"endpoint": "flights", "name": "billing", "owner": "payments team"},
)
def add_consumer(ws: Workspace, request: AddConsumer) -> Consumer:
    """Declare that somebody uses an endpoint; one of the same name is replaced.

    It is known in the traffic by a token or an X-Client of its own name, or of those given.
    """
    from mainspring.workspace.owed import noticing

    return noticing.declare(
        ws,
        Consumer(
            endpoint=request.endpoint,
            name=request.name,
            owner=request.owner,
            tokens=request.tokens,
            clients=request.clients,
            channel=request.channel,
            at=ws.clock.now(),
        ),
    )


@operation("consumers.remove", "DELETE", "/api/v1/consumers/{endpoint}/{name}", Permission.SERVE)
def remove_consumer(ws: Workspace, request: RemoveConsumer) -> Done:
    """Forget a declared consumer; if it still calls, it is an undeclared one."""
    from mainspring.workspace.owed import noticing

    noticing.withdraw(ws, request.endpoint, request.name)
    return Done()


@operation("deprecations.list", "GET", "/api/v1/deprecations", Permission.READ)
def list_deprecations(ws: Workspace) -> list[Deprecation]:
    """List what goes away, the first to go first."""
    from mainspring.workspace.owed import noticing

    return noticing.deprecated(ws)


@operation(
    "deprecations.announce",
    "POST",
    "/api/v1/deprecations",
    Permission.PROMOTE,
    example={
        "subject": "endpoint:flights",
        "until": 1_800_000_000.0,
        "reason": "The new endpoint answers for all airports.",
        "use": "endpoint:flights2",
    },
)
def announce_deprecation(ws: Workspace, request: Deprecate) -> Noticed:
    """Say that something goes away, and tell those who use it over channels and webhooks.

    Answers of a deprecated endpoint carry the headers Deprecation and Sunset from then on.
    """
    from mainspring.workspace.owed import noticing

    return noticing.deprecate(ws, request.subject, request.until, request.reason, request.use)


@operation(
    "deprecations.withdraw",
    "POST",
    "/api/v1/deprecations/withdraw",
    Permission.PROMOTE,
    example={"subject": "endpoint:flights"},
)
def withdraw_deprecation(ws: Workspace, request: TakeBack) -> Noticed:
    """Say that something stays after all, and tell those who were told."""
    from mainspring.workspace.owed import noticing

    return noticing.take_back(ws, request.subject)

"""Say what goes away and tell those who stand on it; declare who uses what; follow downstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.debt import consumers
from mainspring.debt.consumers import Consumer
from mainspring.debt.dependents import Dependent, check_subject, closure
from mainspring.ground.clock import iso
from mainspring.ground.deprecations import Deprecation
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import key_of
from mainspring.ground.objects import Record
from mainspring.ground.permissions import Permission
from mainspring.ground.records import DAY_S
from mainspring.ground.rules import Message
from mainspring.monitoring import channels, paging
from mainspring.readiness import notices, registry
from mainspring.scaling.serving import callers, endpoints
from mainspring.workspace.owed import lineage

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

_TRAFFIC_S = 90 * DAY_S
#: What can be deprecated, beside a version as ``model/number``.
_GOES = ("endpoint", "model", "dataset")


class Downstream(Record, frozen=True, kw_only=True):
    """All that stands on a thing."""

    subject: str
    dependents: list[Dependent]
    deprecation: Deprecation | None = None


class Noticed(Record, frozen=True, kw_only=True):
    """Something that goes away, who stands on it, and who was told."""

    deprecation: Deprecation
    dependents: list[str] = []
    consumers: list[str] = []
    channels: list[str] = []  #: over which people are told


class Seen(Record, frozen=True, kw_only=True):
    """A consumer of an endpoint: declared, or only seen calling."""

    endpoint: str
    name: str
    declared: bool
    owner: str = ""
    channel: str | None = None
    tokens: list[str] = []
    clients: list[str] = []
    requests: int = 0  #: in the last 90 days
    last: float | None = None


# ---------------------------------------------------------------- who stands on what


def dependents(ws: Workspace, subject: str) -> Downstream:
    """Return all that stands on ``dataset:NAME``, ``feature:MODEL.COLUMN``, ``model:NAME``...

    Raises:
        BadInputError: if it is of no kind that can be asked about.
        NotFoundError: if there is no such thing.
    """
    check_subject(subject)

    def look(tx: Tx) -> Downstream:
        edges = lineage.edges(ws, tx)
        if all(subject not in (edge.up, edge.down) for edge in edges):
            _known(tx, subject)
        gone = consumers.deprecated(tx, [subject])
        return Downstream(
            subject=subject,
            dependents=closure(edges, subject),
            deprecation=gone[0] if gone else None,
        )

    return ws.read(Permission.READ, look)


def _known(tx: Tx, subject: str) -> None:
    """Let pass what is there and stands alone."""
    kind, _, name = subject.partition(":")
    if kind == "model" and any(one.name == name for one in registry.models(tx)):
        return
    if kind == "endpoint" and any(one.name == name for one in endpoints.list_endpoints(tx)):
        return
    if kind == "dataset":
        from mainspring.experiments import datasets

        if datasets.by_name(tx, name):
            return
    raise NotFoundError(
        f"Nothing here is called {subject[:200]}.",
        field="subject",
        hint="Such as dataset:trips, feature:fraud.amount, model:fraud, endpoint:fraud.",
    )


# ---------------------------------------------------------------- consumers


def declare(ws: Workspace, consumer: Consumer) -> Consumer:
    """Declare that somebody uses an endpoint.

    Raises:
        NotFoundError: if there is no such endpoint or channel.
        BadInputError: if a name cannot be one, or nobody owns it.
    """

    def work(tx: Tx) -> Consumer:
        endpoints.get(tx, consumer.endpoint)
        if consumer.channel is not None:
            channels.get(tx, consumer.channel)
        return consumers.add(tx, consumer)

    return ws.write(Permission.SERVE, work)


def withdraw(ws: Workspace, endpoint: str, name: str) -> None:
    """Forget a declared consumer.

    Raises:
        NotFoundError: if none of that name is declared.
    """
    ws.write(Permission.SERVE, lambda tx: consumers.remove(tx, endpoint, name))


def seen(ws: Workspace, endpoint: str | None = None) -> list[Seen]:
    """Return who says they use an endpoint, or all, and who calls without having said so.

    Raises:
        NotFoundError: if there is no such endpoint.
    """

    def look(tx: Tx) -> tuple[list[str], list[Consumer]]:
        if endpoint is not None:
            return [endpoints.get(tx, endpoint).name], consumers.of_endpoint(tx, endpoint)
        return [one.name for one in endpoints.list_endpoints(tx)], consumers.every(tx)

    names, declared = ws.read(Permission.READ, look)
    now = ws.clock.now()
    found = []
    for name in names:
        calls = callers.read(ws.captures(name), now - _TRAFFIC_S, now + 1)
        mine = [one for one in declared if one.endpoint == name]
        by_name: dict[str, list[callers.Calls]] = {}
        strangers = []
        for one in calls:
            who = lineage.consumer_of(one, mine)
            if who is None:
                strangers.append(one)
            else:
                by_name.setdefault(who, []).append(one)
        found += [_declared(one, by_name.get(one.name, [])) for one in mine]
        found += [
            Seen(
                endpoint=name,
                name=lineage.caller_name(one),
                declared=False,
                requests=one.requests,
                last=one.last,
            )
            for one in strangers
        ]
    return found


def _declared(one: Consumer, calls: list[callers.Calls]) -> Seen:
    return Seen(
        endpoint=one.endpoint,
        name=one.name,
        declared=True,
        owner=one.owner,
        channel=one.channel,
        tokens=one.tokens,
        clients=one.clients,
        requests=sum(each.requests for each in calls),
        last=max((each.last for each in calls), default=None),
    )


# ---------------------------------------------------------------- what goes away


def deprecate(ws: Workspace, subject: str, until: float, reason: str, use: str = "") -> Noticed:
    """Say that something goes away, and tell its consumers over channels and webhooks.

    ``subject`` is ``model/7``, ``model:NAME``, ``endpoint:NAME`` or ``dataset:NAME``.

    Raises:
        BadInputError: if the date is past, there is no reason, or it is of no such kind.
        NotFoundError: if there is no such thing.
    """
    one = Deprecation(
        subject=subject, since=ws.clock.now(), until=until, reason=reason, by="", use=use
    )

    def work(tx: Tx) -> Noticed:
        _may_go(tx, subject)
        if use:
            _may_go(tx, use)
        return _announce(ws, tx, consumers.deprecate(tx, one), "announced")

    return ws.write(Permission.PROMOTE, work)


def take_back(ws: Workspace, subject: str) -> Noticed:
    """Say that something stays after all, and tell those who were told.

    Raises:
        NotFoundError: if it was not to go away.
    """
    return ws.write(
        Permission.PROMOTE,
        lambda tx: _announce(ws, tx, consumers.take_back(tx, subject), "withdrawn"),
    )


def deprecated(ws: Workspace) -> list[Deprecation]:
    """Return all that goes away, the first to go first."""
    return ws.read(Permission.READ, consumers.deprecated)


def _may_go(tx: Tx, subject: str) -> None:
    model, mark, number = subject.partition("/")
    if mark and ":" not in subject:
        if not number.isdecimal() or len(number) > 9:
            raise BadInputError(f"{subject[:200]!r} names no version.", field="subject")
        registry.get(tx, model, int(number))
        return
    check_subject(subject, _GOES)
    _known(tx, subject)


def _announce(ws: Workspace, tx: Tx, one: Deprecation, what: str) -> Noticed:
    start = f"model:{one.subject.partition('/')[0]}" if "/" in one.subject else one.subject
    below = [near.name for near in closure(lineage.edges(ws, tx), start)]
    reached = {name.partition(":")[2] for name in [start, *below] if name.startswith("endpoint:")}
    users = [each for each in consumers.every(tx) if each.endpoint in reached]
    over = [
        each.name
        for each in channels.every(tx)
        if each.active
        and (not each.endpoints or reached & set(each.endpoints)
             or each.name in {user.channel for user in users})
    ]  # fmt: skip
    now = ws.clock.now()
    title = (
        f"{one.subject} goes away {iso(one.until)}"
        if what == "announced"
        else f"{one.subject} stays after all"
    )
    lines = [one.reason, *([f"Use {one.use} instead."] if one.use else [])]
    lines += [f"Consumer {user.name} of {user.endpoint}, owned by {user.owner}." for user in users]
    lines += [f"Stands on it: {', '.join(below[:20])}"] if below else []
    data = {
        "subject": one.subject,
        "until": one.until,
        "reason": one.reason,
        "use": one.use,
        "consumers": [user.name for user in users],
        "dependents": below[:200],
    }
    message = Message(
        id=f"page_{key_of('deprecation', one.subject, what, now)[:26]}",
        event="NOTICE",
        title=title,
        lines=lines,
        at=now,
        endpoint=min(reached, default=""),
        data=data,
    )
    paging.notify(tx, message, f"deprecation:{one.subject}"[:64], over, now)
    notices.tell(tx, f"deprecation.{what}", data, now)
    return Noticed(
        deprecation=one,
        dependents=below,
        consumers=[f"{user.endpoint}: {user.name}" for user in users],
        channels=over,
    )

"""Who says that they use an endpoint, and what goes away when: declared, listed, taken back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select

from mainspring.debt.tables import consumers, deprecations
from mainspring.ground.deprecations import Deprecation
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical, check_name
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record

MOST = 1_000  #: consumers of one endpoint


class Consumer(Record, frozen=True, kw_only=True):
    """Somebody who uses an endpoint: a service or a team, no person's address."""

    endpoint: str
    name: str
    owner: str
    tokens: list[str] = []  #: names of tokens it shows, beside its own name
    clients: list[str] = []  #: what it says in X-Client, beside its own name
    channel: str | None = None  #: over which it is told what happens to the endpoint
    at: float = 0.0
    by: str = ""


def add(tx: Tx, consumer: Consumer) -> Consumer:
    """Declare a consumer; one of the same name is replaced.

    Raises:
        BadInputError: if a name cannot be one, or nobody owns it.
    """
    for field, names in (("name", [consumer.name]), ("token", consumer.tokens)):
        for name in names:
            check_name(name, field)
    for name in consumer.clients:
        check_name(name, "client")
    if not consumer.owner.strip():
        raise BadInputError(
            f"Who answers for {consumer.name}?", field="owner", hint="Give --owner WHO."
        )
    there = of_endpoint(tx, consumer.endpoint)
    if len(there) >= MOST and all(one.name != consumer.name for one in there):
        raise BadInputError(f"{consumer.endpoint} has {MOST} consumers, and no more may be.")
    kept = msgspec.structs.replace(consumer, by=tx.who.name, owner=consumer.owner.strip())
    tx.run(delete(consumers).where(*_is(kept.endpoint, kept.name)))
    cells = msgspec.structs.asdict(kept)
    for field in ("tokens", "clients"):
        cells[field] = canonical(cells[field]).decode()
    tx.run(insert(consumers).values(**cells))
    tx.audit("consumer.add", f"endpoint:{kept.endpoint}", {"name": kept.name, "owner": kept.owner})
    return kept


def remove(tx: Tx, endpoint: str, name: str) -> None:
    """Forget a consumer.

    Raises:
        NotFoundError: if none of that name is declared.
    """
    if tx.run(delete(consumers).where(*_is(endpoint, name))) == 0:
        raise NotFoundError(
            f"Endpoint {endpoint[:80]} has no declared consumer {name[:80]!r}.",
            field="name",
            hint=f"See them: mainspring consumers list {endpoint[:80]}",
        )
    tx.audit("consumer.remove", f"endpoint:{endpoint}", {"name": name})


def every(tx: Tx) -> list[Consumer]:
    """Return every declared consumer, by endpoint and name."""
    question = select(consumers).order_by(consumers.c.endpoint, consumers.c.name)
    return [_consumer(row) for row in tx.all(question)]


def of_endpoint(tx: Tx, endpoint: str) -> list[Consumer]:
    """Return the declared consumers of an endpoint, by name."""
    question = select(consumers).where(consumers.c.endpoint == endpoint)
    return [_consumer(row) for row in tx.all(question.order_by(consumers.c.name))]


def forget(tx: Tx, endpoint: str) -> None:
    """Forget the consumers of an endpoint that is no more, and that it was to go away."""
    tx.run(delete(consumers).where(consumers.c.endpoint == endpoint))
    tx.run(delete(deprecations).where(deprecations.c.subject == f"endpoint:{endpoint}"))


def deprecate(tx: Tx, one: Deprecation) -> Deprecation:
    """Say that something goes away; said again, the newest word holds.

    Raises:
        BadInputError: if the date is past or there is no reason.
    """
    if not one.reason.strip():
        raise BadInputError("A deprecation needs a reason.", field="reason")
    if one.until <= one.since:
        raise BadInputError("The date at which it ends must lie ahead.", field="until")
    kept = msgspec.structs.replace(one, by=tx.who.name, reason=one.reason.strip())
    tx.run(delete(deprecations).where(deprecations.c.subject == one.subject))
    tx.run(insert(deprecations).values(**msgspec.structs.asdict(kept)))
    tx.audit("deprecate", one.subject, {"until": one.until, "use": one.use})
    return kept


def take_back(tx: Tx, subject: str) -> Deprecation:
    """Say that something stays after all; return what was said before.

    Raises:
        NotFoundError: if it was not to go away.
    """
    found = deprecated(tx, [subject])
    if not found:
        raise NotFoundError(f"{subject[:200]} is not deprecated.", field="subject")
    tx.run(delete(deprecations).where(deprecations.c.subject == subject))
    tx.audit("deprecate.undo", subject, {})
    return found[0]


def deprecated(tx: Tx, subjects: list[str] | None = None) -> list[Deprecation]:
    """Return what goes away of these subjects, or of all, the first to go first."""
    question = select(deprecations).order_by(deprecations.c.until, deprecations.c.subject)
    if subjects is not None:
        question = question.where(deprecations.c.subject.in_(subjects))
    return [msgspec.convert(row, Deprecation, from_attributes=True) for row in tx.all(question)]


def _is(endpoint: str, name: str) -> tuple[Any, Any]:
    return consumers.c.endpoint == endpoint, consumers.c.name == name


def _consumer(row: Any) -> Consumer:
    return Consumer(
        endpoint=row.endpoint,
        name=row.name,
        owner=row.owner,
        tokens=msgspec.json.decode(row.tokens),
        clients=msgspec.json.decode(row.clients),
        channel=row.channel,
        at=row.at,
        by=row.by,
    )

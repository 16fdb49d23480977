"""Note what happens to the registry for those who asked to be told: webhooks and their outbox.

What happened is noted in the transaction in which it happens, so that nothing is told which was
undone and nothing is lost which was done. The engine hands the notes out as tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Record
from mainspring.ground.ports import Tx
from mainspring.readiness.tables import registry_events, webhooks

#: What can be listened for.
EVENTS = (
    "model.created",
    "version.created",
    "version_tag.set",
    "version_tag.deleted",
    "alias.set",
    "alias.removed",
    "deprecation.announced",
    "deprecation.withdrawn",
)


class Webhook(Record, frozen=True, kw_only=True):
    """Who wants to be told what, and where. ``has_secret``: deliveries are signed."""

    id: str
    name: str
    url: str
    events: list[str]
    description: str = ""
    active: bool = True
    has_secret: bool = False
    created: float
    changed: float


class Notice(Record, frozen=True, kw_only=True):
    """Something that happened and has not been handed out."""

    id: int
    event: str
    data: dict[str, Any]
    at: float


def tell(tx: Tx, event: str, data: Mapping[str, Any], at: float) -> None:
    """Note that something happened, if anybody listens for it."""
    if any(event in hook.events for hook in listed(tx) if hook.active):
        values = {"event": event, "data": canonical(dict(data)).decode(), "at": at}
        tx.run(insert(registry_events).values(**values))


def waiting(tx: Tx, limit: int = 100) -> list[Notice]:
    """Return what has not been handed out yet, the oldest first."""
    rows = tx.all(select(registry_events).order_by(registry_events.c.id).limit(limit))
    return [
        Notice(id=row.id, event=row.event, data=msgspec.json.decode(row.data), at=row.at)
        for row in rows
    ]


def handed_out(tx: Tx, last: int) -> None:
    """Forget notices that are tasks by now: all up to this one."""
    tx.run(delete(registry_events).where(registry_events.c.id <= last))


def create(tx: Tx, hook: Webhook, secret: str | None) -> Webhook:
    """Keep a webhook.

    Raises:
        BadInputError: if it listens for nothing or for what never happens.
    """
    _check(hook)
    cells = {**_cells(hook), "id": hook.id, "secret": secret, "created": hook.created}
    tx.run(insert(webhooks).values(**cells))
    tx.audit("webhook.create", f"webhook:{hook.id}", {"url": hook.url, "events": hook.events})
    return get(tx, hook.id)


def change(tx: Tx, hook: Webhook, secret: str | None) -> Webhook:
    """Keep what is said of a webhook now; a secret of None leaves the one that is there.

    Raises:
        NotFoundError: if there is none by that id.
        BadInputError: as :func:`create`.
    """
    _check(hook)
    get(tx, hook.id)
    cells = _cells(hook) if secret is None else {**_cells(hook), "secret": secret}
    tx.run(update(webhooks).where(webhooks.c.id == hook.id).values(**cells))
    tx.audit("webhook.change", f"webhook:{hook.id}", {"url": hook.url, "events": hook.events})
    return get(tx, hook.id)


def remove(tx: Tx, hook: str) -> None:
    """Tell a webhook nothing any more.

    Raises:
        NotFoundError: if there is none by that id.
    """
    get(tx, hook)
    tx.run(delete(webhooks).where(webhooks.c.id == hook))
    tx.audit("webhook.remove", f"webhook:{hook}", {})


def listed(tx: Tx) -> list[Webhook]:
    """Return every webhook, the oldest first."""
    return [_of(row) for row in tx.all(select(webhooks).order_by(webhooks.c.id))]


def get(tx: Tx, hook: str) -> Webhook:
    """Return one webhook.

    Raises:
        NotFoundError: if there is none by that id.
    """
    row = tx.one(select(webhooks).where(webhooks.c.id == hook))
    if row is None:
        raise NotFoundError(f"Webhook with ID {hook[:80]} not found.", field="webhook_id")
    return _of(row)


def secret_of(tx: Tx, hook: str) -> str | None:
    """Return what a webhook's deliveries are signed with; for the delivery alone."""
    row = tx.one(select(webhooks.c.secret).where(webhooks.c.id == hook))
    return None if row is None else row.secret


def _of(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        name=row.name,
        url=row.url,
        events=msgspec.json.decode(row.events),
        description=row.description,
        active=bool(row.active),
        has_secret=row.secret is not None,
        created=row.created,
        changed=row.changed,
    )


def _cells(hook: Webhook) -> dict[str, Any]:
    return {
        "name": hook.name,
        "url": hook.url,
        "events": canonical(hook.events).decode(),
        "description": hook.description,
        "active": int(hook.active),
        "changed": hook.changed,
    }


def _check(hook: Webhook) -> None:
    if not hook.events:
        raise BadInputError("Webhook must have at least one event", field="events")
    for event in hook.events:
        if event not in EVENTS:
            raise BadInputError(
                f"Nobody can listen for {event[:80]!r}; there are: {', '.join(EVENTS)}.",
                field="events",
            )

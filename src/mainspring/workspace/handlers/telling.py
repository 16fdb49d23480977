"""Deliver what happened to the registry: a task a webhook, tried again, given up visibly."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.permissions import Permission
from mainspring.readiness import notices
from mainspring.workspace.telling import body_of, group_of, post
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

KIND = "webhook"
#: The last try is a little over a quarter of an hour after the first.
ATTEMPTS, BACKOFF_S = 10, 2.0
_AGAIN = (408, 425, 429)  #: statuses below 500 after which another try may do better


def due(tx: Tx) -> list[NewTask]:
    """Return one delivery for each webhook and each thing that happened."""
    waiting = notices.waiting(tx)
    hooks = [hook for hook in notices.listed(tx) if hook.active] if waiting else []
    return [
        NewTask(
            id=f"webhook/{hook.id}/{one.id}",
            kind=KIND,
            payload={
                "webhook": hook.id,
                "event": one.event,
                "data": one.data,
                "at": one.at,
                "notice": one.id,
            },
            group=group_of(hook.id),
            max_attempts=ATTEMPTS,
            backoff_s=BACKOFF_S,
        )
        for one in waiting
        for hook in hooks
        if one.event in hook.events
    ]


class Telling:
    """Carries out deliveries."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def deliver(self, lease: Lease) -> Done:
        """Deliver one thing that happened to one webhook."""
        asked = lease.task.payload

        def look(tx: Tx) -> tuple[notices.Webhook, str | None]:
            hook = notices.get(tx, asked["webhook"])
            return hook, notices.secret_of(tx, hook.id)

        hook, kept = self._ws.read(Permission.WORK, look)
        secret = sealed.unseal(self._ws, "webhook", hook.id, kept)
        delivery = str(uuid.uuid5(uuid.NAMESPACE_URL, lease.task.id))  # the same at every try
        found = post(
            hook.url,
            body_of(asked["event"], asked["data"], float(asked["at"])),
            secret,
            delivery,
            self._ws.clock.now(),
            self._ws.settings.webhook_hosts,
        )
        if found.status >= 500 or found.status in _AGAIN:
            raise UnavailableError(f"{hook.url} answered {found.status}.")
        if found.status >= 300:
            raise BadInputError(f"{hook.url} answered {found.status}: {found.body[:200]}")
        # Every notice up to this one is a task by now: they are read in their order.
        return Done(
            result={"status": found.status},
            apply=lambda tx: notices.handed_out(tx, int(asked["notice"])),
        )


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of deliveries."""
    return {KIND: Telling(ws).deliver}

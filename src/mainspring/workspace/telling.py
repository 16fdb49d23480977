"""Deliver what happened to the registry to those who asked: signed, and never inward.

The body and the headers are those that receivers of MLflow's webhooks know, so that one receiver
serves both. Where a delivery may go is decided in :mod:`mainspring.backends.notify.posting`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.backends.notify import posting
from mainspring.backends.notify.posting import Answer, refuse_inward, signature
from mainspring.engine import again, tasks
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import new_id
from mainspring.ground.permissions import Permission
from mainspring.readiness import notices
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

#: Our events and what receivers call them.
WORDS = {
    "model.created": ("registered_model", "created"),
    "version.created": ("model_version", "created"),
    "version_tag.set": ("model_version_tag", "set"),
    "version_tag.deleted": ("model_version_tag", "deleted"),
    "alias.set": ("model_version_alias", "created"),
    "alias.removed": ("model_version_alias", "deleted"),
    "deprecation.announced": ("deprecation", "announced"),
    "deprecation.withdrawn": ("deprecation", "withdrawn"),
}
_MODEL = {"name": "example_model"}
_VERSION = {**_MODEL, "version": "1"}
_GONE = {
    "subject": "endpoint:example",
    "until": 1_800_000_000.0,
    "reason": "An example",
    "use": "endpoint:other",
    "consumers": ["billing"],
    "dependents": ["consumer:billing"],
}
#: What a test sends.
EXAMPLES: dict[str, dict[str, Any]] = {
    "model.created": {
        **_MODEL,
        "tags": {"example_key": "example_value"},
        "description": "An example",
    },
    "version.created": {
        **_VERSION,
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        "tags": {"example_key": "example_value"},
        "description": "An example",
    },
    "version_tag.set": {**_VERSION, "key": "example_key", "value": "example_value"},
    "version_tag.deleted": {**_VERSION, "key": "example_key"},
    "alias.set": {**_VERSION, "alias": "example_alias"},
    "alias.removed": {**_MODEL, "alias": "example_alias"},
    "deprecation.announced": _GONE,
    "deprecation.withdrawn": _GONE,
}


def keep(
    ws: Workspace, hook: notices.Webhook, secret: str | None, *, new: bool
) -> notices.Webhook:
    """Keep a webhook, new or changed; the secret never comes back.

    Raises:
        NotFoundError: if it is not new and not there.
        BadInputError: if deliveries may not go to its URL, or it listens for nothing.
    """
    refuse_inward(hook.url, ws.settings.webhook_hosts)
    work = notices.create if new else notices.change
    kept = sealed.seal(ws, "webhook", hook.id, secret)
    return ws.write(Permission.ADMIN, lambda tx: work(tx, hook, kept))


def make(
    ws: Workspace,
    name: str,
    url: str,
    events: list[str],
    *,
    description: str = "",
    active: bool = True,
    secret: str | None = None,
) -> notices.Webhook:
    """Make a webhook.

    Raises:
        BadInputError: if deliveries may not go to its URL, or it listens for nothing.
    """
    if not name or len(name) > 256 or not name.isprintable() or name != name.strip():
        raise BadInputError(
            "A webhook's name is 1 to 256 characters that can be seen.", field="name"
        )
    now = ws.clock.now()
    hook = notices.Webhook(
        id=new_id("hook"),
        name=name,
        url=url,
        events=events,
        description=description,
        active=active,
        created=now,
        changed=now,
    )
    return keep(ws, hook, secret, new=True)


def listed(ws: Workspace) -> list[notices.Webhook]:
    """Return every webhook, without secrets."""
    return ws.read(Permission.ADMIN, notices.listed)


def deliveries(ws: Workspace, hook: str) -> tuple[dict[str, int], str]:
    """Return how many deliveries are in each state, and what went wrong with the newest."""

    def look(tx: Tx) -> tuple[dict[str, int], str]:
        several = tasks.list_tasks(tx, group_of(hook))
        wrong = next((one.error for one in reversed(several) if one.error), "")
        return tasks.group_state(tx, group_of(hook)), wrong

    return ws.read(Permission.ADMIN, look)


def remove(ws: Workspace, hook: str) -> None:
    """Tell a webhook nothing any more; what waits for it is cancelled.

    Raises:
        NotFoundError: if there is none by that id.
    """

    def work(tx: Tx) -> None:
        notices.remove(tx, hook)
        tasks.cancel(tx, group_of(hook))

    ws.write(Permission.ADMIN, work)


def retry(ws: Workspace, hook: str) -> int:
    """Try again what was given up; return how many deliveries that are.

    Raises:
        NotFoundError: if there is none by that id.
        ConflictError: if deliveries are still at work.
    """

    def work(tx: Tx) -> int:
        notices.get(tx, hook)
        return again.retry(tx, group_of(hook))

    return ws.write(Permission.ADMIN, work)


def try_out(ws: Workspace, hook: str, event: str | None = None) -> Answer:
    """Send an example to a webhook now, from this process, and return what it said.

    Raises:
        NotFoundError: if there is none by that id.
        BadInputError: if deliveries may not go there.
        UnavailableError: if nobody answers.
    """

    def look(tx: Tx) -> tuple[notices.Webhook, str | None]:
        return notices.get(tx, hook), notices.secret_of(tx, hook)

    found, kept = ws.read(Permission.ADMIN, look)
    secret = sealed.unseal(ws, "webhook", hook, kept)
    now = ws.clock.now()
    body = body_of(event or found.events[0], EXAMPLES[event or found.events[0]], now)
    return post(found.url, body, secret, str(uuid.uuid4()), now, ws.settings.webhook_hosts)


def group_of(hook: str) -> str:
    """Return what a webhook's deliveries are counted, cancelled and retried by."""
    return f"webhook/{hook}"


def body_of(event: str, data: Mapping[str, Any], at: float) -> bytes:
    """Return the body of a delivery."""
    entity, action = WORDS[event]
    when = datetime.fromtimestamp(at, UTC).isoformat()
    told = {"entity": entity, "action": action, "timestamp": when, "data": dict(data)}
    return json.dumps(told).encode()


def post(
    url: str,
    body: bytes,
    secret: str | None,
    delivery: str,
    now: float,
    allowed: Sequence[str],
) -> Answer:
    """Send one delivery and return the answer. Redirects and proxies are not followed.

    Raises:
        BadInputError: if the address is one of this network's and not allowed.
        UnavailableError: if nobody answers in time.
    """
    timestamp = str(int(now))
    headers = {"X-MLflow-Delivery-Id": delivery, "X-MLflow-Timestamp": timestamp}
    if secret:
        headers["X-MLflow-Signature"] = signature(secret, delivery, timestamp, body)
    return posting.post(url, body, headers, allowed)

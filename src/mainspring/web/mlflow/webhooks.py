"""Webhooks of the registry, as MLflow's clients make and list them."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.permissions import Permission
from mainspring.readiness import notices
from mainspring.web.mlflow.messages import Fields, milliseconds, page_of, trimmed
from mainspring.workspace import telling
from mainspring.workspace.opening import Workspace

#: What receivers call our events, as ``entity.action``.
_WORDS = {
    f"{entity}.{action}": ours
    for ours, (entity, action) in telling.WORDS.items()
    if entity != "deprecation"  # its clients know no such thing, and refuse an answer with it
}
_THEIRS = {ours: theirs for theirs, ours in _WORDS.items()}
_ENTITIES = (
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
)
_ACTIONS = ("CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED")
_STATUSES = ("ACTIVE", "DISABLED")


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a webhook."""
    kept = telling.make(
        ws,
        asked.text("name"),
        asked.text("url"),
        _events(asked.several("events")),
        description=asked.text_or("description"),
        active=asked.choice("status", _STATUSES, "ACTIVE") == "ACTIVE",
        secret=asked.text_or("secret") or None,
    )
    return {"webhook": _message(kept)}


def listed(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return webhooks, a page at a time."""
    limit, offset = asked.limit(100, 1000), asked.offset()
    found = telling.listed(ws)[offset : offset + limit + 1]
    return page_of("webhooks", [_message(one) for one in found], offset, limit)


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one webhook, without its secret."""
    name = asked.text("webhook_id")
    return {"webhook": _message(ws.read(Permission.ADMIN, lambda tx: notices.get(tx, name)))}


def update(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Change what is given of a webhook."""
    name = asked.text("webhook_id")
    before = ws.read(Permission.ADMIN, lambda tx: notices.get(tx, name))
    given: dict[str, Any] = {"changed": ws.clock.now()}
    for field in ("name", "url", "description"):
        if asked.given(field):
            given[field] = asked.text_or(field)
    if asked.several("events"):
        given["events"] = _events(asked.several("events"))
    if asked.given("status"):
        given["active"] = asked.choice("status", _STATUSES) == "ACTIVE"
    hook = msgspec.structs.replace(before, **given)
    return {
        "webhook": _message(telling.keep(ws, hook, asked.text_or("secret") or None, new=False))
    }


def delete(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Tell a webhook nothing any more."""
    telling.remove(ws, asked.text("webhook_id"))
    return {}


def try_out(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Send an example to a webhook now and return what it said."""
    told = asked.message("event")
    event = _events([told])[0] if told is not None else None
    try:
        answer = telling.try_out(ws, asked.text("webhook_id"), event)
    except MainspringError as error:
        if error.status == 404:
            raise
        return {"result": {"success": False, "error_message": f"Failed to test webhook: {error}"}}
    return {
        "result": {
            "success": answer.status < 400,
            "response_status": answer.status,
            "response_body": answer.body,
        }
    }


def _events(several: list[Fields]) -> list[str]:
    found = []
    for one in several:
        entity = one.choice("entity", _ENTITIES).lower()
        action = one.choice("action", _ACTIONS).lower()
        ours = _WORDS.get(f"{entity}.{action}")
        if ours is None:
            raise BadInputError(
                f"Nothing of the kind {entity}.{action} happens here; there are:"
                f" {', '.join(_WORDS)}.",
                field="events",
            )
        found.append(ours)
    return list(dict.fromkeys(found))


def _message(hook: notices.Webhook) -> dict[str, Any]:
    events = []
    for ours in hook.events:
        if ours not in _THEIRS:
            continue
        entity, _, action = _THEIRS[ours].partition(".")
        events.append({"entity": entity.upper(), "action": action.upper()})
    return trimmed(
        {
            "webhook_id": hook.id,
            "name": hook.name,
            "url": hook.url,
            "events": events,
            "description": hook.description or None,
            "status": "ACTIVE" if hook.active else "DISABLED",
            "creation_timestamp": milliseconds(hook.created),
            "last_updated_timestamp": milliseconds(hook.changed),
        }
    )

"""Triggers as people declare them: added, tried, paused, removed; and events that come in."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import tasks, triggers
from mainspring.engine.triggers import Event, Happened, Standing, Trigger
from mainspring.experiments import runs
from mainspring.ground.clock import iso
from mainspring.ground.errors import (
    BadInputError,
    StoreError,
    UnauthenticatedError,
    UnavailableError,
)
from mainspring.ground.identity import check_name, new_id
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.workspace import calling
from mainspring.workspace.events import files, noticing, sources, templates
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: A signed time may differ so much from ours; afterwards the same bytes are a replay.
REPLAY_S = 300.0
MOST_DEPTH = 20
_DIGITS = 16
_log = logging.getLogger("mainspring.web")


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that was added, and what its senders sign with, told once."""

    trigger: Trigger
    secret: str | None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of an event."""

    starts: bool
    why: str  #: it starts nothing
    pipeline: str
    params: dict[str, Any]
    event: dict[str, Any]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a trigger, and the run that came of it."""

    event: Event
    run: str | None
    status: str | None


# ---------------------------------------------------------------- declaring


def put(
    ws: Workspace, wanted: Trigger, *, secret: str | None = None, generate: bool = True
) -> Declared:
    """Start a pipeline of this project when something happens; the same name is replaced.

    What has happened already starts nothing. A webhook's secret is made here unless it is given.

    Raises:
        BadInputError: for a source, filter, param, pipeline or limit that cannot be used, or a
            circle of triggers.
    """
    check_name(wanted.name, "name")
    sources.read(wanted.on)
    _check_limits(wanted)
    templates.check(wanted.filters)
    if wanted.source != "webhook":
        templates.filled(wanted.params, {**sources.example(wanted.source), "count": 1})
    asked = {"root": wanted.root, "pipeline": wanted.pipeline}
    takes = calling.child(ws, "takes", asked, root=wanted.root)
    _check_params(wanted, takes)
    trigger = msgspec.structs.replace(wanted, pipeline=takes["target"])
    if trigger.source == "webhook":
        secret = secret or (secrets.token_urlsafe(32) if generate else None)
        if secret is not None and len(secret) < _DIGITS:
            raise BadInputError(
                f"A secret has at least {_DIGITS} characters, found {len(secret)}.",
                field="secret",
            )
    elif secret is not None:
        raise BadInputError("Only a webhook has a secret.", field="secret")
    there, kept = _file_keys(trigger), sealed.seal(ws, "trigger", trigger.name, secret)
    now = ws.clock.now()

    def work(tx: Tx) -> None:
        _refuse_circle(tx, trigger)
        baseline = there if there is not None else _keys(tx, trigger)
        triggers.put(tx, trigger, baseline, kept, now)
        told = {"on": trigger.on, "run": trigger.pipeline}
        tx.audit("trigger.put", f"trigger:{trigger.name}", told)

    ws.write(Permission.RUN, work)
    return Declared(trigger=trigger, secret=secret)


def _check_limits(wanted: Trigger) -> None:
    bounds = {
        "debounce_s": (0, 86_400),
        "per_hour": (1, 3600),
        "depth": (1, MOST_DEPTH),
        "fails": (1, 1000),
    }
    for field, (least, most) in bounds.items():
        found = getattr(wanted, field)
        if not least <= found <= most:
            raise BadInputError(
                f"{field} must be from {least} to {most}, found {found:g}.", field=field
            )


def _check_params(wanted: Trigger, takes: Mapping[str, Any]) -> None:
    for name in wanted.params:
        if name not in takes["names"]:
            raise BadInputError(
                f"Pipeline {wanted.pipeline} has no parameter {name[:80]!r}.",
                field=name[:80],
                hint=f"It has: {', '.join(takes['names']) or 'none'}.",
            )
    for name in takes["required"]:
        if name not in wanted.params:
            raise BadInputError(
                f"Pipeline {wanted.pipeline} needs the parameter {name}.",
                field=name,
                hint=f"Take it from the event: -p {name}='{{event.NAME}}'",
            )


def _refuse_circle(tx: Tx, new: Trigger) -> None:
    """Refuse a trigger whose pipeline leads to its own start by the ends of runs."""
    others = [one.trigger for one in triggers.every(tx) if one.trigger.name != new.name]
    path, reached = [new], {new.name}
    for one in path:
        for follower in [new, *others]:
            if not _same(sources.pipeline_of(follower), one.pipeline):
                continue
            if follower is new:
                named = " -> ".join(each.name for each in path)
                raise BadInputError(
                    f"{new.name} would start itself: {new.pipeline} leads back to it ({named}).",
                    field="on",
                    hint="Let it wait for something that its own runs do not make.",
                )
            if follower.name not in reached:
                reached.add(follower.name)
                path.append(follower)


def _same(waited_for: str | None, target: str) -> bool:
    return waited_for is not None and (waited_for == target or target.endswith(f":{waited_for}"))


def _keys(tx: Tx, trigger: Trigger) -> list[str]:
    return [one.key for one in sources.newest(tx, trigger)]


def _file_keys(trigger: Trigger) -> list[str] | None:
    if trigger.source != "file":
        return None
    return [one.key for one in files.there(trigger.root, trigger.what)]


def remove(ws: Workspace, name: str) -> None:
    """Start nothing by a trigger any more; what it began goes on.

    Raises:
        NotFoundError: if there is no such trigger.
    """

    def work(tx: Tx) -> None:
        triggers.remove(tx, name)
        tx.audit("trigger.remove", f"trigger:{name}", {})

    ws.write(Permission.RUN, work)


def pause(ws: Workspace, name: str) -> None:
    """Let a trigger rest: it notes nothing and begins nothing."""

    def work(tx: Tx) -> None:
        triggers.rest(tx, name, f"{tx.who.name} let it rest", ws.clock.now())
        tx.audit("trigger.pause", f"trigger:{name}", {})

    ws.write(Permission.RUN, work)


def resume(ws: Workspace, name: str) -> None:
    """Let a trigger work again; what happened meanwhile starts nothing."""
    trigger = ws.read(Permission.READ, lambda tx: triggers.get(tx, name)).trigger
    there = _file_keys(trigger)

    def work(tx: Tx) -> None:
        baseline = there if there is not None else _keys(tx, trigger)
        triggers.wake(tx, name, baseline, ws.clock.now())
        tx.audit("trigger.resume", f"trigger:{name}", {})

    ws.write(Permission.RUN, work)


# ---------------------------------------------------------------- looking


def listed(ws: Workspace) -> list[Standing]:
    """Return every trigger as it stands, by name."""
    return ws.read(Permission.READ, triggers.every)


def shown(ws: Workspace, name: str, limit: int = 20) -> tuple[Standing, list[Shown]]:
    """Return a trigger and its newest events, with the runs that came of them.

    Raises:
        NotFoundError: if there is no such trigger.
    """

    def look(tx: Tx) -> tuple[Standing, list[Shown]]:
        one = triggers.get(tx, name)
        return one, [_shown(tx, event) for event in triggers.past(tx, name, limit)]

    return ws.read(Permission.READ, look)


def _shown(tx: Tx, event: Event) -> Shown:
    run = None if event.task is None else runs.find(tx, cause=event.task)
    if run is None:
        return Shown(event=event, run=None, status=None)
    return Shown(event=event, run=run.id, status=str(run.status))


def tried(ws: Workspace, name: str, event: Mapping[str, Any] | None = None) -> Tried:
    """Say what would come of an event, or of the newest that happened; nothing is started.

    Raises:
        NotFoundError: if there is no such trigger.
        BadInputError: if nothing has happened yet and no event is given.
    """

    def look(tx: Tx) -> tuple[Standing, list[Happened]]:
        one = triggers.get(tx, name)
        past = [Happened(key=e.key, body=e.body) for e in triggers.past(tx, name, 1)]
        return one, past or sources.newest(tx, one.trigger)

    one, happened = ws.read(Permission.READ, look)
    if one.trigger.source == "file" and not happened:
        happened = files.there(one.trigger.root, one.trigger.what)
    if event is None and not happened:
        raise BadInputError(
            f"Nothing of {one.trigger.on} has happened yet.",
            field="event",
            hint='Give an event: --event \'{"ref": "refs/heads/main"}\'',
        )
    body = dict(event) if event is not None else happened[-1].body
    why = noticing.refused(one, Happened(key="", body=body))
    params: dict[str, Any] = {}
    try:
        params = templates.filled(one.trigger.params, {**body, "count": 1})
    except BadInputError as error:
        why = why or str(error)
    if one.paused is not None:
        why = why or f"it rests: {one.why}"
    return Tried(starts=not why, why=why, pipeline=one.trigger.pipeline, params=params, event=body)


def cause_of(ws: Workspace, run: str) -> tuple[str | None, list[str]]:
    """Return a run's cause, and in words the firing or event that it names.

    Raises:
        NotFoundError: if there is no such run.
    """

    def look(tx: Tx) -> tuple[str | None, list[str]]:
        cause = runs.get(tx, run).cause
        return cause, cause_lines(tx, cause) if cause else []

    return ws.read(Permission.READ, look)


def cause_lines(tx: Tx, cause: str) -> list[str]:
    """Return in words which firing or event a run's cause names; none for other causes."""
    kind, _, rest = cause.partition(":")
    name, _, _ = rest.partition(":")
    if kind == "schedule":
        task = tasks.get(tx, cause)
        at = None if task is None else task.payload.get("fire_at")
        told = "" if at is None else f" for {iso(at)}"
        return [f"The schedule {name} fired{told}."]
    if kind != "trigger":
        return []
    lines = []
    for event in triggers.of_task(tx, name, cause):
        said = ", ".join(f"{key}={_short(value)}" for key, value in event.body.items())
        lines.append(f"The trigger {name} noted at {iso(event.at)}: {said}.")
    return lines or [f"The trigger {name}, which is no more, began it."]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# ---------------------------------------------------------------- events that come in


class Sender(msgspec.Struct, frozen=True):
    """Somebody who showed that they may bring an event to a webhook."""

    trigger: str
    key: str  #: by which the event is known again


def sender(ws: Workspace, name: str, body: bytes, headers: Mapping[str, str]) -> Sender:
    """Return who brings a body, once they have shown the webhook's secret.

    They show it as a bearer token, or sign the body with it as GitHub does. A signature over a
    time and the body (``X-Mainspring-Timestamp``) lets the same body count again. The same
    signed bytes are one event, however often they come.

    Raises:
        UnauthenticatedError: if they cannot show that, or there is no such webhook.
    """

    def look(tx: Tx) -> str | None:
        return triggers.secret_of(tx, name)

    kept = ws.acting_as(service("hooks")).read(Permission.WORK, look)
    secret = _opened(ws, name, kept)
    key = None if secret is None else _shown_key(secret, body, headers, ws.clock.now())
    if key is None:
        # One answer for all of it: a stranger learns no names.
        raise UnauthenticatedError(
            "This webhook does not know the sender.",
            hint="Sign the body with the secret: X-Hub-Signature-256: sha256=HMAC.",
        )
    return Sender(name, key)


def _opened(ws: Workspace, name: str, kept: str | None) -> str | None:
    try:
        return sealed.unseal(ws, "trigger", name, kept)
    except StoreError as error:
        _log.exception("the webhook of trigger %s cannot be checked", name)
        # A stranger is not told of our keys; a sender tries again, and nothing is lost.
        raise UnavailableError("This webhook cannot be checked now.") from error


def received(ws: Workspace, by: Sender, event: Mapping[str, Any]) -> bool:
    """Note an event that a sender brought; return whether it is new."""
    happened = Happened(key=by.key, body=dict(event))

    def work(tx: Tx) -> bool:
        one = triggers.get(tx, by.trigger)
        why = noticing.refused(one, happened)
        why = f"it rests: {one.why}" if one.paused is not None else why
        return triggers.note(tx, by.trigger, happened, why, ws.clock.now())

    return ws.acting_as(service("hooks")).write(Permission.WORK, work)


def _shown_key(secret: str, body: bytes, headers: Mapping[str, str], now: float) -> str | None:
    """Return by which key an event is known, if its sender knows the secret; else None."""
    signature = headers.get("x-hub-signature-256")
    if signature is not None:
        at = headers.get("x-mainspring-timestamp")
        signed = body if at is None else at.encode() + b"." + body
        made = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={made}".encode(), signature.strip().encode()):
            return None
        if at is not None and not (
            at.isdecimal() and len(at) < 12 and abs(now - int(at)) < REPLAY_S
        ):
            return None
        # Of what is signed alone: a header that is not could be changed to send it again.
        return hashlib.sha256(signed).hexdigest()
    shown = headers.get("authorization", "")
    token = shown[7:].strip() if shown.lower().startswith("bearer ") else ""
    token = token or headers.get("x-gitlab-token", "")
    if not hmac.compare_digest(token.encode(), secret.encode()):
        return None
    named = headers.get("idempotency-key") or headers.get("x-gitlab-event-uuid")
    return f"id {named[:200]}" if named else new_id("event")

"""Tokens by which a run is told what came of work outside of it, without a login.

A token is made for each try of a step that takes one, and stands in that step's process alone:
here its digest is kept. The tokens of one wait are equally good, for an earlier try may have sent
its own before it broke; the first answer ends the wait, and all of them with it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import insert, select

from mainspring.engine import leases, tasks
from mainspring.experiments import runs as experiments
from mainspring.ground.clock import iso
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines.graph import Argument, leaves
from mainspring.pipelines.growing import Controller
from mainspring.pipelines.tables import callbacks
from mainspring.workspace import news
from mainspring.workspace.waiting import checked_news

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

T = TypeVar("T")

WHO = service("callback")  #: who answers: nobody is asked who holds a token
_BYTES = 32


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """How a wait stands after whoever has its token was heard."""

    step: str
    until: float | None  #: UTC seconds: it waits until then; None: for as long as it takes


def made(ws: Workspace, lease: Lease, args: Mapping[str, Argument]) -> dict[str, str]:
    """Return a fresh token for each callback that a step's arguments name, their digests kept.

    By the callback's own name. Who lost the lease makes none.
    """
    named = {
        leaf["token"]["step"]: int(leaf["token"]["asked"])
        for _, leaf in leaves(args)
        if "token" in leaf
    }
    if not named:
        return {}
    run, found = lease.task.payload["run"], {step: _drawn() for step in named}

    def keep(tx: Tx) -> None:
        leases.renew(tx, lease)
        at = ws.clock.now()
        rows = [
            {"digest": _digest(token), "run": run, "step": step, "asked": named[step], "at": at}
            for step, token in found.items()
        ]
        tx.run(insert(callbacks), rows)

    ws.write(Permission.WORK, keep)
    return found


def filled(args: Mapping[str, Argument], tokens: Mapping[str, str]) -> dict[str, Argument]:
    """Return a step's arguments with its tokens in them, for its own process alone."""
    return {name: _filled(one, tokens) for name, one in args.items()}


def answer(
    ws: Workspace,
    token: str,
    value: Any = None,
    *,
    error: str = "",
    error_type: str = "CallbackFailed",
) -> tuple[str, Wait]:
    """End the wait of a token with a value, or with an error; return its run and how it stood.

    Raises:
        NotFoundError: if no wait has this token.
        BadInputError: for a value that JSON cannot hold, or of more than 1 MB; for a value
            beside an error.
        ConflictError: if it was answered already, or its time is over; nothing is lost by it.
    """
    brought = checked_news(value, error, error_type)

    def work(tx: Tx) -> tuple[str, Wait]:
        found, asked = _found(tx, token)
        now, task = ws.clock.now(), growing.news_id(found.run, found.name, asked)
        if not tasks.tell(tx, task, {**brought, "by": WHO.name, "at": now}, now):
            raise _refusal(tx, found, asked, now)
        tx.audit("run.answer", f"run:{found.run}", {"step": found.name})
        return found.run, Wait(step=found.name, until=None)

    return _write(ws, token, work)


def alive(ws: Workspace, token: str) -> Wait:
    """Take a sign of life from whoever has a token: its wait goes on for another ``heartbeat``.

    Raises:
        NotFoundError: if no wait has this token.
        ConflictError: if it was answered already, or its time is over.
    """

    def work(tx: Tx) -> Wait:
        found, asked = _found(tx, token)
        now = ws.clock.now()
        until, beat = found.memo.get("until"), found.spec.settings["heartbeat_s"]
        ends = [one for one in (until, None if beat is None else now + beat) if one is not None]
        due = min(ends, default=None)
        task = growing.news_id(found.run, found.name, asked)
        if not tasks.put_off(tx, task, news.FAR if due is None else due, now):
            raise _refusal(tx, found, asked, now)
        return Wait(step=found.name, until=due)

    return _write(ws, token, work)


def _write(ws: Workspace, token: str, work: Callable[[Tx], T]) -> T:
    """Do what a token gives the right to; who guesses one, without a login, holds up no writer."""
    ours = ws.acting_as(WHO)
    ours.read(Permission.READ, lambda tx: _found(tx, token))
    return ours.write(Permission.WORK, work)


def _found(tx: Tx, token: str) -> tuple[Controller, int]:
    row = tx.one(select(callbacks).where(callbacks.c.digest == _digest(token)))
    if row is None:
        raise NotFoundError(
            "No callback waits for this token.",
            field="token",
            hint="Give it as it was handed out, all of it.",
        )
    return growing.load(tx, row.run, row.step), int(row.asked)


def _refusal(tx: Tx, found: Controller, asked: int, now: float) -> ConflictError:
    """Return why a token that is known does not count."""
    task = tasks.get(tx, growing.news_id(found.run, found.name, asked))
    told = task.result if task is not None else None
    if told is not None and not told.get("expired"):
        why = f"it was used at {iso(told['at'])}"
    elif told is not None or (task is not None and (task.due or now) <= now):
        why = "its time is over"
    elif experiments.get(tx, found.run).status is not RunStatus.RUNNING:
        why = "its run has ended"
    else:
        why = "the step that asked was stopped"
    return ConflictError(f"This token does not count any more: {why}.", field="token")


def _filled(argument: Argument, tokens: Mapping[str, str]) -> Argument:
    if "token" in argument:
        return {"token": tokens[argument["token"]["step"]]}
    for kind in ("list", "tuple"):
        if kind in argument:
            return {kind: [_filled(part, tokens) for part in argument[kind]]}
    if "dict" in argument:
        return {"dict": {k: _filled(part, tokens) for k, part in argument["dict"].items()}}
    return argument


def _drawn() -> str:
    # With letters in front: one that begins with a minus would be taken for an option.
    return f"cb_{secrets.token_urlsafe(_BYTES)}"


def _digest(token: str) -> str:
    # Drawn by chance and long: nothing is gained by a slow digest, as for passwords.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

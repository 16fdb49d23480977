"""Turn events into commands: one event, one transaction, strictly in order per loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import select, update

from mainspring import loop as policy
from mainspring.engine import tables as t
from mainspring.engine.inserting import insert
from mainspring.engine.tasks import NewTask, submit
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError, NotFoundError, UnavailableError
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.killpoints import here
from mainspring.ground.loops import Reaction, View, but
from mainspring.ground.objects import Decision, Freeze, LoopSpec
from mainspring.ground.ports import Tx

T = TypeVar("T")
COMMAND_ATTEMPTS = 5

RecordDecision = Callable[[Tx, Decision], Any]
EndAlarm = Callable[[Tx, str, str, str | None], Any]  # tx, alarm id, outcome, decision id
FrozenUntil = Callable[[Sequence[Freeze], float], float | None]


#: Decisions that no alarm ends by: they say that nothing was done.
_OF_NO_EFFECT = ("dismiss", "decline", "hold", "pause", "resume")


class LoopRow(msgspec.Struct, frozen=True, kw_only=True):
    """A declared loop as it stands."""

    name: str
    version: int
    declared: float
    spec: LoopSpec
    view: View
    by: str | None = None  #: who declared it, where it is known


def emit(tx: Tx, event: m.AnyEvent, key: str) -> bool:
    """Store an event to be reacted to; return False if one with this key is there already.

    Raises:
        NotFoundError: if the event is for a loop that was never declared.
    """
    if tx.one(select(t.views.c.loop).where(t.views.c.loop == event.loop)) is None:
        raise NotFoundError(f"There is no loop {event.loop!r}.", field="loop")
    row = {"key": key, "loop": event.loop, "at": event.at, "body": m.encode(event)}
    query = insert(tx, t.events).values(**row).on_conflict_do_nothing().returning(t.events.c.seq)
    return tx.one(query) is not None


def declare(tx: Tx, spec: LoopSpec, at: float, champion: int | None = None) -> int:
    """Keep a loop as declared and return its version; an edit makes a new version.

    ``champion`` is the version that serves already, if there is one. A first or changed
    declaration emits LoopStarted.
    """
    query = select(t.loops).where(t.loops.c.name == spec.name).order_by(t.loops.c.version.desc())
    last = tx.one(query.limit(1).with_for_update())
    body = canonical(spec).decode()
    if last is not None and last.active and last.spec == body:
        return int(last.version)
    version = 1 if last is None else int(last.version) + 1
    tx.run(update(t.loops).where(t.loops.c.name == spec.name).values(active=False))
    row = {"name": spec.name, "version": version, "spec": body, "active": True, "declared": at}
    row["by"] = tx.who.name
    tx.run(t.loops.insert().values(**row))
    if last is None:
        fresh = canonical(View(loop=spec.name, now=at)).decode()
        tx.run(t.views.insert().values(loop=spec.name, view=fresh))
    started = m.LoopStarted(loop=spec.name, at=at, champion=champion)
    emit(tx, started, f"loop_started:{spec.name}:{version}")
    return version


def view(tx: Tx, loop: str) -> View:
    """Return what a loop remembers.

    Raises:
        NotFoundError: if there is no such loop.
    """
    return _there(view_or_none(tx, loop), loop)


def view_or_none(tx: Tx, loop: str) -> View | None:
    """Return what a loop remembers, or None if there is no such loop."""
    row = tx.one(select(t.views.c.view).where(t.views.c.loop == loop))
    return None if row is None else msgspec.json.decode(row.view, type=View)


def spec(tx: Tx, loop: str, version: int | None = None) -> LoopSpec:
    """Return a loop as declared: the version in force, or a given one.

    Raises:
        NotFoundError: if there is no such loop or version.
    """
    return _there(spec_or_none(tx, loop, version), loop)


def spec_or_none(tx: Tx, loop: str, version: int | None = None) -> LoopSpec | None:
    """Return a loop as declared, or None if there is no such loop or version."""
    query = select(t.loops.c.spec).where(t.loops.c.name == loop)
    wanted = t.loops.c.active if version is None else t.loops.c.version == version
    row = tx.one(query.where(wanted))
    return None if row is None else msgspec.json.decode(row.spec, type=LoopSpec)


def loops(tx: Tx) -> list[LoopSpec]:
    """Return every loop in force as declared, by name."""
    return [row.spec for row in loop_rows(tx)]


def declared(tx: Tx) -> dict[str, int]:
    """Return the name and the version of every loop in force."""
    query = select(t.loops.c.name, t.loops.c.version).where(t.loops.c.active)
    return {row.name: int(row.version) for row in tx.all(query)}


def views_as_stored(tx: Tx) -> list[tuple[str, str]]:
    """Return what every loop remembers, as the text it is stored in."""
    return [(row.loop, row.view) for row in tx.all(select(t.views))]


def loop_rows(tx: Tx) -> list[LoopRow]:
    """Return every loop in force as it stands, by name."""
    query = select(t.loops, t.views.c.view).join(t.views, t.views.c.loop == t.loops.c.name)
    rows = tx.all(query.where(t.loops.c.active).order_by(t.loops.c.name))
    return [
        LoopRow(
            name=row.name,
            version=row.version,
            declared=row.declared,
            spec=msgspec.json.decode(row.spec, type=LoopSpec),
            view=msgspec.json.decode(row.view, type=View),
            by=row.by,
        )
        for row in rows
    ]


def history(tx: Tx, loop: str, after: int = 0, limit: int = 1000) -> list[tuple[int, m.AnyEvent]]:
    """Return a loop's events with their serial numbers, oldest first."""
    query = select(t.events.c.seq, t.events.c.body).where(t.events.c.loop == loop)
    query = query.where(t.events.c.seq > after).order_by(t.events.c.seq).limit(limit)
    return [(int(row.seq), m.decode_event(row.body)) for row in tx.all(query)]


def pending(tx: Tx, skip: Collection[str] = ()) -> str | None:
    """Return the loop whose event is to be handled next, if there is one."""
    query = select(t.events.c.loop).where(t.events.c.handled.is_(None))
    if skip:
        query = query.where(t.events.c.loop.not_in(list(skip)))
    row = tx.one(query.order_by(t.events.c.seq).limit(1))
    return None if row is None else str(row.loop)


def check_awaited(tx: Tx, command: m.Command) -> None:
    """Let a command pass that moves traffic, if its loop still waits for it; else refuse.

    Asked in the transaction of the effect, it shuts out what a person did meanwhile: a hand's
    move and its event are one transaction, so a loop without unhandled events knows them all.

    Raises:
        ConflictError: if the loop has gone on without this command.
        UnavailableError: if the loop has events to react to first; worth another attempt.
    """
    query = select(t.views.c.view).where(t.views.c.loop == command.loop).with_for_update()
    kept = _there(tx.one(query), command.loop)
    waiting = select(t.events.c.seq).where(t.events.c.loop == command.loop)
    if tx.one(waiting.where(t.events.c.handled.is_(None)).limit(1)) is not None:
        raise UnavailableError(f"{command.loop} has events to react to before {command.id}.")
    if msgspec.json.decode(kept.view, type=View).command != command.id:
        raise ConflictError(f"{command.loop} does not wait for {command.id} any more.")


class Reactor:
    """Joins the pure loop to the store.

    Two callables say where decisions and alarms live, a third whether a freeze is in force: the
    loop asks no clock, so it is told.
    """

    def __init__(
        self,
        record_decision: RecordDecision,
        end_alarm: EndAlarm,
        frozen_until: FrozenUntil = lambda *_: None,
    ) -> None:
        self._record_decision = record_decision
        self._end_alarm = end_alarm
        self._frozen_until = frozen_until

    def react_once(self, tx: Tx, now: float, loop: str | None = None) -> bool:
        """Handle the oldest event (of one loop, if given); return False if there is none.

        View, commands, decisions, ended alarms and the event's mark are kept together or not
        at all, so an engine may die here at any point.
        """
        loop = loop or pending(tx)
        if loop is None:
            return False
        # 1. Lock the view first: two engines must not react to one loop at the same time.
        query = select(t.views).where(t.views.c.loop == loop).with_for_update()
        kept = _there(tx.one(query), loop)
        waiting = select(t.events).where(t.events.c.loop == loop, t.events.c.handled.is_(None))
        row = tx.one(waiting.order_by(t.events.c.seq).limit(1))
        if row is None:
            return False
        # 2. Decide, purely.
        event = m.decode_event(row.body)
        known = msgspec.json.decode(kept.view, type=View)
        declared = spec(tx, loop)
        known = but(known, frozen_until=self._frozen_until(declared.retraining.freeze, now))
        reaction = policy.react(event, known, declared)
        # 3. Keep what follows.
        decision = self._decide(tx, reaction, declared, now, row.key, kept.decision)
        submit(tx, [_task(command) for command in reaction.commands])
        changed = {"view": canonical(reaction.view).decode(), "decision": decision}
        tx.run(update(t.views).where(t.views.c.loop == loop).values(**changed))
        # 4. The event is handled.
        tx.run(update(t.events).where(t.events.c.seq == row.seq).values(handled=now))
        here("react.before_commit")
        return True

    def _decide(
        self,
        tx: Tx,
        reaction: Reaction,
        declared: LoopSpec,
        now: float,
        key: str,
        decision: str | None,
    ) -> str | None:
        """Write decisions and end alarms; return the last decision that did something."""
        by_subject: dict[str, str] = {}
        for draft in reaction.decisions:
            made = Decision(
                id=new_id("decision"),
                at=reaction.view.now,
                made=now,
                kind=draft.kind,
                subject=draft.subject,
                reason=draft.reason,
                by=f"loop:{declared.name}",
                loop=declared.name,
                cause=f"event:{key}",
                evidence=draft.evidence,
            )
            self._record_decision(tx, made)
            by_subject[draft.subject] = made.id
            if draft.kind not in _OF_NO_EFFECT:
                decision = made.id
        for alarm, outcome in reaction.ended:
            self._end_alarm(tx, alarm, outcome, by_subject.get(f"alarm:{alarm}", decision))
        return decision


def _task(command: m.AnyCommand) -> NewTask:
    tag = str(type(command).__struct_config__.tag)
    payload = msgspec.to_builtins(command)
    return NewTask(id=command.id, kind=tag, payload=payload, max_attempts=COMMAND_ATTEMPTS)


def command_failed(task_kind: str, payload: dict[str, Any], error: str) -> m.CommandFailed | None:
    """Return the event that a finally failed task answers with, if it was a command's."""
    if task_kind not in _COMMAND_TAGS:
        return None
    command = msgspec.convert(payload, m.AnyCommand)
    return m.CommandFailed(loop=command.loop, at=command.at, command=command.id, error=error)


_COMMAND_TAGS = frozenset(str(kind.__struct_config__.tag) for kind in m.AnyCommand.__args__)


def _there(row: T | None, loop: str) -> T:
    if row is None:
        raise NotFoundError(f"There is no loop {loop!r}.", field="loop")
    return row

"""Find the work that triggers make: events to note, runs to begin, triggers to let rest.

Every task is called by what it is about, so that two engines which see the same make it once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import tasks, triggers
from mainspring.engine.tasks import NewTask
from mainspring.engine.triggers import Happened, Standing
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError
from mainspring.ground.identity import key_of
from mainspring.ground.killpoints import here
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.rules import Message
from mainspring.monitoring import channels, paging
from mainspring.workspace import running
from mainspring.workspace.events import backlog, files, sources, templates

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

ATTEMPTS = 10
NOTE, BEGIN, REST = "trigger_note", "trigger_begin", "trigger_rest"
_HOUR_S = 3600.0
#: Events that keep coming within the debounce wait so many times as long at most.
_LONGEST = 10
_log = logging.getLogger("mainspring.engine")


class Triggers:
    """Looks at what happened, and names the work that should exist."""

    def __init__(self) -> None:
        self._watches: dict[str, files.Watch] = {}
        self._backlogs: dict[tuple[str, str], list[backlog.Backlog]] = {}

    def due(self, tx: Tx, now: float) -> list[NewTask]:
        """Return what the triggers make to do; most of it is known already."""
        found: list[NewTask] = []
        for one in triggers.every(tx):
            if one.paused is not None:
                continue
            try:
                found += self._noted(tx, one, now)
            except (MainspringError, OSError):
                _log.exception("a look for trigger %s", one.trigger.name)
            found += _begun(tx, one, now)
        return found

    def _noted(self, tx: Tx, one: Standing, now: float) -> list[NewTask]:
        if one.trigger.source == "file":
            parts = [self._files(tx, one, now)]
        else:
            place = (one.trigger.name, one.trigger.on)
            logs = self._backlogs.setdefault(place, backlog.opened(one))
            parts = [each.fresh(tx, one) for each in logs]
        return [_note(tx, one, fresh) for fresh in parts if fresh]

    def _files(self, tx: Tx, one: Standing, now: float) -> list[Happened]:
        watch = self._watches.setdefault(one.trigger.name, files.Watch())
        happened = watch.settled(one.trigger.root, one.trigger.what, now)
        fresh = [each for each in happened if each.key not in one.baseline]
        known = triggers.known(tx, one.trigger.name, [each.key for each in fresh])
        watch.told(known | one.baseline)
        return [each for each in fresh if each.key not in known][: backlog.AT_ONCE]


def _note(tx: Tx, one: Standing, fresh: list[Happened]) -> NewTask:
    name = one.trigger.name
    task = f"{NOTE}/{name}/{key_of(name, one.since, *(each.key for each in fresh))}"
    before = tasks.get(tx, task)
    if before is not None and before.state in tasks.BROKEN:
        task = f"{task}/again"  # its workers died every time: what lies behind waits for it
    payload = {"trigger": name, "events": [msgspec.to_builtins(each) for each in fresh]}
    return NewTask(id=task, kind=NOTE, payload=payload, max_attempts=ATTEMPTS)


def _begun(tx: Tx, one: Standing, now: float) -> list[NewTask]:
    """Return the run that the oldest waiting events begin, where it may; or the rest it needs."""
    trigger = one.trigger
    waiting = triggers.waiting(tx, trigger.name)
    if not waiting:
        return []
    failed = _failed(tx, one)
    if failed:
        told = {"trigger": trigger.name, "why": failed}
        name = f"{REST}/{trigger.name}/{waiting[0].id}"
        return [NewTask(id=name, kind=REST, payload=told, max_attempts=ATTEMPTS)]
    quiet = now - waiting[-1].at >= trigger.debounce_s
    long = now - waiting[0].at >= _LONGEST * trigger.debounce_s
    if trigger.debounce_s and not quiet and not long:
        return []
    if triggers.begun_since(tx, trigger.name, now - _HOUR_S) >= trigger.per_hour:
        return []
    if trigger.overlap == "queue" and triggers.goes_on(tx, trigger.name) is not None:
        return []
    chosen = waiting if trigger.debounce_s else waiting[:1]
    name = task_of(trigger.name, chosen[0].id)
    payload: dict[str, Any] = {
        "trigger": trigger.name,
        "events": [each.id for each in chosen],
    }
    before = tasks.get(tx, name)
    if before is not None and before.state in tasks.BROKEN:
        # Its workers died every time: what it could not say of itself is said for it.
        payload |= {"lost": before.error or "It was cancelled."}
        name = f"{name}/lost"
    return [NewTask(id=name, kind=BEGIN, payload=payload, max_attempts=ATTEMPTS)]


def task_of(trigger: str, event: int) -> str:
    """Return the id of the task that begins a run, which is the cause of that run."""
    return f"trigger:{trigger}:{event}"


def _failed(tx: Tx, one: Standing) -> str:
    """Return in words that so many runs failed in a row that it has to rest; else empty."""
    last = triggers.last_tasks(tx, one.trigger.name, one.since, one.trigger.fails)
    if len(last) < one.trigger.fails:
        return ""
    for task, state in last:
        begun = tasks.get(tx, task)
        run = None if begun is None else (begun.result or {}).get("run")
        if state == "failed":
            continue
        if run is None or not _run_failed(tx, run):
            return ""
    return f"{len(last)} runs in a row failed, the last of them {last[0][0]}"


def _run_failed(tx: Tx, run: str) -> bool:
    try:
        return runs.get(tx, run).status is RunStatus.FAILED
    except NotFoundError:
        return False


class Begins:
    """Carries out what :class:`Triggers` finds."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def note(self, lease: Lease) -> Done:
        """Note what happened; what a filter or the length of the chain refuses starts nothing."""
        told = lease.task.payload
        happened = msgspec.convert(told["events"], list[Happened])

        def apply(tx: Tx) -> None:
            try:
                one = triggers.get(tx, told["trigger"])
            except NotFoundError:
                return  # it was removed meanwhile
            for each in happened:
                triggers.note(tx, one.trigger.name, each, refused(one, each), self._ws.clock.now())
            here("trigger.noted")

        return Done(apply=apply)

    def begin(self, lease: Lease) -> Done:
        """Begin a run for events that wait, or say why not. The same events begin no second."""
        asked, own, now = lease.task.payload, lease.task.id, self._ws.clock.now()
        name, ids = asked["trigger"], asked["events"]
        task = own.removesuffix("/lost")

        def look(tx: Tx) -> tuple[Standing | None, list[triggers.Event], str | None]:
            try:
                one = triggers.get(tx, name)
            except NotFoundError:
                return None, [], None
            events = [each for each in triggers.some(tx, ids) if each.state == "waiting"]
            return one, events, triggers.goes_on(tx, name)

        one, events, goes_on = self._ws.read(Permission.WORK, look)
        if one is None or not events:
            return Done()
        if goes_on is not None and one.trigger.overlap == "skip":
            return self._settled(ids, "skipped", goes_on, None)
        if "lost" in asked:
            return self._settled(ids, "failed", asked["lost"], task)
        newest = events[-1]
        try:
            planned = self._planned(one.trigger, newest, task, lease, len(events))
        except BadInputError as error:
            return self._settled(ids, "failed", str(error), task)

        def apply(tx: Tx) -> None:
            if triggers.settle(tx, ids, "begun", "", task, now):
                here("trigger.settled")
                planned.submit(tx)

        return Done(result={"run": planned.run.id}, apply=apply)

    def _planned(
        self,
        trigger: triggers.Trigger,
        newest: triggers.Event,
        task: str,
        lease: Lease,
        count: int,
    ) -> running.RunPlan:
        body: dict[str, Any] = {**newest.body, "count": count}
        tags = {sources.TRIGGER: trigger.name, sources.DEPTH: str(newest.depth)}
        if trigger.register:
            tags[running.REGISTER] = trigger.register
        planned = running.plan(
            self._ws,
            trigger.root,
            trigger.pipeline,
            templates.filled(trigger.params, body),
            cause=task,
            tags=tags,
            lease=lease,
        )
        running.check_result(planned, trigger.register)
        return planned

    def _settled(self, ids: list[int], state: triggers.State, why: str, task: str | None) -> Done:
        now = self._ws.clock.now()

        def apply(tx: Tx) -> None:
            triggers.settle(tx, ids, state, why, task, now)

        return Done(apply=apply)

    def rest(self, lease: Lease) -> Done:
        """Let a trigger rest, and tell people over every channel."""
        name, why = lease.task.payload["trigger"], lease.task.payload["why"]
        now = self._ws.clock.now()

        def apply(tx: Tx) -> None:
            try:
                triggers.rest(tx, name, why, now)
            except NotFoundError:
                return
            tx.audit("trigger.rest", f"trigger:{name}", {"why": why})
            message = Message(
                id=f"page_{key_of(lease.task.id)[:26]}",
                event="NOTICE",
                title=f"The trigger {name} rests",
                lines=[f"{why}.", f"Let it work again: mainspring trigger resume {name}"],
                at=now,
                data={"trigger": name},
            )
            over = [one.name for one in channels.every(tx) if one.active and not one.endpoints]
            paging.notify(tx, message, f"trigger:{name}"[:64], over, now)

        return Done(apply=apply)


def refused(one: Standing, happened: Happened) -> str:
    """Return why an event starts nothing; empty if it may."""
    trigger = one.trigger
    if happened.depth >= trigger.depth:
        return f"{happened.depth} triggers led to it one after another, which may be a circle"
    return templates.why_not(trigger.filters, happened.body)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of what triggers make to do."""
    begins = Begins(ws)
    return {NOTE: begins.note, BEGIN: begins.begin, REST: begins.rest}

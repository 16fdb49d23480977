"""Schedules as people declare them: a pipeline run by the clock, and a loop's own cron line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.engine import firing, schedules
from mainspring.engine.firetimes import CatchUp, Overlap, check
from mainspring.engine.firing import Backfilled, Firing, Past
from mainspring.engine.schedules import Schedule, Standing
from mainspring.experiments import runs
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import LoopSpec
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import running
from mainspring.workspace.opening import Workspace

MOST_CAUGHT_UP = 1000
MOST_JITTER_S = 86_400.0
#: Names that begin so are the loops' own; a loop's policy declares them.
OF_LOOPS = "loop-"


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """When a pipeline runs, as somebody asks for it; times are UTC seconds."""

    cron: str = ""
    tz: str = "UTC"
    every_s: float | None = None
    anchor: float = 0.0
    start: float | None = None
    end: float | None = None
    catch_up: CatchUp = "latest"
    most: int = 100
    overlap: Overlap | None = None  #: default: skip, or queue where every missed time is run
    jitter_s: float = 0.0

    def schedule(self, name: str, payload: Mapping[str, Any]) -> Schedule:
        """Return the schedule that it asks for.

        Raises:
            BadInputError: for rules that cannot go together.
        """
        overlap = self.overlap or ("queue" if self.catch_up == "all" else "skip")
        if self.catch_up == "all" and overlap == "skip":
            raise BadInputError(
                "To catch up on all missed times the second must wait for the first, and overlap"
                " 'skip' lets none wait.",
                field="overlap",
                hint="Give --overlap queue, or allow for all of them at once.",
            )
        if not 1 <= self.most <= MOST_CAUGHT_UP:
            raise BadInputError(
                f"most must be from 1 to {MOST_CAUGHT_UP}, found {self.most}.", field="most"
            )
        if not 0 <= self.jitter_s <= MOST_JITTER_S:
            raise BadInputError(
                f"jitter must be from 0 s to {MOST_JITTER_S:g} s, found {self.jitter_s:g} s.",
                field="jitter",
            )
        rules = {one: getattr(self, one) for one in self.__struct_fields__ if one != "overlap"}
        return Schedule(
            name=name, kind="start_run", payload=dict(payload), overlap=overlap, **rules
        )


def put(
    ws: Workspace,
    name: str,
    pipeline: str,
    given: Given,
    params: Mapping[str, Any] | None = None,
    *,
    register: str | None = None,
) -> Schedule:
    """Run a pipeline of this project whenever the clock says so; the same name is replaced.

    Raises:
        BadInputError: for a cron line, time zone, name, pipeline or param that cannot be used.
    """
    _check_own(name)
    now = ws.clock.now()
    check(given.schedule(name, {}), now)  # before the project is imported, which takes a while
    root = ws.settings.root
    # Traced with a fire time, for a pipeline may need one.
    planned = running.plan(ws, root, pipeline, params or {}, fire_at=now)
    running.check_result(planned, register)
    payload = {"root": root, "pipeline": planned.run.pipeline, "params": dict(params or {})}
    if register:
        payload["register"] = register
    schedule = given.schedule(name, payload)

    def work(tx: Tx) -> None:
        if schedule in schedules.list_schedules(tx):
            return  # declared anew it would forget what fired while nobody looked
        schedules.put(tx, schedule, now)
        told = {"when": schedule.words, "tz": schedule.tz, "run": pipeline}
        tx.audit("schedule.put", f"schedule:{name}", told)

    ws.write(Permission.RUN, work)
    return schedule


def remove(ws: Workspace, name: str) -> None:
    """Run nothing by this schedule any more. What it started goes on.

    Raises:
        NotFoundError: if there is no such schedule.
    """
    _check_own(name)

    def work(tx: Tx) -> None:
        schedules.get(tx, name)  # or it says which there are
        schedules.remove(tx, name)
        tx.audit("schedule.remove", f"schedule:{name}", {})

    ws.write(Permission.RUN, work)


def pause(ws: Workspace, name: str) -> None:
    """Let a schedule rest until it is resumed; a loop's too."""

    def work(tx: Tx) -> None:
        schedules.pause(tx, name, ws.clock.now())
        tx.audit("schedule.pause", f"schedule:{name}", {})

    ws.write(Permission.RUN, work)


def resume(ws: Workspace, name: str) -> None:
    """Let a schedule fire again from now on."""

    def work(tx: Tx) -> None:
        schedules.resume(tx, name, ws.clock.now())
        tx.audit("schedule.resume", f"schedule:{name}", {})

    ws.write(Permission.RUN, work)


def run_now(ws: Workspace, name: str) -> Firing:
    """Fire a schedule by hand.

    Raises:
        ConflictError: if its last run goes on, and it lets none wait.
    """

    def work(tx: Tx) -> Firing:
        made = firing.run_now(tx, name, tx.who.name, ws.clock.now())
        tx.audit("schedule.run", f"schedule:{name}", {"fire_at": made.fire_at})
        return made

    return ws.write(Permission.RUN, work)


def backfill(ws: Workspace, name: str, begin: float, end: float) -> Backfilled:
    """Run what should have fired in a span of time and has not.

    Raises:
        BadInputError: if the span is none, or holds too many fire times.
    """
    _check_own(name)  # a loop that is asked twice retrains once

    def work(tx: Tx) -> Backfilled:
        made = firing.backfill(tx, name, begin, end, tx.who.name, ws.clock.now())
        told = {"from": iso(begin), "to": iso(end), "begun": made.begun}
        tx.audit("schedule.backfill", f"schedule:{name}", told)
        return made

    return ws.write(Permission.RUN, work)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it stands, and when it fires next."""

    standing: Standing
    next: list[float]  #: none while it is paused, or where it has ended


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """A fire time that was dealt with, and the run that came of it."""

    past: Past
    run: str | None
    status: str | None


def listed(ws: Workspace) -> list[Listed]:
    """Return every schedule by name, those of loops too, each with its next fire time."""
    found = ws.read(Permission.READ, schedules.every)
    return [_with_next(ws, one, 1) for one in found]


def shown(ws: Workspace, name: str, limit: int = 20) -> tuple[Listed, list[Fired]]:
    """Return a schedule with its next ten fire times, and what became of the last.

    Raises:
        NotFoundError: if there is no such schedule.
    """

    def look(tx: Tx) -> tuple[Standing, list[Fired]]:
        standing = schedules.get(tx, name)
        return standing, [_fired(tx, one) for one in firing.past(tx, name, limit)]

    standing, past = ws.read(Permission.READ, look)
    return _with_next(ws, standing, 10), past


def _fired(tx: Tx, one: Past) -> Fired:
    found = runs.find(tx, cause=one.task)
    if found is None:
        return Fired(past=one, run=one.run, status=None)
    return Fired(past=one, run=found.id, status=str(found.status))


def _with_next(ws: Workspace, one: Standing, count: int) -> Listed:
    times = [] if one.paused else schedules.upcoming(one.schedule, ws.clock.now(), count)
    return Listed(standing=one, next=times)


def of_loop(tx: Tx, before: LoopSpec | None, spec: LoopSpec, now: float) -> None:
    """Let a loop's schedule be what its policy says.

    An edit elsewhere in the loop leaves it alone: a time that is due is not forgotten.
    """
    wanted = _loop_schedule(spec)
    if before is not None and _loop_schedule(before) == wanted:
        return
    if wanted is not None:
        schedules.put(tx, wanted, now)
    elif before is not None:
        schedules.remove(tx, OF_LOOPS + spec.name)


def _loop_schedule(spec: LoopSpec) -> Schedule | None:
    policy = spec.retraining
    if policy.schedule is None:
        return None
    name, payload = OF_LOOPS + spec.name, {"loop": spec.name}
    return Schedule(name=name, cron=policy.schedule, tz=policy.schedule_tz, payload=payload)


def _check_own(name: str) -> None:
    check_name(name, "name")
    if name.startswith(OF_LOOPS):
        raise BadInputError(
            f"A name that begins with {OF_LOOPS!r} is a loop's own, found {name!r}.",
            field="name",
            hint="Change the loop's policy instead: ms.Retraining(schedule=...)",
        )

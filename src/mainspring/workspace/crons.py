"""Schedules as people declare them: a pipeline run by the clock, and a loop's own cron line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.engine import schedules
from mainspring.engine.schedules import Schedule
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import LoopSpec
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import running
from mainspring.workspace.opening import Workspace

#: Names that begin so are the loops' own; a loop's policy declares them.
OF_LOOPS = "loop-"


def put(
    ws: Workspace,
    name: str,
    pipeline: str,
    cron: str,
    params: Mapping[str, Any] | None = None,
    *,
    tz: str = "UTC",
    register: str | None = None,
) -> Schedule:
    """Run a pipeline of this project whenever the clock says so; the same name is replaced.

    Raises:
        BadInputError: for a cron line, time zone, name, pipeline or param that cannot be used.
    """
    _check_own(name)
    schedule = Schedule(name=name, cron=cron, tz=tz, kind="start_run")
    now = ws.clock.now()
    schedules.upcoming(schedule, now)  # before the project is imported, which takes a while
    root = ws.settings.root
    planned = running.plan(ws, root, pipeline, params or {})
    running.check_result(planned, register)
    payload = {"root": root, "pipeline": planned.run.pipeline, "params": dict(params or {})}
    if register:
        payload["register"] = register
    schedule = Schedule(name=name, cron=cron, tz=tz, kind="start_run", payload=payload)

    def work(tx: Tx) -> None:
        if schedule in schedules.list_schedules(tx):
            return  # declared anew it would forget what fired while nobody looked
        schedules.put(tx, schedule, now)
        tx.audit("schedule.put", f"schedule:{name}", {"cron": cron, "tz": tz, "run": pipeline})

    ws.write(Permission.RUN, work)
    return schedule


def remove(ws: Workspace, name: str) -> None:
    """Run nothing by this schedule any more. What it started goes on.

    Raises:
        NotFoundError: if there is no such schedule.
    """
    _check_own(name)

    def work(tx: Tx) -> None:
        if not schedules.remove(tx, name):
            raise NotFoundError(f"There is no schedule {name}.", field="name")
        tx.audit("schedule.remove", f"schedule:{name}", {})

    ws.write(Permission.RUN, work)


def listed(ws: Workspace) -> list[tuple[Schedule, float]]:
    """Return every schedule by name, those of loops too, each with its next fire time."""
    now = ws.clock.now()
    found = ws.read(Permission.READ, schedules.list_schedules)
    return [(one, schedules.upcoming(one, now)[0]) for one in found]


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

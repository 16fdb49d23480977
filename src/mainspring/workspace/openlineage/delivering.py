"""Deliver OpenLineage events: tasks of their own, tried again, one at a time, beside the runs.

A receiver that is dead is asked once in half a minute, for a week; what waits for it is bounded,
and what does not wait is found again in the rows once there is room.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import runs
from mainspring.ground.errors import NotFoundError, UnavailableError
from mainspring.ground.objects import Run, RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import lineage, reading
from mainspring.workspace.openlineage import events as openlineage
from mainspring.workspace.openlineage import sending

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.ground.settings import Settings
    from mainspring.workspace.opening import Workspace

KIND = GROUP = "openlineage"
#: An event is tried for a week, for waits double up to five minutes.
ATTEMPTS, BACKOFF_S = 2000, 2.0
_SINCE_S = 7 * 86_400.0  #: runs that began longer ago are not told any more
_RUNS, _PAGES = 200, 20  #: runs that are looked at together, and how often at one look
_LATE_S = 60.0  #: a step may be seen to end so long after its end
MOST_WAITING = 500  #: events; beyond that nothing more is handed out until some are told
_log = logging.getLogger("mainspring.engine")


def due(
    tx: Tx, settings: Settings, now: float, seen: dict[str, float] | None = None
) -> list[NewTask]:
    """Return a delivery for each run that began or ended, and each step that ended.

    Runs are looked at from the newest back until one page is all told; while a receiver is ill
    little waits, and the rest is found when it is well. ``seen`` remembers of runs that go on up
    to when their steps were looked at, so that a run of many steps is not read whole each time.
    """
    if not settings.openlineage_url or settings.openlineage_disabled:
        return []
    room = MOST_WAITING - _waiting(tx)
    found: list[NewTask] = []
    until = now + 1
    for _ in range(_PAGES):
        if len(found) >= room:
            break
        page = runs.started_between(tx, now - _SINCE_S, until, _RUNS)
        new = _of_runs(tx, [run for run in page if run.pipeline is not None], seen)
        found += new
        if not new or len(page) < _RUNS or page[0].started >= until:
            break
        until = page[0].started
    return found[: max(room, 0)]


def _of_runs(tx: Tx, several: list[Run], seen: dict[str, float] | None) -> list[NewTask]:
    """Return what was not handed out yet of some runs; of which the end was, all was."""
    ends = {run.id: _task(run.id, _end(run)) for run in several if run.ended is not None}
    over = tasks.known(tx, [one.id for one in ends.values()])
    found = []
    for run in several:
        end = ends.get(run.id)
        if end is None or end.id not in over:
            found += [*_of_run(tx, run, seen), *([end] if end is not None else [])]
    known = tasks.known(tx, [one.id for one in found])
    return [one for one in found if one.id not in known]


def _end(run: Run) -> str:
    return f"end/{run.status}/{run.ended:.3f}"


def _waiting(tx: Tx) -> int:
    states = tasks.group_state(tx, GROUP)
    return sum(states.get(one, 0) for one in ("ready", "leased", "waiting"))


def _of_run(tx: Tx, run: Run, seen: dict[str, float] | None) -> list[NewTask]:
    """Return a delivery for its start, and for each step that ended."""
    goes_on = run.status is RunStatus.RUNNING
    since = seen.get(run.id) if seen is not None and goes_on else None
    steps = lineage.ended(tx, run.id, None if since is None else since - _LATE_S)
    if seen is not None:
        if goes_on:
            seen[run.id] = max((one.ended or 0.0 for one in steps), default=since or 0.0)
        else:
            seen.pop(run.id, None)
    found = [_task(run.id, "start")]
    return found + [_task(run.id, f"step/{o.state}/{o.attempt}/{o.step}") for o in steps]


def _task(run: str, what: str) -> NewTask:
    return NewTask(
        id=f"{KIND}/{run}/{what}",
        kind=KIND,
        payload={"of": run, "what": what},
        group=GROUP,
        max_attempts=ATTEMPTS,
        backoff_s=BACKOFF_S,
        priority=-2,
        pool=KIND,
        pool_size=1,
    )


class Delivering:
    """Carries out deliveries."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._lock = threading.Lock()
        self._silent_until, self._silent = 0.0, ""

    def deliver(self, lease: Lease) -> Done:
        """Send the events of one thing that happened to a run.

        Raises:
            UnavailableError: if the receiver does not take them now; they are tried again.
            BadInputError: if it refuses them.
        """
        settings, now = self._ws.settings, self._ws.clock.now()
        if not settings.openlineage_url or settings.openlineage_disabled:
            return Done(result={"sent": 0})  # it was taken out of the settings meanwhile
        if now < self._silent_until:
            raise UnavailableError(f"It was not tried again yet: {self._silent}")
        run, what = lease.task.payload["of"], lease.task.payload["what"]
        try:
            events = self._ws.read(Permission.WORK, lambda tx: self._events(tx, run, what))
        except NotFoundError:
            return Done(result={"sent": 0})
        try:
            if events:
                sending.send(self._ws, events)
        except UnavailableError as error:
            with self._lock:
                self._silent_until, self._silent = now + sending.AGAIN_S, str(error)
            _log.warning("OpenLineage events wait: %s", error)
            raise
        return Done(result={"sent": len(events)})

    def _events(self, tx: Tx, run: str, what: str) -> list[dict[str, Any]]:
        namespace = self._ws.settings.openlineage_namespace
        kind, _, rest = what.partition("/")
        if kind == "step":
            name = rest.split("/", 2)[2]
            told = openlineage.story_of_step(tx, run, name)
            return openlineage.of_step(told, told.steps[0], namespace, _sizes(self._ws, tx))
        told = openlineage.story(tx, run)
        if kind == "start":
            return [openlineage.started(told, namespace)]
        end = openlineage.ended(told, namespace)
        return [] if end is None else [end]


def _sizes(ws: Workspace, tx: Tx) -> openlineage.Sizes:
    """Return what says how large a step's output is; of objects elsewhere nothing is asked."""

    def of(step: StepRecord) -> dict[str, int]:
        if "://" in ws.settings.objects_url or step.key is None:
            return {}
        kept = reading.objects_of(tx, [step.key]).get(step.key, [])
        if not kept or len(kept) > _MOST_OBJECTS:
            return {}
        try:
            size = sum(ws.objects.size(one) for one in set(kept))
        except NotFoundError:
            return {}  # it was let go of meanwhile
        return {"size": size, "fileCount": len(set(kept))}

    return of


_MOST_OBJECTS = 200  #: whose sizes are added up


class Deliveries(msgspec.Struct, frozen=True, kw_only=True):
    """How the deliveries of OpenLineage events stand."""

    url: str | None
    waiting: int
    done: int
    failed: int
    error: str  #: of the newest that went wrong


def deliveries(ws: Workspace) -> Deliveries:
    """Return how deliveries stand."""

    def look(tx: Tx) -> Deliveries:
        states = tasks.group_state(tx, GROUP)
        ill = any(states.get(one) for one in ("ready", "leased", "failed"))
        error = tasks.newest_error(tx, GROUP) if ill else ""
        return Deliveries(
            url=None if ws.settings.openlineage_disabled else ws.settings.openlineage_url,
            waiting=_waiting(tx),
            done=states.get("done", 0),
            failed=states.get("failed", 0),
            error=error,
        )

    return ws.read(Permission.READ, look)


def exported(ws: Workspace, limit: int = 1000) -> list[dict[str, Any]]:
    """Return all events of the newest runs of pipelines, the oldest run first."""

    def look(tx: Tx) -> list[dict[str, Any]]:
        found = []
        for run in runs.started_between(tx, 0.0, ws.clock.now() + 1, limit):
            if run.pipeline is not None:
                told, namespace = openlineage.story(tx, run.id), ws.settings.openlineage_namespace
                found += openlineage.every(told, namespace, _sizes(ws, tx))
        return found

    return ws.read(Permission.READ, look)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handler of deliveries."""
    return {KIND: Delivering(ws).deliver}

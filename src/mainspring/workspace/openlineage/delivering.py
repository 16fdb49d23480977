"""Deliver OpenLineage events: tasks of their own, tried again, one at a time, beside the runs.

A receiver that is dead is asked once in half a minute, and what waits for it is bounded.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mainspring.backends.notify import posting
from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import runs
from mainspring.ground.errors import NotFoundError, StoreError, UnavailableError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.secrecy import hide
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines import secrets
from mainspring.workspace.openlineage import events as openlineage
from mainspring.workspace.vault import sealed

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.ground.settings import Settings
    from mainspring.workspace.opening import Workspace

KIND = GROUP = "openlineage"
#: The last try of an event is about an hour after the first, for waits double up to a bound.
ATTEMPTS, BACKOFF_S = 20, 2.0
TIMEOUT_S = 3.0
_AGAIN_S = 30.0  #: a receiver that did not answer is left alone so long
_SINCE_S = 86_400.0  #: runs that began longer ago are not told any more
_RUNS = 200  #: the newest, that are looked at
NAMED = "secret:"  #: begins a key that is the name of a kept secret
MOST_WAITING = 500  #: events; beyond that nothing more is handed out until some are told
_ENDED = ("done", "reused", "failed", "skipped")
_log = logging.getLogger("mainspring.engine")


def due(tx: Tx, settings: Settings, now: float) -> list[NewTask]:
    """Return a delivery for each run that began or ended, and each step that ended."""
    if not settings.openlineage_url:
        return []
    if _waiting(tx) >= MOST_WAITING:
        return []
    found = []
    for run in runs.started_between(tx, now - _SINCE_S, now + 1, _RUNS):
        if run.pipeline is not None:
            found += _of_run(tx, run)
    return found


def _waiting(tx: Tx) -> int:
    states = tasks.group_state(tx, GROUP)
    return sum(states.get(one, 0) for one in ("ready", "leased", "waiting"))


def _of_run(tx: Tx, run: Run) -> list[NewTask]:
    found = [_task(run.id, "start")]
    ends = [] if run.ended is None else [f"end/{run.status}/{run.ended:.3f}"]
    if ends and tasks.known(tx, [_task(run.id, ends[0]).id]):
        return []  # all of it was handed out before
    found += [
        _task(run.id, f"step/{step.state}/{step.attempt}/{step.step}")
        for step in pipelines.steps_of(tx, run.id)
        if step.state in _ENDED
    ]
    if run.status is not RunStatus.RUNNING:
        found += [_task(run.id, end) for end in ends]
    return found


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
        if not settings.openlineage_url:
            return Done(result={"sent": 0})  # it was taken out of the settings meanwhile
        if now < self._silent_until:
            raise UnavailableError(f"It was not tried again yet: {self._silent}")
        run, what = lease.task.payload["of"], lease.task.payload["what"]
        try:
            events = self._ws.read(Permission.WORK, lambda tx: self._events(tx, run, what))
        except NotFoundError:
            return Done(result={"sent": 0})
        try:
            key = key_of(self._ws) if events else None
            for event in events:
                send(settings, event, key)
        except UnavailableError as error:
            with self._lock:
                self._silent_until, self._silent = now + _AGAIN_S, str(error)
            _log.warning("OpenLineage events wait: %s", error)
            raise
        return Done(result={"sent": len(events)})

    def _events(self, tx: Tx, run: str, what: str) -> list[dict[str, Any]]:
        told = openlineage.story(tx, run)
        namespace = self._ws.settings.openlineage_namespace
        kind, _, rest = what.partition("/")
        if kind == "start":
            return [openlineage.started(told, namespace)]
        if kind == "end":
            end = openlineage.ended(told, namespace)
            return [] if end is None else [end]
        name = rest.split("/", 2)[2]
        step = next((one for one in told.steps if one.step == name), None)
        return [] if step is None else openlineage.of_step(told, step, namespace)


def key_of(ws: Workspace) -> str | None:
    """Return what the receiver asks for: as it is set, or of the kept secret that it names.

    Raises:
        UnavailableError: if there is no such secret, or it does not open; what waits is kept.
    """
    told = ws.settings.openlineage_key
    if not told or not told.startswith(NAMED):
        return told
    name = told.removeprefix(NAMED)
    kept = ws.read(Permission.WORK, lambda tx: secrets.values(tx, [name])).get(name)
    if kept is None:
        raise UnavailableError(
            f"openlineage_key names the secret {name[:80]}, and none is kept by that name.",
            hint=f"Keep it: mainspring secret set {name[:80]}",
        )
    try:
        key = sealed.unseal(ws, "secret", name, kept)
    except StoreError as error:
        raise UnavailableError(str(error)) from error
    hide(key)
    return key


def send(settings: Settings, event: dict[str, Any], key: str | None = None) -> None:
    """Post one event to the receiver of the settings.

    Raises:
        UnavailableError, BadInputError: if it does not take it.
    """
    parts = urlsplit(settings.openlineage_url or "")
    url = (settings.openlineage_url or "").rstrip("/")
    if not parts.path.strip("/"):
        url += "/api/v1/lineage"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # Whoever sets the address answers for it: it may be one of this network's.
    own = [*settings.webhook_hosts, parts.netloc.rpartition("@")[2], parts.hostname or ""]
    answer = posting.post(url, msgspec.json.encode(event), headers, own, TIMEOUT_S)
    posting.accepted(answer, parts.hostname or url)


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
        several = tasks.list_tasks(tx, GROUP) if states else []
        error = next((one.error for one in reversed(several) if one.error), "")
        return Deliveries(
            url=ws.settings.openlineage_url,
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
                told = openlineage.story(tx, run.id)
                found += openlineage.every(told, ws.settings.openlineage_namespace)
        return found

    return ws.read(Permission.READ, look)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handler of deliveries."""
    return {KIND: Delivering(ws).deliver}

"""Judge what is due of one endpoint, now and in this process; or one window once more."""

from __future__ import annotations

import threading
import time

from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.ground.errors import ConflictError, NotFoundError, UnavailableError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Window
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.monitoring import windows
from mainspring.scaling.serving import endpoints
from mainspring.workspace.feeding.declared import spec_of
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scans import Scans

#: The kinds of task that judge windows.
KINDS = ("window", "unjudged", "labels", "relabel")
PATIENCE_S = 600.0  # for one window: another engine may be at work on it
POLL_S = 0.05


def ask_again(ws: Workspace, endpoint: str, window: str) -> str:
    """Ask for one window to be judged once more; return the id of the task.

    What its labels said stays, and nothing is alarmed about that is alarmed about already.

    Raises:
        NotFoundError: if there is no such window of this endpoint.
        ConflictError: if it is the part of a window that one version answered.
    """

    def work(tx: Tx) -> str:
        found = windows.get(tx, window)
        if found.endpoint != endpoint:
            raise NotFoundError(f"{endpoint} has no window {window!r}.", field="window")
        if found.side is not None:
            whole = windows.window_id(endpoint, found.start)
            raise ConflictError(
                f"{window} is a part of window {whole}.",
                field="window",
                hint=f"Judge the whole: mainspring monitor judge {endpoint} --window {whole}",
            )
        spec = spec_of(tx, endpoint)
        task = NewTask(
            id=new_id("judge"),
            kind="window",
            payload={
                "loop": spec.name,
                "endpoint": endpoint,
                "start": found.start,
                "end": found.end,
                "again": True,
            },
        )
        tasks.submit(tx, [task])
        tx.audit("window.judge", f"window:{window}", {"task": task.id})
        return task.id

    return ws.write(Permission.LOOP, work)


def catch_up(
    ws: Workspace, endpoint: str, task: str | None = None, stop: threading.Event | None = None
) -> list[Window]:
    """Judge every window of an endpoint that is due, and labels that are mature.

    Done in this process, together with whatever engine is at work; nothing else is done than
    judging: what follows for a loop is left to its engine. Returns the windows judged or
    judged again since the call, oldest first. ``task`` is one to be waited for as well.

    Raises:
        NotFoundError: if nothing watches the endpoint.
        UnavailableError: if a window was not judged within ten minutes.
    """
    from mainspring.workspace.engines import make_engine

    engine = make_engine(ws, "judge", scanning=False, only=KINDS)
    own = ws.acting_as(service("judge"))
    scans = Scans(own)
    seen = {w.id for w in _windows(own, endpoint)}
    stop, left = stop or threading.Event(), time.monotonic() + PATIENCE_S

    def due(tx: Tx) -> list[NewTask]:
        found = scans.watching(tx, spec_of(tx, endpoint), endpoints.get(tx, endpoint).kind)
        return [one for one in found if one.kind in KINDS and _to_do(tx, one.id)]

    while not stop.is_set():
        new = own.read(Permission.WORK, due)
        if not new and (
            task is None or own.read(Permission.WORK, lambda tx: not _to_do(tx, task))
        ):
            break
        if new:
            own.write(Permission.WORK, lambda tx, new=new: tasks.submit(tx, new))  # type: ignore[misc]
        if engine.step_once():
            left = time.monotonic() + PATIENCE_S
        elif time.monotonic() > left:
            raise UnavailableError(
                f"A window of {endpoint} was not judged within {PATIENCE_S:.0f} s.",
                hint="Is an engine at work on it? See: mainspring status",
            )
        else:
            stop.wait(POLL_S)
    return [w for w in reversed(_windows(own, endpoint)) if w.id not in seen]


def _to_do(tx: Tx, name: str) -> bool:
    found = tasks.get(tx, name)
    return found is None or found.state not in tasks.FINAL


def _windows(ws: Workspace, endpoint: str) -> list[Window]:
    return ws.read(Permission.WORK, lambda tx: windows.list_windows(tx, endpoint, limit=10_000))

"""Run a pipeline inside of another run, as its child, to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import StepFailedError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.workspace import running

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

#: Carries out a pipeline's run to its end, or until the event is set.
Drive = Callable[["Workspace", str, threading.Event], None]


def piped(
    ws: Workspace,
    drive: Drive,
    lease: Lease,
    parent: str,
    root: str,
    target: str,
    params: Mapping[str, Any],
) -> list[list[Any]]:
    """Run a pipeline as a child of ``parent`` and return its metrics, as a step gathers them.

    Raises:
        StepFailedError: if it did not finish, with the error of the step that broke.
    """
    planned = running.plan(ws, root, target, params, cause=f"child:{parent}", lease=lease)
    run = msgspec.structs.replace(planned.run, parent=parent)
    planned = msgspec.structs.replace(planned, run=run)
    ws.write(Permission.RUN, planned.submit)
    drive(ws, run.id, lease.stop)
    ended, steps = ws.read(Permission.WORK, lambda tx: running.state(tx, run.id))
    if lease.cancelled() and ended.status is RunStatus.RUNNING:
        running.cancel(ws, run.id)
        drive(ws, run.id, threading.Event())
    if ended.status is not RunStatus.FINISHED:
        broken = next((step for step in steps if step.error), None)
        told = f"{broken.step}: {broken.error}" if broken else f"it is {ended.status}"
        raise StepFailedError(
            f"Run {run.id} of {target} failed: {told}", trace=broken.trace if broken else ""
        )
    now = ws.clock.now()
    return [[key, repr(value), None, now] for key, value in ended.metrics.items()]

"""Alarm: put judged windows to rules, make pages, carry them to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import news, paging
from mainspring.workspace.alarming import delivering, evaluating

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

ATTEMPTS = 10
AT_ONCE = 50  #: windows put to rules in one transaction


def due(tx: Tx, now: float) -> list[NewTask]:
    """Return what alarming has to do: windows to put to rules, groups to page, pages to tell."""
    found = [
        # One an endpoint at a time, for states go by the order of windows: the note's number
        # stays the oldest until its task is done.
        NewTask(
            id=f"states/{endpoint}/{seq}",
            kind="states",
            payload={"endpoint": endpoint},
            max_attempts=ATTEMPTS,
        )
        for endpoint, seq in news.oldest(tx).items()
    ]
    for one in paging.due(tx, now):
        if not one.held:
            found += _page(tx, one, now)
    return found + delivering.due(tx, now)


def _page(tx: Tx, one: paging.Due, now: float) -> list[NewTask]:
    name = f"page/{one.group.id}/{one.number}"
    before = tasks.get(tx, name)
    if before is not None:
        if before.state not in tasks.FINAL:
            return []
        name = f"{name}/{now:.3f}"  # it was held in the last moment; now it is not
    return [
        NewTask(
            id=name,
            kind="page",
            payload={"group": one.group.id, "number": one.number},
            max_attempts=ATTEMPTS,
        )
    ]


class Alarming:
    """Carries out what :func:`due` finds."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def states(self, lease: Lease) -> Done:
        """Put the windows of an endpoint that were judged to every rule."""
        endpoint = lease.task.payload["endpoint"]

        def look(tx: Tx) -> tuple[list[tuple[int, str]], evaluating.Looked]:
            waiting = news.waiting(tx, endpoint, AT_ONCE)
            return waiting, evaluating.look(tx, endpoint, waiting) if waiting else []

        waiting, looked = self._ws.read(Permission.WORK, look)
        if not waiting:
            return Done()

        def apply(tx: Tx) -> None:
            evaluating.put(tx, endpoint, waiting, looked, self._ws.clock.now())

        return Done(result={"windows": len(waiting)}, apply=apply)

    def page(self, lease: Lease) -> Done:
        """Make the page of a group, if it is still to be told."""
        group, number = lease.task.payload["group"], lease.task.payload["number"]

        def apply(tx: Tx) -> None:
            now = self._ws.clock.now()
            for one in paging.due(tx, now):
                if (one.group.id, one.number) == (group, number) and not one.held:
                    paging.tell(tx, one, now)

        return Done(apply=apply)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of alarming."""
    alarming, carrying = Alarming(ws), delivering.Delivering(ws)
    return {
        "states": alarming.states,
        "page": alarming.page,
        delivering.KIND: carrying.tell,
        delivering.LOST: carrying.lost,
    }

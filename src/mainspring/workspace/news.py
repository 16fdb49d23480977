"""The task that stands for what a step waits for: due when that expires, and done by nobody.

Whoever is first, the one who tells or the expiry, ends it; so each wait has one answer.
"""

from __future__ import annotations

from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines.growing import Controller

FAR = 253_402_300_800.0  #: the year 10000: news without an expiry are due then


def task_for(run: str, step: str, asked: int, until: float = FAR) -> NewTask:
    """Return the task that stands for the news a step waits for, until a time."""
    return NewTask(
        id=growing.news_id(run, step, asked),
        kind="news",
        payload={"run": run, "step": step},
        group=run,
        before=[growing.end_id(run)],
        due=until,
    )


def id_of(found: Controller) -> str:
    """Return the id of the task that stands for what a step waits for now."""
    return growing.news_id(found.run, found.name, int(found.memo.get("asked", 1)))


def until(tx: Tx, found: Controller) -> float | None:
    """Return when a step that waits gives up, UTC seconds; None: never."""
    task = tasks.get(tx, id_of(found))
    due = None if task is None else task.due
    return None if due is None or due >= FAR else due

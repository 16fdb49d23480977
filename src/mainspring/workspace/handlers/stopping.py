"""Stop what a controller planted beside a step that failed, where nothing of it counts then.

So one failed branch of ``ms.parallel`` ends the others, and too many failed items of a map with
``rest="stop"`` end the rest of it: what has not begun never does, what runs is ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.engine import tasks
from mainspring.experiments import runs as experiments
from mainspring.ground.objects import RunStatus
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.graph import WAITS
from mainspring.pipelines.reading import FINAL
from mainspring.workspace import running


def stop_rest(tx: Tx, run: str, step: str, at: float) -> None:
    """End what stands beside a step that failed, if its controller wants no more by now."""
    above = growing.wants_no_more(tx, run, step)
    if above is None:
        return
    still = [one for one in growing.beneath(tx, run, above) if one.state not in FINAL]
    tasks.stop(tx, [pipelines.task_id(run, one.step) for one in still] + _news(tx, run, still))
    for one in still:
        if one.kind == "run":
            _cancel(tx, str(growing.load(tx, run, one.step).memo.get("child", "")))
        task = tasks.get(tx, pipelines.task_id(run, one.step))
        if task is not None and task.state in tasks.BROKEN:
            pipelines.stopped(tx, run, one.step, f"stopped because {step} failed", at)


def _news(tx: Tx, run: str, still: Sequence[Any]) -> list[str]:
    """Return the tasks that stand for what steps wait for, which nobody works on."""
    waits = [growing.load(tx, run, one.step) for one in still if one.kind in WAITS]
    return [growing.news_id(run, one.name, int(one.memo.get("asked", 0))) for one in waits]


def _cancel(tx: Tx, child: str) -> None:
    if child and experiments.get(tx, child).status is RunStatus.RUNNING:
        running.cancel_in(tx, child)

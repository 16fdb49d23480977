"""Gather what is shown of runs: steps, reasons, metrics, the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments import folding, runs
from mainspring.ground.objects import StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import picture, wide
from mainspring.pipelines import runs as steps
from mainspring.pipelines.boxes import boxes
from mainspring.readiness import registry
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.shapes import Below, MetricHistory, MetricPoint, RunDetail

if TYPE_CHECKING:
    from mainspring.workspace.logs.lines import LogLine


MOST_BELOW = 100  #: runs of one run that are looked into
_PARTED = "/"  #: between a step and one of the run that it started


def run_detail(ws: Workspace, run: str, *, below: bool = False) -> RunDetail:
    """Return one run with its steps and the versions it made.

    ``below``: also how far the runs are that its steps started.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> RunDetail:
        several = wide.shown(tx, run)
        return RunDetail(
            run=halts.seen(ws, tx, [runs.get(tx, run)])[0],
            steps=several.steps,
            states=several.states,
            versions=[f"{v.model}/{v.number}" for v in registry.of_run(tx, run)],
            notes=folding.notes_of(tx, run),
            below=below_of(tx, run, several.steps) if below else [],
        )

    return caught_up(ws).read(Permission.READ, work)


def below_of(tx: Tx, run: str, own: Sequence[StepRecord]) -> list[Below]:
    """Return the runs that steps of a run started, and those that theirs did, the outer first.

    At most ``MOST_BELOW``: of more those that have not finished, then the newest.
    """
    found: list[Below] = []
    waiting = [("", run, own)]
    while waiting and len(found) < MOST_BELOW:
        place, above, several = waiting.pop(0)
        if not any(one.kind == "run" for one in several):
            continue
        for step, child in runs.begun_by_steps(tx, above, MOST_BELOW - len(found)):
            inner = wide.shown(tx, child).steps
            found.append(Below(step=f"{place}{step}", run=child, steps=inner))
            waiting.append((f"{place}{step}{_PARTED}", child, inner))
    return found


def lines_of(
    ws: Workspace,
    run: str,
    step: str | None = None,
    *,
    since: str | None = None,
    limit: int = 100,
    below: bool = False,
) -> list[LogLine]:
    """Return what the steps of a run printed last, or one of them, newest first.

    ``below``: also what those of the runs printed that its steps started.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: for a time that cannot be read.
    """
    from mainspring.workspace.logs import asking, reading
    from mainspring.workspace.logs.lines import Query
    from mainspring.workspace.logs.printed import PROCESS

    also = ids_below(ws, run) if below else ()
    if PROCESS not in reading.processes(ws.home / "logs"):
        return []  # nothing was ever printed
    query = Query(run=run, also=also, step=step, process=PROCESS, level="info")
    return asking.find(ws.home, query, since=since, limit=limit, clock=ws.clock)


def ids_below(ws: Workspace, run: str) -> tuple[str, ...]:
    """Return the runs that the steps of a run started, and theirs, by their ids.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> tuple[str, ...]:
        runs.get(tx, run)
        return tuple(one.run for one in below_of(tx, run, steps.steps_of(tx, run)))

    return ws.read(Permission.READ, work)


def run_why(ws: Workspace, run: str, step: str | None = None) -> dict[str, Any]:
    """Return why each step (or the one named) ran or was reused, part by part.

    Raises:
        NotFoundError: if there is no such run or step.
    """

    def work(tx: Tx) -> dict[str, Any]:
        runs.get(tx, run)
        named = [one.step for one in wide.shown(tx, run).steps] if step is None else [step]
        return {name: msgspec.to_builtins(steps.why(tx, run, name)) for name in named}

    return caught_up(ws).read(Permission.READ, work)


def run_metric(
    ws: Workspace, run: str, key: str, after: int = 0, limit: int = 100_000
) -> MetricHistory:
    """Return the values of one metric of a run in the order they were logged.

    Raises:
        NotFoundError: if there is no such run.
    """
    from mainspring.experiments import metrics  # it loads numpy

    def work(tx: Tx) -> MetricHistory:
        runs.get(tx, run)
        points, further = metrics.history(tx, run, key, after=after, limit=limit)
        shown = [MetricPoint(value=p.value, step=p.step, time=p.time) for p in points]
        return MetricHistory(key=key, points=shown, after=further)

    return caught_up(ws).read(Permission.READ, work)


def run_graph(ws: Workspace, run: str) -> str:
    """Return a picture of a run's steps and their states, as SVG.

    Raises:
        NotFoundError: if there is no such run.
    """

    def look(tx: Tx) -> wide.Shown:
        runs.get(tx, run)
        return wide.shown(tx, run)

    found = caught_up(ws).read(Permission.READ, look)
    return picture.drawn(boxes(found.steps, ws.clock.now(), found.items))

"""Gather what is shown of runs: steps, reasons, metrics, the graph."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.experiments import folding, runs
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import picture
from mainspring.pipelines import runs as steps
from mainspring.pipelines.boxes import boxes
from mainspring.readiness import registry
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.shapes import MetricHistory, MetricPoint, RunDetail


def run_detail(ws: Workspace, run: str) -> RunDetail:
    """Return one run with its steps and the versions it made.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> RunDetail:
        return RunDetail(
            run=halts.seen(ws, tx, [runs.get(tx, run)])[0],
            steps=list(steps.steps_of(tx, run)),
            versions=[f"{v.model}/{v.number}" for v in registry.of_run(tx, run)],
            notes=folding.notes_of(tx, run),
        )

    return caught_up(ws).read(Permission.READ, work)


def run_why(ws: Workspace, run: str, step: str | None = None) -> dict[str, Any]:
    """Return why each step (or the one named) ran or was reused, part by part.

    Raises:
        NotFoundError: if there is no such run or step.
    """

    def work(tx: Tx) -> dict[str, Any]:
        runs.get(tx, run)
        named = [one.step for one in steps.steps_of(tx, run)] if step is None else [step]
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
    return picture.drawn(boxes(run_detail(ws, run).steps, ws.clock.now()))

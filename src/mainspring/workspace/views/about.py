"""Gather all that belongs to one run, for whoever wants to know what it was."""

from __future__ import annotations

import numpy as np

from mainspring.experiments import artifacts, datasets, folding, histories, kinship, logged, runs
from mainspring.experiments.chunks import Series
from mainspring.experiments.comparison import to_json
from mainspring.experiments.logged import LoggedModel, Role
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import wide
from mainspring.readiness import registry
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.shapes import Measured, RunAbout

MOST_CHILDREN = 100
MOST_FILES = 1000
#: Metrics whose whole history is looked at; of 100,000 points each takes 20 ms.
MOST_MEASURED = 50


def run_about(ws: Workspace, run: str) -> RunAbout:
    """Return one run with all that belongs to it.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> RunAbout:
        several = wide.shown(tx, run)
        found = halts.seen(ws, tx, [runs.get(tx, run)])[0]
        return RunAbout(
            run=found,
            metrics=_measured(tx, found),
            artifacts=artifacts.every(tx, run, MOST_FILES),
            artifact_count=artifacts.count(tx, run),
            children=halts.seen(
                ws, tx, runs.several(tx, kinship.children(tx, run, MOST_CHILDREN))
            ),
            child_count=kinship.child_counts(tx, [run]).get(run, 0),
            steps=several.steps,
            states=several.states,
            inputs=datasets.of_runs(tx, [run])[run],
            models=_models(tx, run),
            versions=[f"{v.model}/{v.number}" for v in registry.of_run(tx, run)],
            notes=folding.notes_of(tx, run),
        )

    return caught_up(ws).read(Permission.READ, work)


def _models(tx: Tx, run: str) -> list[LoggedModel]:
    """Return the models that a run made, which are not deleted."""
    made = [one.model for one in logged.of_runs(tx, [run])[run] if one.role is Role.OUTPUT]
    return [one for one in logged.several(tx, made) if one.deleted is None]


def _measured(tx: Tx, run: Run) -> list[Measured]:
    # The user's own come first, so that it is their histories which are looked at.
    keys = sorted(run.metrics, key=lambda key: (key.startswith("system/"), key))
    found = []
    for place, key in enumerate(keys):
        series = histories.series(tx, run.id, key) if place < MOST_MEASURED else None
        found.append(_one(key, run.metrics[key], series))
    return found


def _one(key: str, last: float, series: Series | None) -> Measured:
    low = high = None
    finite = np.empty(0, np.int64)
    if series is not None:
        finite = np.flatnonzero(np.isfinite(series.values))
    if series is not None and finite.size:
        low = finite[series.values[finite].argmin()]
        high = finite[series.values[finite].argmax()]
    return Measured(
        key=key,
        last=to_json(last),
        low=None if low is None or series is None else float(series.values[low]),
        low_step=None if low is None or series is None else int(series.steps[low]),
        high=None if high is None or series is None else float(series.values[high]),
        high_step=None if high is None or series is None else int(series.steps[high]),
        points=None if series is None else len(series),
    )

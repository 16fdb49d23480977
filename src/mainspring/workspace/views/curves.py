"""Gather the curves that are drawn of runs: thinned here, so that a browser gets few points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.experiments import metrics, runs
from mainspring.ground.objects import Record
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up


class RunCurves(Record, frozen=True, kw_only=True):
    """Some metrics of a run."""

    started: float
    curves: dict[str, list[metrics.Point]]


def run_curves(
    ws: Workspace,
    run: str,
    wanted: Sequence[str],
    counts: Callable[[str], bool],
    *,
    most: int,
    points: int,
) -> RunCurves:
    """Return metrics of a run, thinned to about so many points each.

    Those wanted, if it has them; else the first few of those that count.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> RunCurves:
        found = runs.get(tx, run)
        keys = [key for key in wanted if key in found.metrics]
        keys = keys or [key for key in sorted(found.metrics) if counts(key)][:most]
        return RunCurves(
            started=found.started,
            curves={
                key: metrics.points_of(key, series)
                for (_, key), series in metrics.curves(
                    tx, [(run, key) for key in keys], points=points
                ).items()
            },
        )

    return caught_up(ws).read(Permission.READ, work)


def overlay(
    ws: Workspace, ids: Sequence[str], key: str, *, points: int
) -> dict[str, list[metrics.Point]]:
    """Return one metric of several runs, thinned to about so many points each, by run."""

    def work(tx: Tx) -> dict[str, list[metrics.Point]]:
        found = metrics.curves(tx, [(run, key) for run in ids], points=points)
        return {run: metrics.points_of(key, series) for (run, _), series in found.items()}

    return caught_up(ws).read(Permission.READ, work)

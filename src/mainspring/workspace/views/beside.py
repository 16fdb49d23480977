"""Gather runs side by side for a picture: who is compared, and all that is said of them."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.experiments import columns, groups, runs
from mainspring.experiments.comparison import Comparison
from mainspring.experiments.expressions import column
from mainspring.ground.objects import Record, Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.comparing import MOST, compare_runs

_PARAMS, _METRICS, _TAGS = 100, 40, 30  # that are compared, of those that most runs have


class Beside(Record, frozen=True, kw_only=True):
    """Runs side by side, in the order asked for."""

    runs: list[Run]  #: without what was logged of them
    comparison: Comparison | None  #: None for fewer than two
    missing: list[str]  #: ids asked for that are not there
    experiments: dict[str, groups.Experiment]  #: by key
    deleted: list[str]  #: those of the runs that are deleted


def beside(ws: Workspace, ids: Sequence[str], apart: Sequence[str] = ()) -> Beside:
    """Return runs side by side, at most 300; metrics that begin as in ``apart`` are left out."""
    wanted = list(dict.fromkeys(ids))[:MOST]

    def work(tx: Tx) -> tuple[Beside, columns.Known]:
        found = columns.load(tx, wanted, [])
        there = [run.id for run in found]
        told = Beside(
            runs=found,
            comparison=None,
            missing=[run for run in wanted if run not in set(there)],
            experiments=groups.by_keys(tx, sorted({run.experiment for run in found})),
            deleted=sorted(runs.hidden(tx, there)),
        )
        return told, columns.known(tx, there)

    told, known = caught_up(ws).read(Permission.READ, work)
    if len(told.runs) < 2:
        return told
    shown = [column("param", one.key) for one in known.params[:_PARAMS]]
    own = [one.key for one in known.metrics if not one.key.startswith(tuple(apart) or "\x00")]
    shown += [column("metric", key) for key in own[:_METRICS]]
    tags = [one.key for one in known.tags if not one.key.startswith("mainspring.")]
    shown += [column("tag", key) for key in tags[:_TAGS]]
    compared = compare_runs(ws, [run.id for run in told.runs], columns=", ".join(shown))
    return Beside(
        runs=told.runs,
        comparison=compared,
        missing=told.missing,
        experiments=told.experiments,
        deleted=told.deleted,
    )

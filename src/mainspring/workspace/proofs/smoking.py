"""A smoke run: a whole pipeline with the same code on a small sample, in seconds.

What its first steps bring in is cut (``pipelines/sampling``); everything after is as ever, each
step in a process of its own. It is kept apart from real runs: its results are reused by other
smoke runs alone, it stands in an experiment of its own, and nothing of it can become a version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Evidence, Run, StepRecord, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines.sampling import LEAST
from mainspring.readiness import evidence
from mainspring.workspace import running

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

MOST = 100_000  #: rows: beyond that it is no smoke run


def start(ws: Workspace, pipeline: str, params: Mapping[str, Any], rows: int) -> str:
    """Submit a smoke run and return its id; an engine carries it out.

    Raises:
        BadInputError: for a number of rows that is no sample.
        ProjectError: if the pipeline cannot be imported or is not there.
    """
    if not LEAST <= rows <= MOST:
        raise BadInputError(
            f"A smoke run takes {LEAST} to {MOST:,} rows, found {rows}.", field="smoke"
        )
    planned = on_sample(running.plan(ws, ws.settings.root, pipeline, params), rows)
    ws.write(Permission.RUN, planned.submit)
    return planned.run.id


def on_sample(planned: running.RunPlan, rows: int) -> running.RunPlan:
    """Return a plan as that of a smoke run."""
    name = f"{planned.run.name}-smoke"
    planned = planned.tagged({running.SMOKE: str(rows)})
    return msgspec.structs.replace(
        planned,
        run=msgspec.structs.replace(planned.run, experiment=name, name=name),
        # Part of every step's key, so that no real run ever reuses what a sample gave.
        environment={**planned.environment, "sample": f"{rows} rows"},
    )


def rows_of(run: Run) -> int | None:
    """Return to how many rows a run cuts its tables; None for a real run."""
    found = run.tags.get(running.SMOKE)
    return None if found is None else int(found)


def note(tx: Tx, run: Run, steps: Sequence[StepRecord], error: str, now: float) -> None:
    """Keep how a smoke run ended as evidence on its pipeline; a real run leaves none."""
    if running.SMOKE not in run.tags:
        return
    good = (StepState.DONE, StepState.REUSED)
    broken = next((one for one in steps if one.state not in good), None)
    if broken is None:
        took = now - run.started
        found = f"all {len(steps)} steps ran on {run.tags[running.SMOKE]} rows in {took:.1f} s"
    else:
        found = f"{broken.step} did not end well: {error or broken.error or broken.state}"
    evidence.record(
        tx,
        Evidence(
            id=f"ev_smoke_{run.id}",
            kind="smoke",
            subject=f"pipeline:{run.pipeline}",
            passed=broken is None,
            found=found[:1000],
            at=now,
            by=tx.who.name,
            code=run.tags[running.CODE],
            detail={
                "rows": int(run.tags[running.SMOKE]),
                "steps": running.codes(tx, run.id),
                "wall_s": {one.step: one.wall_s for one in steps},
                "states": {one.step: str(one.state) for one in steps},
            },
            opens=[f"run:{run.id}"],
        ),
    )

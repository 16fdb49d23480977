"""Runs that a step of another run starts: planned, linked both ways, resumed with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments import runs as experiments
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.graph import Argument
from mainspring.pipelines.growing import Controller
from mainspring.workspace import running
from mainspring.workspace.proofs import smoking

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

DEEPEST = 8  #: runs that start runs that start runs
_DEPTH = "mainspring.depth"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a run that a step started stands."""

    status: RunStatus
    result: Argument  #: what it returned, if it has ended well
    error: str
    types: list[str]


def planned(
    ws: Workspace, controller: Controller, params: Mapping[str, Any], lease: Lease
) -> running.RunPlan:
    """Return the run that a controller starts, ready to be handed out.

    Raises:
        BadInputError: if runs start runs more than ``DEEPEST`` levels deep.
        ProjectError: if the pipeline is not there any more.
    """
    parent = ws.read(Permission.WORK, lambda tx: experiments.get(tx, controller.run))
    depth = int(parent.tags.get(_DEPTH, "0")) + 1
    if depth > DEEPEST:
        raise BadInputError(
            f"{controller.name} would start a run {depth} levels deep; at most {DEEPEST} can be.",
            field="pipeline",
            hint="Do pipelines start each other in a circle?",
        )
    target = str(controller.spec.settings["pipeline"])
    made = running.plan(
        ws,
        parent.tags[running.ROOT],
        target,
        params,
        # Each try of the controller plans anew; only the one that is kept counts.
        cause=f"step:{controller.run}:{controller.name}",
        tags={_DEPTH: str(depth)},
        lease=lease,
        before=_made_before(ws, parent, controller.name),
    )
    rows = smoking.rows_of(parent)
    if rows is not None:
        made = smoking.on_sample(made, rows)
    run = msgspec.structs.replace(made.run, parent=controller.run)
    fresh = tuple(made.graph.needs) if controller.spec.seed.anew else ()
    return msgspec.structs.replace(made, run=run, fresh=fresh)


def _made_before(ws: Workspace, parent: Run, step: str) -> str | None:
    """Return the run that a step started then, if its own run makes an earlier one again."""
    before = parent.tags.get(running.BEFORE)
    if before is None:
        return None

    def look(tx: Tx) -> str | None:
        try:
            return growing.load(tx, before, step).memo.get("child")
        except NotFoundError:
            return None  # it was not reached, or grew by another name

    return ws.read(Permission.WORK, look)


def standing(tx: Tx, run: str) -> Standing:
    """Return how a run stands, and what it returned or why it failed.

    Raises:
        NotFoundError: if it was deleted.
    """
    record, steps = running.state(tx, run)
    result: Argument = {"value": None}
    step = record.tags.get(running.RESULT)
    if record.status is RunStatus.FINISHED and step:
        digest, kind = pipelines.output_of(tx, run, step)
        result = {"digest": digest, "type": kind}
    broken = next((one for one in steps if one.error and not one.handled), None)
    told = f"{broken.step}: {broken.error}" if broken else "it was stopped"
    types = pipelines.error_types(tx, run, broken.step) if broken else []
    return Standing(status=record.status, result=result, error=told, types=types)


def go_on(tx: Tx, run: str) -> None:
    """Let a run go on that had ended badly; one that is at work is left to it."""
    if experiments.get(tx, run).status is not RunStatus.RUNNING:
        running.resume_in(tx, run)

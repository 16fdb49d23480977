"""What a run that makes an earlier one again is told where it would wait: what was said then.

Nobody is asked twice, nor could anybody answer: a reproduction runs in a place of its own, and
its verdict is about code, data and environment. So an approval, an event and a callback are what
they were, a failed one included, without a token handed out, and time is not waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.experiments import runs as experiments
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import gathering, reading
from mainspring.pipelines.controls import End, Fail
from mainspring.pipelines.graph import WAITS
from mainspring.pipelines.growing import Controller
from mainspring.workspace import running

if TYPE_CHECKING:
    from mainspring.ground.objects import StepRecord
    from mainspring.workspace.opening import Workspace


def as_then(ws: Workspace, controller: Controller) -> End | Fail | None:
    """Return what a step that waits ends with; None if its run makes no earlier one again."""
    if controller.kind not in WAITS:
        return None

    def look(tx: Tx) -> tuple[str | None, StepRecord | None, list[str]]:
        before = experiments.get(tx, controller.run).tags.get(running.BEFORE)
        if before is None:
            return None, None, []
        try:
            found = reading.get(tx, before, controller.name)
        except NotFoundError:
            return before, None, []  # it was not reached, or grew by another name
        return before, found, reading.error_types(tx, before, controller.name)

    before, then, types = ws.read(Permission.WORK, look)
    if before is None:
        return None
    if controller.kind == "wait":
        return End(result=controller.args["after"], why=f"waited in run {before}")
    if then is None or then.state not in (StepState.DONE, StepState.FAILED):
        told = f"it had no answer in run {before}, and nobody is asked again"
        return Fail(error=told, types=["NotAnswered"])
    if then.state == StepState.FAILED:
        return Fail(error=then.error, types=types)
    kept = gathering.Gatherer(ws.objects, {then.step: (str(then.output), str(then.output_type))})
    value = kept.value({"ref": then.step}, then.step)
    return End(result={"value": value}, why=f"as in run {before}: {then.why}")

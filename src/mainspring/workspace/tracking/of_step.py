"""The run of a pipeline as one of its steps holds it: ``ms.current_run()`` within a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mainspring.experiments import frames as f
from mainspring.experiments.exact import exact_int, exact_time
from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import sha256
from mainspring.workspace.tracking.active import ActiveRun
from mainspring.workspace.tracking.planning import Plan
from mainspring.workspace.tracking.writing import target_of

if TYPE_CHECKING:
    from mainspring.pipelines.context import StepContext


class StepRun(ActiveRun):
    """A pipeline's run, to which a step writes and which its steps end.

    Metrics go with what the step returns, as those of ``ms.log`` do: once, and again where the
    step is reused. All else goes to this process's journal, where saying it twice changes
    nothing, so that a step may be tried again. Of several workers the first one writes.
    """

    def __init__(self, context: StepContext) -> None:
        plan = Plan(
            experiment=context.experiment,
            name=context.name or None,
            params={},
            tags={},
            parent=None,
            resume=None,
            capture=False,
        )
        super().__init__(plan)
        self._id, self._context = context.run, context

    def log(
        self,
        values: Mapping[str, object] | None = None,
        /,
        *,
        step: float | None = None,
        at: float | None = None,
        **metrics: object,
    ) -> None:
        """Log metric values, as ``ms.log`` does; see :meth:`ActiveRun.log`."""
        found = self._checked({**(values or {}), **metrics})
        number = None if step is None else exact_int(step, "step")
        self._context.log(found, number, None if at is None else exact_time(at, "at"))

    def end(self, status: str = "finished") -> None:
        """Refuse: how the steps of a pipeline end decides how its run does.

        Raises:
            ConflictError: always.
        """
        raise ConflictError(
            f"Run {self._id} is a pipeline's and cannot be ended as {status!r} by a step.",
            hint="A step ends well by returning, and fails by raising.",
        )

    def _begin(self) -> None:
        self._target = target_of()
        self._owner = -1  # no process of this kind
        self._journal = self._target.journal
        self._introduce(own=False, params={}, tags={})

    def _introduce(self, *, own: bool, params: dict[str, str], tags: dict[str, str]) -> None:  # noqa: ARG002  as a run that begins
        # The store has had the run since it was planned: no frame has to tell of it.
        self._generation = self._journal.generation

    def _write(self, frame: f.AnyFrame) -> None:
        if self._context.speaks:
            super()._write(frame)

    def _model_id(self, name: str, package: str) -> str:
        return f"m-{sha256(f'{self._id}/{self._context.step}/{name}/{package}'.encode())[:32]}"


def handle_of(context: StepContext) -> StepRun:
    """Return the run of a step, the same one for all of the step."""
    if not isinstance(context.handle, StepRun):
        context.handle = StepRun(context)
    return context.handle

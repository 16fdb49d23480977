"""Write to a run that another process began: a kernel to its notebook's run, a step to its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.workspace.tracking.active import ActiveRun, innermost
from mainspring.workspace.tracking.planning import Plan
from mainspring.workspace.tracking.writing import target_of

if TYPE_CHECKING:
    from mainspring.pipelines.context import StepContext

#: In the environment of a process that writes to a run of the one that started it.
VARIABLE = "MAINSPRING_JOIN"

_JOINED: dict[str, JoinedRun] = {}


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has to know of a run to write to it."""

    run: str
    experiment: str
    name: str
    started: float
    parent: str | None


class JoinedRun(ActiveRun):
    """A run that another process began, and ends."""

    def __init__(self, told: Introduction) -> None:
        plan = Plan(
            experiment=told.experiment,
            name=told.name,
            params={},
            tags={},
            parent=told.parent,
            resume=None,
            capture=False,
        )
        super().__init__(plan)
        self._id, self._started, self._parent = told.run, told.started, told.parent

    def _begin(self) -> None:
        self._target = target_of()
        self._owner = -1  # no process of this kind
        self._journal = self._target.journal
        self._introduce(own=False, params={}, tags={})


def introduction(run: ActiveRun) -> str:
    """Return what to put into another process's environment, so that it writes to this run."""
    told = msgspec.convert(run.introduced(), Introduction)
    return msgspec.json.encode(told).decode()


def current_run() -> ActiveRun | None:
    """Return the run that this code runs inside of, or None.

    That is the innermost ``with ms.run(...)``; in a step of a pipeline, and outside of any
    other, the pipeline's run; in a notebook that ``mainspring notebook run`` executes, and
    outside of any other, the notebook's own.

    What a step logs to its run is kept once, however often the step is tried: a file or tag of
    the last try stands over that of the one before, and a param stays what it was first set to.
    A step that is reused did not run and logs no files.
    """
    found = tracked()
    step = _step()
    if found is None and step is not None:
        from mainspring.workspace.tracking.of_step import handle_of

        return handle_of(step)
    return found


def tracked() -> ActiveRun | None:
    """Return the run that this code runs inside of, as tracking began it: no pipeline's."""
    found = innermost()
    if found is not None or VARIABLE not in os.environ or _step() is not None:
        return found
    told = os.environ[VARIABLE]
    if told not in _JOINED:
        try:
            _JOINED[told] = JoinedRun(msgspec.json.decode(told, type=Introduction))
        except msgspec.MsgspecError as error:
            raise BadInputError(f"{VARIABLE} is not as it should be: {error}") from error
    return _JOINED[told]


def _step() -> StepContext | None:
    """Return the pipeline's step that is running here, which logs into its own run."""
    steps: Any = sys.modules.get("mainspring.pipelines.context")
    found: StepContext | None = None if steps is None else steps.current()
    return found

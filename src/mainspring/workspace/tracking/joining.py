"""Write to a run that another process began, such as a notebook's kernel to the notebook's run."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.workspace.tracking.active import ActiveRun, innermost
from mainspring.workspace.tracking.planning import Plan
from mainspring.workspace.tracking.writing import target_of

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

    That is the innermost ``with ms.run(...)``; in a notebook that ``mainspring notebook run``
    executes, and outside of any other, the notebook's own.
    """
    found = innermost()
    if found is not None or VARIABLE not in os.environ or _in_step():
        return found
    told = os.environ[VARIABLE]
    if told not in _JOINED:
        try:
            _JOINED[told] = JoinedRun(msgspec.json.decode(told, type=Introduction))
        except msgspec.MsgspecError as error:
            raise BadInputError(f"{VARIABLE} is not as it should be: {error}") from error
    return _JOINED[told]


def _in_step() -> bool:
    """Return whether a pipeline's step is running here, which logs into its own run."""
    steps: Any = sys.modules.get("mainspring.pipelines.context")
    return steps is not None and steps.current() is not None

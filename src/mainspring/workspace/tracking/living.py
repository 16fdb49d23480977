"""The runs this process has open: who is inside which, and what becomes of them at its exit."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

from mainspring.ground.errors import MainspringError
from mainspring.workspace.tracking.writing import leave_all

if TYPE_CHECKING:
    from mainspring.workspace.tracking.active import ActiveRun

#: A process started inside a run finds the run's id here, and makes its own runs children of it.
VARIABLE = "MAINSPRING_RUN"

_LOCK = threading.Lock()
_RUNS: dict[str, ActiveRun] = {}
_ENTERED: list[str] = []  # ids of the runs that somebody is inside of, oldest first
_OUTER: list[str | None] = []  # what the variable was before the first of them


def add(run: str, handle: ActiveRun) -> None:
    """Note a run that has begun here, so that it does not outlive the process."""
    with _LOCK:
        _RUNS[run] = handle


def remove(run: str) -> None:
    """Forget a run that has ended."""
    with _LOCK:
        _RUNS.pop(run, None)


def enter(run: str) -> None:
    """Tell processes started from now on that they are inside a run."""
    with _LOCK:
        if not _ENTERED:
            _OUTER[:] = [os.environ.get(VARIABLE)]
        _ENTERED.append(run)
        os.environ[VARIABLE] = run


def leave(run: str) -> None:
    """Tell them what it was before."""
    with _LOCK:
        if run in _ENTERED:
            _ENTERED.reverse()
            _ENTERED.remove(run)  # the newest entry of it
            _ENTERED.reverse()
        before = _ENTERED[-1] if _ENTERED else next(iter(_OUTER), None)
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def parent_here(current: ActiveRun | None) -> str | None:
    """Return the run that a new one is a child of: the run this code is inside of.

    That is the innermost ``with`` of this context, then the run of the pipeline's step, then
    the run of the process that started this one.
    """
    if current is not None:
        return current.id
    steps = sys.modules.get("mainspring.pipelines.context")
    step = None if steps is None else steps.current()
    if step is not None:
        return str(step.run)
    outer = os.environ.get(VARIABLE)
    with _LOCK:  # what another thread of ours is inside of is not around this one
        if outer in _ENTERED:
            outer = next(iter(_OUTER), None)
    return outer or None


def status_of(error: BaseException | None) -> str:
    """Return how a run ends that an exception (or none) ended.

    >>> status_of(None), status_of(SystemExit(0)), status_of(KeyboardInterrupt())
    ('finished', 'finished', 'cancelled')
    """
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "finished"
    return "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"


def _end_all() -> None:
    """End what was left open: as the script ended, if it ended by an exception."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    for run in list(_RUNS.values()):
        # Who leaves by an error of the disk has been told; the exit of the process goes on.
        with contextlib.suppress(MainspringError):
            run.end(status_of(error))
    leave_all()


def _forget() -> None:
    """Leave the parent its runs, in the child of a fork."""
    global _LOCK
    _LOCK = threading.Lock()
    _RUNS.clear()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget)

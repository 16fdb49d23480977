"""The runs this process has open: who is inside which, and what becomes of them at its exit."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
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


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    """End the runs that a block begins and leaves open, by how the block ends."""
    before, error = set(_RUNS), None
    try:
        yield
    except BaseException as found:
        error = found
        raise
    finally:
        _end([run for name, run in list(_RUNS.items()) if name not in before], error)


def _end(several: Iterable[ActiveRun], error: BaseException | None) -> None:
    for run in several:
        # Who leaves by an error of the disk has been told; the exit of the process goes on.
        with contextlib.suppress(MainspringError):
            run.end_by(error)


def _at_exit() -> None:
    # A script that ended by an exception left it here; at a prompt it may be any old one.
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    _end(list(_RUNS.values()), error)
    leave_all()


def _forget() -> None:
    """Leave the parent its runs, in the child of a fork."""
    global _LOCK
    _LOCK = threading.Lock()
    for run in _RUNS.values():
        run.forked()
    _RUNS.clear()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_forget)

"""What handlers get and give: a task with its lease, and all that is kept when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from mainspring.engine import leases, reactor
from mainspring.engine.tasks import Lease, NewTask
from mainspring.ground import messages as m
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    MissingExtraError,
    NotFoundError,
    PermissionDeniedError,
    StepFailedError,
)
from mainspring.ground.ports import Tx

#: Errors that another try cannot mend.
HOPELESS = (
    BadInputError,
    ConflictError,
    StepFailedError,
    NotFoundError,
    PermissionDeniedError,
    MissingExtraError,
)


class Parks(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a task waits for before it goes on: see ``leases.park``."""

    new: list[NewTask] = []
    needs: list[str] = []
    begin: Callable[[Tx], None] | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a handler hands back; all of it is kept in the transaction that ends the task.

    ``apply`` writes the effect. It may run more than once, but only one run is ever kept.
    ``events`` are (unique key, event) pairs. With ``parks`` the task does not end: it waits.
    """

    result: dict[str, Any] = {}
    apply: Callable[[Tx], None] | None = None
    events: list[tuple[str, m.AnyEvent]] = []
    parks: Parks | None = None


Handler = Callable[[Lease], Done]


class Opener(NamedTuple):
    """What a kind of task wants written in the very transaction that takes it.

    A chain of short tasks then costs one transaction each: the end of one and the begin of the
    next. ``open`` returns what the handler shall find as ``lease.opened``, or a Done if there is
    nothing left to do: the task is then finished at once, and the next is taken. What it raises
    is raised again by the handler, which finds nothing opened. ``undo`` is called in the
    transaction that gives an opened task back because the engine ends before it was begun.
    """

    open: Callable[[Tx, Lease], Any]
    undo: Callable[[Tx, Lease], None]


class Taken(NamedTuple):
    """What came of taking a task: the lease of one to be done, and how many were done at once."""

    lease: Lease | None
    done: int = 0


def keep(tx: Tx, lease: Lease, done: Done, now: float) -> None:
    """Write the end of a task and what came of it."""
    # 1. Fence first: whoever lost the lease writes nothing.
    if done.parks is None:
        leases.finish(tx, lease, done.result, now)
    elif not leases.park(tx, lease, **msgspec.structs.asdict(done.parks)):
        return
    # 2. The effect. 3. Its events.
    if done.apply is not None:
        done.apply(tx)
    for key, event in done.events:
        reactor.emit(tx, event, key)


def ids_of(lease: Lease) -> dict[str, str]:
    """Return what a task is about, for the logs."""
    found = lease.task.payload
    known = ("run", "step", "loop", "endpoint", "model", "version")
    return {key: str(found[key]) for key in known if isinstance(found.get(key), str | int)}

"""Decide whether a function of the user's that failed is tried again, and when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainspring.engine import leases
from mainspring.ground.errors import StepFailedError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.options import Options, delay_s

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Again(Exception):  # noqa: N818  not an error of ours: it asks the engine for another try
    """The user's function raised and has tries left, the next one after ``wait_s`` seconds."""

    def __init__(self, error: str, wait_s: float) -> None:
        super().__init__(error)
        self.wait_s = wait_s


def another_try(
    ws: Workspace, lease: Lease, error: Exception, types: Sequence[str], options: Options
) -> Again | None:
    """Return what asks for another try; None if this failure is for good.

    ``types`` are what was raised and its bases, by name. The first rule that fits them counts;
    how often each was used stands with the step, and begins anew when its run is resumed.
    """
    fits = (n for n, one in enumerate(options.rules) if not one.on or set(one.on) & set(types))
    number = next(fits, None)
    if number is None or not isinstance(error, StepFailedError):
        return None
    rule, name = options.rules[number], f"{number}"
    if not rule.most:
        return None
    run, step = lease.task.payload["run"], lease.task.payload["step"]

    def count(tx: Tx) -> int | None:
        leases.renew(tx, lease)  # who lost the lease must not count
        used = pipelines.tried(tx, run, step)
        tried = used.get(name, 0) + 1
        if tried > rule.most:
            return None
        pipelines.note_tried(tx, run, step, {**used, name: tried})
        return tried

    tried = ws.write(Permission.WORK, count)
    if tried is None:
        return None
    return Again(str(error), delay_s(rule, tried, random.random()))  # noqa: S311  a wait

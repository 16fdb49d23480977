"""Apply retention: delete runs whose time is over, as a person would, daily and by ``gc``."""

from __future__ import annotations

from mainspring.engine.tasks import NewTask
from mainspring.experiments import retention
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.keeping.deleting import hide
from mainspring.workspace.keeping.needs import needed
from mainspring.workspace.opening import Workspace


def aged(tx: Tx, now: float) -> dict[str, list[str]]:
    """Return the runs that retention would delete now, by experiment."""
    found = {policy.experiment: retention.over(tx, policy, now) for policy in retention.listed(tx)}
    kept = needed(tx, [run for ids in found.values() for run in ids], hidden_too=False)
    left = {name: [run for run in ids if run not in kept] for name, ids in found.items()}
    return {name: ids for name, ids in left.items() if ids}


def apply(tx: Tx, now: float) -> int:
    """Delete, so that they can be restored, the runs whose time is over; return how many."""
    found = aged(tx, now)
    for name, ids in found.items():
        hide(tx, ids, now, f"Retention of {name}.", "retention.apply")
    return sum(map(len, found.values()))


def apply_now(ws: Workspace) -> int:
    """Apply retention at once, by hand; return how many runs were deleted."""
    return ws.write(Permission.ADMIN, lambda tx: apply(tx, ws.clock.now()))


def due(tx: Tx, now: float) -> list[NewTask]:
    """Return the daily work of retention, where any is set."""
    if not retention.listed(tx):
        return []
    day = int(now // DAY_S)
    return [NewTask(id=f"retention/{day}", kind="retention", priority=-1)]

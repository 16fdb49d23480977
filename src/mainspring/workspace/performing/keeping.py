"""Checkpoints of a step: which its workers go on from; new ones, from the process that runs it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.ports import Tx
from mainspring.pipelines import outputs
from mainspring.pipelines.checkpoints import Whose

if TYPE_CHECKING:
    from mainspring.pipelines.runs import StepPlan
    from mainspring.workspace.opening import Workspace
    from mainspring.workspace.verified import Verified


def own_of(ws: Workspace, plan: StepPlan, seen: Verified) -> list[Any]:
    """Return by worker what it kept of its own, up to the last step of which all have all bytes.

    What some have beyond it is forgotten. Of a step with one worker there is none.
    """
    from mainspring.ground.permissions import Permission
    from mainspring.pipelines import checkpoint_rows

    workers = plan.options.workers
    if workers == 1:
        return []
    scope = checkpoint_rows.scope_of(plan)
    there = ws.read(Permission.WORK, lambda tx: checkpoint_rows.common(tx, scope, workers))
    while there[0] and not _are_whole(ws, seen, {b for one in there for b in one[-1].blobs}):
        there = [one[:-1] for one in there]
    last = there[0][-1].step if there[0] else -1
    ws.write(Permission.WORK, lambda tx: checkpoint_rows.cut_off(tx, scope, workers, last))
    told: list[Any] = msgspec.to_builtins(there)
    return told


def folders_of(ws: Workspace, plan: StepPlan) -> list[Any]:
    """Return by worker what is kept of its script's folder; of a step with one worker nothing."""
    from mainspring.ground.permissions import Permission
    from mainspring.pipelines import checkpoint_rows

    workers, scope = plan.options.workers, checkpoint_rows.scope_of(plan)
    if workers == 1:
        return []
    there = ws.read(Permission.WORK, lambda tx: checkpoint_rows.folders(tx, scope, workers))
    told: list[Any] = msgspec.to_builtins(there)
    return told


def _are_whole(ws: Workspace, seen: Verified, blobs: set[str]) -> bool:
    return all(map(ws.objects.has, blobs)) and not seen.damaged(blobs)


class Writer:
    """Opens the store when the first checkpoint comes; most steps write none."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload
        self._opened: tuple[int, Any] | None = None

    def __call__(
        self, step: int, stored: outputs.Stored, keep: int, drop: list[int], whose: Whose
    ) -> None:
        """Keep what is stored as the checkpoint of a step, or of this worker of it."""
        from mainspring.ground.permissions import Permission
        from mainspring.pipelines import checkpoint_rows

        ws, asked = self._workspace(), self._payload["checkpoints"]
        worker = (int(self._payload.get("rank", 0)), len(asked["own"]))
        scope = asked["scope"]
        if whose == "folder":
            scope = checkpoint_rows.folder_scope(scope, *worker)

        def work(tx: Tx) -> None:
            checkpoint_rows.keep_one(
                tx,
                scope,
                step,
                stored,
                run=self._payload["run"],
                step=self._payload["step"],
                at=ws.clock.now(),
                keep=keep,
                drop=drop,
                own=worker if whose == "own" else None,
            )

        ws.write(Permission.WORK, work)

    def _workspace(self) -> Any:
        """Return the open workspace; a process that forked opens one of its own."""
        if self._opened is None or self._opened[0] != os.getpid():
            from mainspring.ground.permissions import service
            from mainspring.ground.settings import Settings
            from mainspring.workspace.opening import open_workspace

            settings = msgspec.convert(self._payload["checkpoints"]["settings"], Settings)
            self._opened = (os.getpid(), open_workspace(settings).acting_as(service("engine")))
        return self._opened[1]

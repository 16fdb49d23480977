"""Run a version's gate again, on the newest rows there are; end the waiting for an approval."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground.objects import DAY_S, LoopSpec, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import gate, registry, verdicts
from mainspring.retraining.assemble import LEAST_FRESH, assemble
from mainspring.workspace import approving, gates
from mainspring.workspace.evidence import LabelShelf, labelled
from mainspring.workspace.handlers.judging import Judging

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.handlers.piping import Drive
    from mainspring.workspace.opening import Workspace


class Rejudging(Judging):
    """Carries out a gate that was asked for once more."""

    def __init__(self, ws: Workspace, drive: Drive, shelf: LabelShelf) -> None:
        super().__init__(ws, drive)
        self._shelf = shelf

    def judge_again(self, lease: Lease) -> Done:
        """Judge a version by its model's gate, on rows newer than what it learnt from.

        Those are the newest labelled rows of its endpoint; where there are too few, the ones its
        gate looked at before.
        """
        model, number = lease.task.payload["model"], int(lease.task.payload["number"])

        def look(tx: Tx) -> tuple[Version, gates.ModelGate, LoopSpec | None, float, str | None]:
            asked = gates.of_model(tx, model)
            spec = reactor.spec(tx, asked.loop) if asked.loop else None
            view = reactor.view(tx, asked.loop) if asked.loop else None
            at = view.now if view and view.now else self._ws.clock.now()
            newest = verdicts.latest(tx, model, number)
            version = registry.get(tx, model, number)
            return version, asked, spec, at, newest.rows if newest else None

        version, asked, spec, at, before = self._ws.read(Permission.WORK, look)
        rows, count = self._newest_rows(spec, version, at) if spec else (None, 0)
        judged = self._judged(model, number, asked.gate, at, lease, fresh=rows or before)

        def apply(tx: Tx) -> None:
            kept = self._keep(tx, judged)
            gate.note(tx, kept, gate.reason(kept.checks))
            approving.answer(tx, kept, by_hand=True)

        notes = [f"judged on {count:,} labelled rows newer than its training"] if rows else []
        result = judged.result
        answer = {"passed": result.passed, "reason": judged.told, "notes": notes}
        answer["gate"] = result.id
        return Done(result=answer, apply=apply)

    def approval_over(self, lease: Lease) -> Done:
        """Let a loop go on whose candidate nobody approved while its gate was fresh."""
        asked = lease.task.payload

        def apply(tx: Tx) -> None:
            approving.overdue(tx, asked["loop"], asked["command"], int(asked["version"]))

        return Done(apply=apply)

    def _newest_rows(self, spec: LoopSpec, version: Version, at: float) -> tuple[str | None, int]:
        """Return the digest and number of the newest labelled rows of the loop's endpoint."""
        policy = spec.retraining
        since = 0.0 if policy.history_s is None else at - policy.history_s - policy.holdout_s
        joined = self._ws.read(
            Permission.WORK,
            lambda tx: labelled(
                self._ws, self._shelf, tx, spec.endpoint, version.signature, since, at + DAY_S
            ),
        )
        split = assemble(joined, None, policy, at, version.signature)
        if split is None:
            return None, 0
        fresh = split[1]
        if version.trained_until is not None:
            fresh = fresh.filter(pl.col("_time") > version.trained_until)
        if fresh.height < LEAST_FRESH:
            return None, 0
        buffer = io.BytesIO()
        fresh.write_parquet(buffer, compression="zstd")
        return self._ws.objects.put(buffer.getvalue()), fresh.height


def handlers(ws: Workspace, drive: Drive, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of gates that are run again."""
    again = Rejudging(ws, drive, shelf)
    return {"judge_again": again.judge_again, approving.OVERDUE: again.approval_over}

"""The rows of checkpoints: under a step's key, the newest few, gone when the step is done."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from mainspring.ground.identity import canonical, key_of
from mainspring.ground.ports import Tx
from mainspring.pipelines import outputs
from mainspring.pipelines.checkpoints import Kept
from mainspring.pipelines.runs import StepPlan
from mainspring.pipelines.tables import checkpoints


def scope_of(plan: StepPlan) -> str:
    """Return under what a step's checkpoints are kept: its key.

    One that is to run anew in each run finds those of its own run alone.
    """
    return key_of("checkpoints", plan.key, plan.run) if plan.anew else plan.key


def newest(tx: Tx, scope: str) -> list[Kept]:
    """Return the checkpoints that are kept, the newest last."""
    rows = tx.all(
        select(checkpoints).where(checkpoints.c.scope == scope).order_by(checkpoints.c.number)
    )
    return [Kept(step=row.number, digest=row.digest, type=row.type) for row in rows]


def keep_one(
    tx: Tx,
    scope: str,
    number: int,
    stored: outputs.Stored,
    *,
    run: str,
    step: str,
    at: float,
    keep: int,
    drop: Sequence[int] = (),
) -> None:
    """Write down a checkpoint and forget those that are to drop, and all but the newest."""
    here = checkpoints.c.scope == scope
    tx.run(delete(checkpoints).where(here, checkpoints.c.number.in_([number, *drop])))
    cells = {
        "scope": scope,
        "number": number,
        "digest": stored.digest,
        "type": stored.type,
        "blobs": canonical(stored.blobs).decode(),
        "run": run,
        "step": step,
        "at": at,
    }
    tx.run(insert(checkpoints).values(**cells))
    old = [one.step for one in newest(tx, scope)][:-keep]
    if old:
        tx.run(delete(checkpoints).where(here, checkpoints.c.number.in_(old)))


def forget(tx: Tx, scope: str) -> int:
    """Forget all checkpoints of a step that is done; return how many there were."""
    return tx.run(delete(checkpoints).where(checkpoints.c.scope == scope))

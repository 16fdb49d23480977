"""The rows of checkpoints: under a step's key, the newest few, gone when the step is done.

Those that each of several workers keeps for itself are under a scope of the worker's own. All go
on from the last that all of them have; what one has beyond it is of an attempt that was cut off.
The folders of their scripts have scopes too: there each worker goes on from its own last one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from mainspring.ground.identity import canonical, key_of
from mainspring.ground.ports import Tx
from mainspring.pipelines import outputs
from mainspring.pipelines.checkpoints import Kept
from mainspring.pipelines.runs import StepPlan
from mainspring.pipelines.tables import checkpoints

MOST_APART = 100  #: checkpoints by which one worker may be ahead of all others


def scope_of(plan: StepPlan) -> str:
    """Return under what a step's checkpoints are kept: its key.

    One that is to run anew in each run finds those of its own run alone.
    """
    return key_of("checkpoints", plan.key, plan.run) if plan.anew else plan.key


def own_scope(scope: str, rank: int, workers: int) -> str:
    """Return under what one of several workers keeps its own; other numbers of workers share none.

    >>> own_scope("key", 0, 2) == own_scope("key", 0, 4)
    False
    """
    return key_of("own checkpoints", scope, str(rank), str(workers))


def folder_scope(scope: str, rank: int, workers: int) -> str:
    """Return under what the folder of one worker's script is kept.

    >>> folder_scope("key", 1, 2) == own_scope("key", 1, 2)
    False
    """
    return key_of("own folders", scope, str(rank), str(workers))


def folders(tx: Tx, scope: str, workers: int) -> list[list[Kept]]:
    """Return by worker what is kept of its script's folder; the first one's is the step's."""
    own = [newest(tx, folder_scope(scope, rank, workers)) for rank in range(1, workers)]
    return [newest(tx, scope), *own]


def newest(tx: Tx, scope: str) -> list[Kept]:
    """Return the checkpoints that are kept, the newest last."""
    rows = tx.all(_of_scope(), {"scope_": scope})
    return [
        Kept(step=row.number, digest=row.digest, type=row.type, blobs=json.loads(row.blobs))
        for row in rows
    ]


def common(tx: Tx, scope: str, workers: int) -> list[list[Kept]]:
    """Return by worker what it keeps of its own, of those steps alone that all workers have."""
    every = [newest(tx, own_scope(scope, rank, workers)) for rank in range(workers)]
    steps = set.intersection(*({one.step for one in own} for own in every))
    return [[one for one in own if one.step in steps] for own in every]


def cut_off(tx: Tx, scope: str, workers: int, last: int) -> None:
    """Forget what workers keep of their own beyond a step: what they go on from.

    Else a worker of the next attempt would complete a step of which others kept another one.
    """
    scopes = [own_scope(scope, rank, workers) for rank in range(workers)]
    tx.run(delete(checkpoints).where(checkpoints.c.scope.in_(scopes), checkpoints.c.number > last))


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
    own: tuple[int, int] | None = None,
) -> None:
    """Write down a checkpoint and forget those that are to drop, and all but the newest.

    ``own`` are the rank of the worker whose own it is, and how many there are: what all of them
    have, and what came after it, is not forgotten though newer ones are there.
    """
    shared, scope = scope, own_scope(scope, *own) if own else scope
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
    if own and old:
        there = common(tx, shared, own[1])[0]
        last = there[-1].step if there else 0
        old = [one for one in old if one < last] or old[:-MOST_APART]
    if old:
        tx.run(delete(checkpoints).where(here, checkpoints.c.number.in_(old)))


def forget(tx: Tx, scope: str, workers: int = 1) -> int:
    """Forget all checkpoints of a step that is done; return how many there were."""
    forgotten = tx.run(_forgetting(), values={"scope_": scope})
    if workers > 1:
        kinds = (own_scope, folder_scope)
        own = [of(scope, rank, workers) for of in kinds for rank in range(workers)]
        forgotten += tx.run(delete(checkpoints).where(checkpoints.c.scope.in_(own)))
    return forgotten


@cache
def _of_scope() -> Any:
    mine = checkpoints.c.scope == bindparam("scope_")
    return select(checkpoints).where(mine).order_by(checkpoints.c.number)


@cache
def _forgetting() -> Any:
    return delete(checkpoints).where(checkpoints.c.scope == bindparam("scope_"))

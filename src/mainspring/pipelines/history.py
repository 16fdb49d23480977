"""How the steps of a pipeline did over its last runs: how long, how often reused or failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec
from sqlalchemy import func, select

from mainspring.ground.objects import StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import steps

MOST_ROWS = 20_000  #: steps that are looked at, of the newest runs
_ITEM = re.compile(r"\[\d+\]")


class StepHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One step over several runs; the items of a map are taken together."""

    step: str
    kind: str
    seen: int  #: how often it came to an end
    reused: int
    failed: int
    skipped: int
    median_s: float | None  #: of the times it was carried out
    last_s: float | None  #: of the newest of them

    @property
    def share_reused(self) -> float | None:
        """Return the share of the times it ended well that it took a result over."""
        good = self.seen - self.failed - self.skipped
        return self.reused / good if good else None


def of_runs(tx: Tx, runs: Sequence[str]) -> tuple[list[StepHistory], bool]:
    """Return each step over the runs given, in order, and whether all of it was looked at."""
    query = (
        select(
            steps.c.step, steps.c.kind, steps.c.state, steps.c.started, steps.c.ended,
            steps.c.position,
        )
        .where(steps.c.run.in_(list(runs)))
        .order_by(steps.c.id.desc())
        .limit(MOST_ROWS)
    )  # fmt: skip
    rows = tx.all(query)
    groups: dict[str, list[Any]] = {}
    for row in rows:  # the newest first
        groups.setdefault(_ITEM.sub("[…]", row.step), []).append(row)
    found = sorted(groups.items(), key=lambda one: (one[1][0].position, one[0]))
    return [_history(name, several) for name, several in found], len(rows) < MOST_ROWS


def counts(tx: Tx, runs: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many steps of each run are in which state; controllers are no work."""
    mine = steps.c.run.in_(list(runs)) & (steps.c.kind == "step")
    query = select(steps.c.run, steps.c.state, func.count().label("several")).where(mine)
    found: dict[str, dict[str, int]] = {run: {} for run in runs}
    for row in tx.all(query.group_by(steps.c.run, steps.c.state)):
        found[row.run][row.state] = row.several
    return found


def _history(name: str, rows: Sequence[Any]) -> StepHistory:
    states = [row.state for row in rows]
    took = [
        row.ended - row.started
        for row in rows
        if row.state in (StepState.DONE, StepState.FAILED)
        and row.started is not None
        and row.ended is not None
    ]
    ends = (StepState.DONE, StepState.REUSED, StepState.FAILED, StepState.SKIPPED)
    return StepHistory(
        step=name,
        kind=rows[0].kind,
        seen=sum(states.count(one) for one in ends),
        reused=states.count(StepState.REUSED),
        failed=states.count(StepState.FAILED),
        skipped=states.count(StepState.SKIPPED),
        median_s=median(took) if took else None,
        last_s=took[0] if took else None,
    )

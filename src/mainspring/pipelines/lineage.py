"""What steps took and gave, asked for many at once: the edges of lineage that steps know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import steps

_PART = 500  # a database takes a bounded number of variables


class Kin(msgspec.Struct, frozen=True):
    """A step as lineage sees it."""

    run: str
    step: str
    state: str
    inputs: frozenset[str]  #: digests of what it took
    output: str | None
    type: str | None
    reused_from: str | None


def of_runs(tx: Tx, ids: Sequence[str]) -> list[Kin]:
    """Return the steps of runs, in an order in which they may run."""
    return _some(tx, steps.c.run, ids)


def of_outputs(tx: Tx, digests: Sequence[str]) -> list[Kin]:
    """Return the steps that gave something, whether they ran or were reused."""
    return _some(tx, steps.c.output, digests)


def _some(tx: Tx, column: Any, values: Sequence[str]) -> list[Kin]:
    s = steps.c
    columns = (s.run, s.step, s.state, s.inputs, s.output, s.output_type, s.reused_from)
    found = []
    for start in range(0, len(values), _PART):
        mine = column.in_(list(values[start : start + _PART]))
        for row in tx.all(select(*columns).where(mine).order_by(s.id)):
            inputs = msgspec.json.decode(row.inputs, type=dict[str, str])
            found.append(
                Kin(
                    row.run,
                    row.step,
                    row.state,
                    frozenset(inputs.values()),
                    row.output,
                    row.output_type,
                    row.reused_from,
                )
            )
    return found


def makers(tx: Tx, run: str, digests: Collection[str]) -> dict[str, str]:
    """Return which step of a run gave what, by digest; the last that gave it."""
    found: dict[str, str] = {}
    several = list(digests)
    for start in range(0, len(several), _PART):
        mine = (steps.c.run == run) & steps.c.output.in_(several[start : start + _PART])
        rows = tx.all(select(steps.c.step, steps.c.output).where(mine).order_by(steps.c.id))
        found |= {row.output: row.step for row in rows}
    return found


class Ended(msgspec.Struct, frozen=True):
    """A step that will not go on by itself."""

    step: str
    state: str
    attempt: int
    ended: float | None


def ended(tx: Tx, run: str, since: float | None = None) -> list[Ended]:
    """Return the steps of a run that ended, or those of them that ended from a moment on."""
    over = (steps.c.run == run) & steps.c.state.in_(("done", "reused", "failed", "skipped"))
    if since is not None:
        over &= steps.c.ended >= since
    columns = (steps.c.step, steps.c.state, steps.c.attempt, steps.c.ended)
    rows = tx.all(select(*columns).where(over).order_by(steps.c.id))
    return [Ended(row.step, row.state, row.attempt, row.ended) for row in rows]

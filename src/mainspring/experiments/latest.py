"""The latest value of each metric: what a run shows of itself, without its history."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import select

from mainspring.experiments.tables import metrics
from mainspring.ground.ports import Tx


def latest_of(tx: Tx, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the latest value of every metric, by run and key."""
    out: dict[str, dict[str, float]] = {run: {} for run in ids}
    statement = select(metrics.c.run, metrics.c.key, metrics.c.value)
    statement = statement.where(metrics.c.run.in_(ids)).order_by(metrics.c.run, metrics.c.key)
    for row in tx.all(statement):
        out[row.run][row.key] = from_cell(row.value)
    return out


def to_cell(value: float) -> float | None:
    """Return how a value is kept: NaN as NULL, all else as it is."""
    return None if math.isnan(value) else value


def from_cell(value: float | None) -> float:
    """Return the value that a cell keeps."""
    return math.nan if value is None else float(value)

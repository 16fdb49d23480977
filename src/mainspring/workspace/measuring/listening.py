"""Measure what a candidate listens to: shuffle one column at a time and see what moves."""

from __future__ import annotations

import numpy as np
import polars as pl

from mainspring.numerics.intervals import by_block_or_row
from mainspring.numerics.scores import row_losses
from mainspring.readiness.measured import AttributionMeasured, ColumnWeight
from mainspring.workspace.measuring.subject import Candidate, Fresh

#: Rows that are shuffled, and columns: those that were heaviest at training.
MOST_ROWS, MOST_COLUMNS = 500, 50
LEAST_ROWS = 30


def measure(candidate: Candidate, fresh: Fresh | None) -> AttributionMeasured:
    """Return how far the answers move, and how much more is lost, without each column.

    On the fresh rows, where the version has its fast form. A version without one is asked
    nothing more: what was measured when it was trained is told.
    """
    if candidate.served.form != "onnx" or fresh is None or fresh.rows.height < LEAST_ROWS:
        shares = {one.name: one.share for one in candidate.baseline.columns}
        found = [ColumnWeight(column=name, share=share) for name, share in shares.items()]
        return AttributionMeasured(
            rows=candidate.example.height,
            columns=sorted(found, key=lambda one: (-one.share, one.column)),
        )
    at = np.linspace(0, fresh.rows.height - 1, min(MOST_ROWS, fresh.rows.height)).astype(int)
    signature = candidate.served.signature
    rows = fresh.rows[at].select([column.name for column in signature.columns])
    order = np.random.default_rng(0).permutation(rows.height)
    names = candidate.heaviest(MOST_COLUMNS)
    shuffled = [rows.with_columns(rows[name].gather(order)) for name in names]
    scores = candidate.served.score(pl.concat(shuffled))
    usual, blocks = fresh.scores[at], fresh.blocks[at]
    moves, rises = [], []
    for place in range(len(names)):
        mine = scores[place * rows.height : (place + 1) * rows.height]
        moves.append(float(np.abs(mine - usual).mean()))
        lost = row_losses(signature.kind, mine, fresh.target[at], signature.scale)
        rises.append(by_block_or_row(lost - fresh.losses[at], blocks)[0])
    total = sum(moves)
    weights = [
        ColumnWeight(
            column=name,
            share=move / total if total > 0 else 0.0,
            loss=rise.estimate,
            loss_low=rise.low,
            loss_high=rise.high,
        )
        for name, move, rise in zip(names, moves, rises, strict=True)
    ]
    return AttributionMeasured(
        rows=rows.height,
        columns=sorted(weights, key=lambda one: (-one.share, one.column)),
        labelled=True,
    )

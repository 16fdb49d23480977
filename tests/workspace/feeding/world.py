"""Rows that a small model elsewhere answered."""

from __future__ import annotations

import numpy as np
import polars as pl

from mainspring.ground.objects import MonitorPolicy

DAY = 86_400.0
NOW = 20_833 * DAY
FIRST = NOW - 30 * DAY  # a multiple of a day, long before now
POLICY = MonitorPolicy(window_s=DAY, label_delay_s=0.0, min_rows=100)


def answered(
    count: int, seed: int, day: int = 0, shift: float = 0.0, *, worse: bool = False
) -> pl.DataFrame:
    """Return rows that a model elsewhere answered on one day, with their truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, count)
    score = 1 / (1 + np.exp(-2 * x))
    truth = rng.random(count) < (1 - score if worse else score)
    return pl.DataFrame(
        {
            "request_id": [f"order-{seed}-{n}" for n in range(count)],
            "ts": FIRST + day * DAY + np.sort(rng.uniform(0, DAY - 1, count)),
            "x": x,
            "city": rng.choice(["Ulm", "Bonn"], count),
            "score": score,
            "label": truth.astype(int),
        }
    )

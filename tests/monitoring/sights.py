"""Sights to look at in tests: rows, what they are compared with, and windows before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.objects import (
    Column,
    ColumnProfile,
    MonitorPolicy,
    Profile,
    Signature,
    Window,
)
from mainspring.monitoring.labels import Joined
from mainspring.monitoring.sight import Sight

SIGNATURE = Signature(
    columns=[
        Column(name="sex", type="str"),
        Column(name="age", type="float"),
        Column(name="branch", type="str"),
        Column(name="income", type="float"),
    ],
    kind="binary",
    target="paid",
    classes=["no", "yes"],
)
SHARES = {"sex": 0.0, "age": 0.1, "branch": 0.3, "income": 0.6}


def people(rows: int, seed: int, gap: float = 0.0) -> pl.DataFrame:
    """Return captured rows; women's scores are lower by ``gap``, the truth knows no difference."""
    rng = np.random.default_rng(seed)
    woman = rng.random(rows) < 0.4
    income = rng.normal(size=rows)
    chance = np.clip(0.5 + 0.25 * income, 0.02, 0.98)
    return pl.DataFrame(
        {
            "_id": [f"{seed}-{n}" for n in range(rows)],
            "_time": np.sort(rng.uniform(0, 1000, rows)),
            "_received": np.sort(rng.uniform(0, 1000, rows)),
            "_version": np.full(rows, 3),
            "_score": np.clip(chance - gap * woman, 0.0, 1.0),
            "_other_version": pl.Series([None] * rows, dtype=pl.Int64),
            "_other_score": pl.Series([None] * rows, dtype=pl.Float64),
            "sex": np.where(woman, "f", "m"),
            "age": rng.uniform(18, 90, rows),
            "branch": rng.choice(["north", "south", "west"], rows),
            "income": income,
            "_y": (rng.random(rows) < chance).astype(float),
        }
    )


def sight(frame: pl.DataFrame, *, labelled: bool = False, **given: Any) -> Sight:
    """Return a sight of captured rows of version 3; with their truth if ``labelled``."""
    policy = given.pop("policy", MonitorPolicy(window_s=1000.0))
    usual = {"f": 400, "m": 600}
    columns = [
        ColumnProfile(
            name=name,
            type="number" if name in ("age", "income") else "category",
            rows=1000,
            missing=0,
            share=share,
            categories=usual if name == "sex" else {},
        )
        for name, share in SHARES.items()
    ]
    joined = None
    if labelled:
        joined = Joined(rows=frame, labels=frame.height, replaced=0, unmatched=0, foreign={})
    return Sight(
        **{
            "frame": frame.drop("_y", strict=False),
            "baseline": Profile(rows=1000, columns=columns),
            "signature": SIGNATURE,
            "policy": policy,
            "span": (0.0, 1000.0),
            "endpoint": "loans",
            "version": 3,
            "window": "loans:0",
            "joined": joined,
            **given,
        }
    )


def window(start: float, end: float, rows: int = 100, **given: Any) -> Window:
    """Return a window that was judged before."""
    blank = {"id": f"loans:{int(start)}", "endpoint": "loans", "version": 3}
    return Window(**{**blank, "start": start, "end": end, "rows": rows, **given})

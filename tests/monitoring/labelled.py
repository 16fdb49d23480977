"""A small world with truth: rows that a version scored, what came, and a sight of a window."""

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

SPAN = (0.0, 1000.0)
COLUMNS = [
    Column(name="carrier", type="str"),
    Column(name="hour", type="int"),
    Column(name="miles", type="float"),
]
BINARY = Signature(columns=COLUMNS, kind="binary", target="late", classes=["no", "yes"])
COLOURS = Signature(columns=COLUMNS, kind="multiclass", target="c", classes=["a", "b", "c"])
NUMBER = Signature(columns=COLUMNS, kind="regression", target="y", scale=10.0)
POLICY = MonitorPolicy(window_s=1000.0, label_delay_s=500.0, min_rows=200)


def rows(count: int, seed: int, *, broken: Any = None, late: float = 0.0) -> pl.DataFrame:
    """Return binary rows with their truth; ``broken`` is where the truth is turned around.

    ``late`` shifts the log odds of the truth and not those of the score.
    """
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "_id": [f"{seed:08x}-{n}" for n in range(count)],
            "_time": np.sort(rng.uniform(*SPAN, count)),
            "_version": np.full(count, 3, dtype=np.int64),
            "carrier": rng.choice(["EV", "UA", "DL", "AA"], count, p=[0.1, 0.4, 0.3, 0.2]),
            "hour": rng.integers(5, 23, count),
            "miles": rng.gamma(3, 300, count).round(0),
        }
    )
    odds = 0.15 * (frame["hour"].to_numpy() - 14) + rng.normal(0, 1, count)
    score = 1 / (1 + np.exp(-odds))
    truth = rng.random(count) < 1 / (1 + np.exp(-(odds + late)))
    if broken is not None:
        where = frame.select(broken.alias("x"))["x"].to_numpy()
        truth = np.where(where, ~truth, truth)
    return frame.with_columns(_score=score, _y=truth.astype(np.int64))


def sight(
    now: pl.DataFrame,
    before: pl.DataFrame | None = None,
    signature: Signature = BINARY,
    policy: MonitorPolicy = POLICY,
    loss: float | None = -1.0,
    labelled: bool = True,
    earlier: Any = (),
    number: int = 0,
) -> Sight:
    """Return what a monitor sees of rows, beside rows of training (by default 20,000 alike)."""
    kept = rows(20_000, 99) if before is None and signature.kind == "binary" else before
    if loss == -1.0:
        loss = None if kept is None or kept.height == 0 else loss_of(kept)
    shares = {"carrier": 0.3, "hour": 0.6, "miles": 0.1}
    columns = [ColumnProfile(name=n, type="number", rows=0, missing=0, share=s)
               for n, s in shares.items()]  # fmt: skip
    keep = [name for name in now.columns if name != "_y"]
    return Sight(
        frame=now.select(keep),
        joined=Joined(rows=now, labels=now.height, replaced=0, unmatched=0, foreign={})
        if labelled
        else None,
        baseline=Profile(rows=20_000, columns=columns, loss=loss),
        signature=signature,
        policy=policy,
        span=SPAN,
        endpoint="e",
        version=3,
        window=f"e:{number}",
        earlier=earlier,
        reference=None if kept is None else kept.drop(["_id", "_time", "_version"], strict=False),
    )


def loss_of(frame: pl.DataFrame) -> float:
    """Return the mean Brier loss of binary rows."""
    return float(((frame["_score"] - frame["_y"]) ** 2).mean())  # type: ignore[arg-type]


def window(number: int, **given: Any) -> Window:
    """Return the record of an earlier window of version 3."""
    told = {"id": f"e:{number}", "endpoint": "e", "start": number * 1000.0, "rows": 100}
    told |= {"end": number * 1000.0 + 1000.0, "version": 3}
    return Window(**{**told, **given})

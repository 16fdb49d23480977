"""The rows that monitors are measured on: 20 number columns and 5 of categories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NUMBERS, TEXTS = 20, 5
BASELINE = 100_000


def table(rows: int, seed: int) -> Any:
    """Return rows as a polars frame; nothing in it moves from one seed to the next."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(seed)
    levels = pl.Series(np.array([f"level {number}" for number in range(30)]))
    found = {}
    for number in range(NUMBERS):
        values = rng.normal(size=rows).astype(np.float32)
        found[f"n{number}"] = pl.Series(values).cast(pl.Float64)
    for number in range(TEXTS):
        found[f"t{number}"] = levels.gather(rng.integers(0, 30, rows))
    return pl.DataFrame(found)


def files(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write the reference and the current rows, once, and return where."""
    reference, current = folder / f"reference-{BASELINE}.parquet", folder / f"rows-{rows}.parquet"
    for file, count, seed in ((reference, BASELINE, 1), (current, rows, 2)):
        if not file.exists():
            table(count, seed).write_parquet(file)
    return reference, current

"""Say how much was asked, and who answered."""

from __future__ import annotations

from typing import Any

import polars as pl


def measure_traffic(
    frame: pl.DataFrame, span: tuple[float, float], calls: int | None = None, outside: int = 0
) -> dict[str, Any]:
    """Return rows, rate and the share of each version in a window.

    ``frame`` holds the rows inside the span, ``outside`` counts those given that were not.
    ``calls`` is the number of HTTP calls, where it is known. Times are event time; ``first``
    and ``last`` are None without a row.
    """
    rows, length = frame.height, span[1] - span[0]
    times = (
        frame["_time"].drop_nulls()
        if "_time" in frame.columns
        else pl.Series([], dtype=pl.Float64)
    )
    answered: dict[str, int] = {}
    if "_version" in frame.columns and rows:
        counted = frame["_version"].drop_nulls().value_counts().sort("_version")
        answered = {str(version): count for version, count in counted.rows()}
    both = 0
    if "_other_score" in frame.columns:
        both = frame["_other_score"].len() - frame["_other_score"].null_count()
    return {
        "rows": rows,
        "calls": calls,
        "rows_per_s": rows / length if length > 0 else None,
        "first": float(times.min()) if times.len() else None,  # type: ignore[arg-type]
        "last": float(times.max()) if times.len() else None,  # type: ignore[arg-type]
        "outside": outside,
        "versions": {v: {"rows": n, "share": n / rows} for v, n in answered.items()},
        "scored_by_two": both,
    }


def main_version(frame: pl.DataFrame) -> int | None:
    """Return the version that answered most rows, the newest of equals; None without a row."""
    if "_version" not in frame.columns:
        return None
    known = frame["_version"].drop_nulls()
    if known.len() == 0:
        return None
    counted = known.value_counts().sort(["count", "_version"], descending=True)
    return int(counted["_version"][0])

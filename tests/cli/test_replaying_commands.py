"""``loop simulate`` and ``loop staleness`` on a file: drawn, as one document, and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DAY = 86_400.0


def _rows(rows: int) -> pl.DataFrame:
    """Return two months of rows whose law turns in the middle."""
    rng = np.random.default_rng(4)
    x, place = rng.normal(size=rows), np.arange(rows)
    sign = np.where(place < rows // 2, 1, -1)
    paid = (sign * x + rng.normal(0, 0.3, rows)) > 0
    return pl.DataFrame({"at": 1.7e9 + place * 60 * DAY / rows, "x": x, "paid": paid})


def test_a_file_is_replayed_and_drawn(say: Callable[..., Any], tmp_path: Path) -> None:
    _rows(600).write_csv(tmp_path / "rows.csv")
    words = ("loop", "simulate", "rows.csv", "--target", "paid", "--time", "at")
    policies = ("--policy", "static", "--policy", "every-period,cost=1", "--period", "6d")
    drawn = say(*words, *policies, "--plot", "chart.html")
    assert drawn.code == 0, drawn.err
    assert "every-period,cost=1" in drawn.out
    assert "<script src" not in (tmp_path / "chart.html").read_text()
    found = say(*words, *policies, "--delay", "1d", "--json").json
    assert [p["policy"] for p in found["policies"]] == ["static", "every-period,cost=1"]
    assert found["delay_s"] == DAY
    words = ("loop", "staleness", "rows.csv", "--target", "paid", "--time", "at")
    aged = say(*words, "--period", "4d", "--cost", "3", "--plot", "age.html")
    assert aged.code == 0, aged.err
    assert "RETRAIN EVERY" in aged.out
    assert say(*words, "--period", "4d", "--json").json["ages"][0]["periods"] == 0
    assert say("loop", "simulate", "rows.csv").code == 2
    assert say("loop", "staleness", "flights", "--target", "y").code == 2
    assert not (tmp_path / ".mainspring").exists()

"""A pipeline's input is a monitor: a step judges its rows, and may stop on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.objects import MonitorPolicy


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def orders(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": rng.integers(0, 50, rows),  # of customers: most of them come twice
            "amount": rng.normal(shift, 1, rows),
            "country": rng.choice(["DE", "FR"], rows),
        }
    )


def test_the_first_rows_are_the_baseline_and_later_ones_are_judged():
    first = ms.monitor_data("orders", orders(1_000, 0))
    assert (first.verdict, first.window, first.alarming) == ("baseline", None, False)
    calm = ms.monitor_data("orders", orders(1_000, 1))
    assert (calm.verdict, calm.rows) == ("quiet", 1_000)
    assert calm.window.rows == 1_000, "ids that nobody named make no two rows one"
    assert [row["column"] for row in calm.window.drift] == ["amount", "country"]
    moved = ms.monitor_data("orders", orders(1_000, 2, 1.0))
    assert moved.alarming
    assert moved.why == "drift: amount"
    assert moved.findings[0].value > 0.1
    still = ms.monitor_data("orders", orders(1_000, 3, 1.0))
    assert still.alarming, "an alarm that is open already makes no later window quiet"


def test_the_same_rows_again_are_the_same_window():
    ms.monitor_data("orders", orders(500, 1), baseline=orders(2_000, 0))
    first = ms.monitor_data("orders", orders(500, 2, 1.0))
    ms.monitor_data("orders", orders(500, 3))
    again = ms.monitor_data("orders", orders(500, 2, 1.0))
    assert (first.again, again.again) == (False, True)
    assert again.window.id == first.window.id
    assert again.why == first.why
    other = ms.monitor_data("orders", orders(500, 2, 1.0), batch="tuesday")
    assert other.window.id != first.window.id


def test_a_baseline_that_is_named_is_what_the_first_rows_are_judged_by(tmp_path):
    orders(2_000, 0).write_csv(tmp_path / "then.csv")
    moved = ms.monitor_data("orders", orders(500, 1, 1.0), baseline=tmp_path / "then.csv")
    assert moved.why == "drift: amount"
    orders(500, 2).write_parquet(tmp_path / "now.parquet")
    assert ms.monitor_data("orders", tmp_path / "now.parquet").verdict == "quiet"


def test_odd_rows_have_a_verdict():
    ms.monitor_data("orders", orders(2_000, 0))
    few = ms.monitor_data("orders", orders(3, 1))
    assert few.verdict == "too few rows"
    assert "200 are needed" in few.why
    gone = orders(500, 2).with_columns(amount=pl.lit(None, dtype=pl.Float64))
    assert ms.monitor_data("orders", gone).alarming
    assert ms.monitor_data("orders", orders(500, 3).drop("amount")).alarming
    more = ms.monitor_data("orders", orders(500, 4).with_columns(new=pl.lit(1)))
    assert more.verdict in ("quiet", "alarm")
    with pytest.raises(BadInputError, match="has no rows"):
        ms.monitor_data("orders", orders(0, 1))


def test_a_policy_is_kept_and_may_change():
    ms.monitor_data("orders", orders(2_000, 0), policy=ms.Monitor("batch", min_rows=1_000))
    assert ms.monitor_data("orders", orders(500, 1)).verdict == "too few rows"
    eager = ms.Monitor("batch", min_rows=100)
    assert ms.monitor_data("orders", orders(500, 2), policy=eager).verdict == "quiet"
    assert ms.monitor_data("orders", orders(500, 3)).verdict == "quiet"


def test_what_it_cannot_do_it_refuses(monkeypatch):
    with pytest.raises(BadInputError, match="window of their own"):
        ms.monitor_data("orders", orders(10, 0), policy=MonitorPolicy())
    with pytest.raises(BadInputError, match="There is no 'nope'"):
        ms.monitor_data("orders", orders(10, 0), nope="x")
    then = orders(500, 0).with_columns(score=pl.lit(0.5))
    ms.create_monitor("daily", then, policy=ms.Monitor("1d"))
    with pytest.raises(ConflictError, match="by time or count"):
        ms.monitor_data("daily", orders(10, 0))
    monkeypatch.setenv("MAINSPRING_URL", "http://127.0.0.1:1")
    with pytest.raises(BadInputError, match="names a server"):
        ms.monitor_data("orders", orders(10, 0))


def test_steps_that_run_at_once_have_a_window_each():
    ms.monitor_data("orders", orders(2_000, 0))
    sizes = [400, 500, 600, 700]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda n: ms.monitor_data("orders", orders(n, n)), sizes))
    assert [one.window.rows for one in seen] == sizes
    assert len({one.window.id for one in seen}) == 4

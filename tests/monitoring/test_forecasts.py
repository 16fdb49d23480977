"""Forecasts are judged against the naive, in their ranges and by horizon."""

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.labelled import BINARY, NUMBER, POLICY, sight

from mainspring.ground.objects import Forecast, MonitorPolicy
from mainspring.monitoring.forecasts import forecasts

DECLARED = Forecast(horizon="days", lower="low", upper="high", naive="last", coverage=0.9)
FORECAST = msgspec.structs.replace(POLICY, forecast=DECLARED)


def ahead(count: int, seed: int, scatter: float = 2.0, far: float = 1.0) -> pl.DataFrame:
    """Return forecasts one to three days ahead, whose errors grow with the horizon."""
    rng = np.random.default_rng(seed)
    days = rng.integers(1, 4, count)
    said = rng.gamma(5, 8, count)
    error = rng.normal(0, 1, count) * scatter * np.where(days == 3, far, 1.0)
    return pl.DataFrame(
        {
            "_id": [f"{seed:08x}-{n}" for n in range(count)],
            "_time": np.linspace(0, 999, count),
            "_version": np.full(count, 3, dtype=np.int64),
            "_score": said,
            "_y": said + error,
            "days": days,
            "low": said - 1.645 * 2.0,
            "high": said + 1.645 * 2.0,
            "last": said + rng.normal(0, 4, count),
        }
    )


def looked(now, before=None, policy: MonitorPolicy = FORECAST, **given):
    kept = ahead(5_000, 99) if before is None else before
    given = {"signature": NUMBER, "loss": 0.04} | given
    found = forecasts(sight(now, kept, policy=policy, **given))
    for one in found:
        assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
    return {one.subject: one for one in found}


def test_good_forecasts_are_quiet_and_have_every_measure():
    now = ahead(3_000, 1)
    found = looked(now)
    assert {one.verdict for one in found.values()} == {"quiet"}
    assert [name for name in found if "/" in name] == [f"wape/days={n}" for n in (1, 2, 3)]
    errors = np.abs(now["_score"] - now["_y"]).to_numpy()
    assert found["wape"].value == pytest.approx(errors.sum() / np.abs(now["_y"]).sum())
    naive = np.abs(now["last"] - now["_y"]).to_numpy()
    assert found["mase"].value == pytest.approx(errors.mean() / naive.mean())
    assert "better than it" in found["mase"].why
    assert found["range_coverage"].value == pytest.approx(0.9, abs=0.02)
    assert found["range_coverage"].low < 0.9 < found["range_coverage"].high
    assert found["forecast_bias"].value == pytest.approx((now["_score"] - now["_y"]).mean())
    assert found["smape"].baseline is not None
    assert found["interval_score"].value > 2 * 1.645 * 2


def test_ranges_that_hold_too_little_are_an_alarm():
    one = looked(ahead(3_000, 2, scatter=3.5))["range_coverage"]
    assert one.verdict == "alarm"
    assert one.value + one.radius < one.line == pytest.approx(0.85)
    assert "90% was said" in one.why


def test_a_horizon_that_got_worse_is_a_notice_of_its_own():
    found = looked(ahead(3_000, 3, far=1.6))
    told = {name: one.verdict for name, one in found.items() if name.startswith("wape/")}
    assert told == {"wape/days=1": "quiet", "wape/days=2": "quiet", "wape/days=3": "notice"}


def test_good_windows_raise_nothing():
    told = [looked(ahead(400, s))["range_coverage"].verdict for s in range(200, 260)]
    assert "alarm" not in told


def test_what_is_not_declared_or_not_there_says_why():
    assert looked(ahead(500, 1), policy=POLICY) == {}
    bare = looked(ahead(500, 1), policy=msgspec.structs.replace(POLICY, forecast=Forecast()))
    assert set(bare) == {"wape", "smape", "mase", "forecast_bias"}
    assert (bare["mase"].value, bare["mase"].verdict) == (None, "not judged")
    assert "naive forecast is declared" in bare["mase"].why
    gone = looked(ahead(500, 1).drop("low", "days"))
    assert "'low'" in gone["range_coverage"].why
    assert "'days'" in gone["wape/days"].why
    few = looked(ahead(50, 1))["range_coverage"]
    assert few.verdict == "too few rows"
    nothing = looked(ahead(500, 1).with_columns(_y=pl.lit(0.0)))
    assert nothing["wape"].value is None
    assert "0 in every row" in nothing["wape"].why
    assert looked(ahead(0, 1))["wape"].verdict == "not judged"
    classes = ahead(500, 1).with_columns(_score=pl.lit(0.5), _y=pl.lit(1, dtype=pl.Int64))
    assert "only numbers" in looked(classes, classes, signature=BINARY)["wape"].why
    text = looked(ahead(500, 1).with_columns(last=pl.lit("none")))
    assert "holds no number" in text["mase"].why

"""Each check of the gate refuses a version that is broken in exactly its way, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from judged import House, failed, world
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from mainspring.ground.objects import Facet
from mainspring.readiness.declaring import Gate

#: No card, and no verdict on times: the machine may be busy.
FREE: dict[str, Any] = {"needs_card": False, "max_latency_ms": 60_000.0}


def test_a_sound_version_passes_every_check_and_its_figures_are_kept(house: House) -> None:
    number = house.register(world(900, 1), columns=["a", "b", "town", "sex"])
    policy = Gate(
        **FREE,
        slices=["town", "a > 1"],
        worst_slice=0.3,
        calibration={"max_ece": 0.05, "slope": (0.7, 1.4)},
        trained_within="30d",
        bias=[Facet(column="sex", disadvantaged=["f"])],
        simpler="tell",
    )
    checks = house.judge(number, world(900, 2), policy)
    assert failed(checks) == []
    assert set(checks) >= {
        "champion",
        "slices",
        "calibration error",
        "calibration slope",
        "baselines",
        "data contract",
        "freshness",
        "latency",
        "robustness",
        "bias sex = f",
    }
    for name in ("bias sex = f", "slices", "baselines"):
        opened = checks[name].opens[0]
        assert house.ws.objects.has(opened.removeprefix("artifact:"))
    told = house.evidence(number, "attribution")
    assert told is not None
    assert [one["column"] for one in told.detail["columns"]][:2] == ["a", "b"]
    assert told.opens[0].startswith("gate:")
    report = house.evidence(number, "bias")
    assert report is not None
    assert report.passed
    assert checks["bias sex = f"].opens[1] == f"evidence:{report.id}"
    assert house.ws.objects.has(report.opens[1].removeprefix("artifact:"))


def test_a_version_that_lost_one_town_is_refused_for_it_though_nobody_declared_it(
    house: House,
) -> None:
    sound = world(1200, 1)
    broken = sound.with_columns(
        y=pl.when(pl.col("town") == "west").then(1 - pl.col("y")).otherwise(pl.col("y"))
    )
    inputs = {"columns": ["a", "b", "town"]}
    house.promote(house.register(sound, **inputs))
    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=10, random_state=0)
    number = house.register(broken, tree, **inputs)
    fresh = world(1200, 3)
    checks = house.judge(number, fresh, Gate(**FREE, tolerance=0.3, baselines=False))
    assert failed(checks) == ["slices"]
    assert "town=west" in checks["slices"].found
    assert "found by search" in checks["slices"].found
    asked = Gate(**FREE, tolerance=0.3, baselines=False, slices=["town"], search_slices=False)
    checks = house.judge(number, fresh, asked)
    assert failed(checks) == ["slices"]
    assert checks["slices"].found.startswith("town=west")


def test_a_slice_that_cannot_be_read_is_refused_by_name(house: House) -> None:
    number = house.register(world(300, 1))
    checks = house.judge(number, world(300, 2), Gate(**FREE, slices=["carrier"]))
    assert failed(checks) == ["slices"]
    assert "carrier" in checks["slices"].found


def test_a_version_that_is_too_sure_of_itself_is_refused(house: House) -> None:
    rows = world(900, 1)
    number = house.register(rows, DecisionTreeClassifier(random_state=0))
    policy = Gate(**FREE, calibration=0.05, baselines=False, robustness=False)
    checks = house.judge(number, world(900, 2), policy)
    assert failed(checks) == ["calibration error"]
    assert checks["calibration error"].evidence["ece_low"] > 0.05


def test_a_version_worse_than_a_constant_is_refused(house: House) -> None:
    rows = world(900, 1)
    upside_down = rows.with_columns(y=1 - pl.col("y"))
    number = house.register(upside_down, kept=rows)
    checks = house.judge(number, world(900, 2), Gate(**FREE))
    assert failed(checks) == ["baselines"]
    assert "worse than the constant" in checks["baselines"].found


def test_a_forest_that_a_line_equals_is_told_and_refused_only_where_asked(house: House) -> None:
    number = house.register(world(900, 1))
    fresh = world(900, 2)
    checks = house.judge(number, fresh, Gate(**FREE))
    assert failed(checks) == []
    assert "the simpler one may do" in checks["baselines"].found
    assert failed(house.judge(number, fresh, Gate(**FREE, simpler="refuse"))) == ["baselines"]


def test_a_version_of_old_rows_is_refused(house: House) -> None:
    number = house.register(world(300, 1))
    later = world(300, 2).with_columns(t=pl.col("t") + 31 * 86_400)
    assert failed(house.judge(number, later, Gate(**FREE, trained_within="30d"))) == ["freshness"]
    assert failed(house.judge(number, later, Gate(**FREE, trained_within="32d"))) == []


def test_a_version_that_flips_at_a_breath_is_refused(house: House) -> None:
    rng = np.random.default_rng(0)
    rows = world(3000, 1).with_columns(b=pl.Series(rng.normal(0, 1e3, 3000)))
    near = rows.with_columns(y=pl.Series(rng.integers(0, 2, 3000)))
    number = house.register(near, KNeighborsClassifier(1), columns=["b"])
    policy = Gate(**FREE, baselines=False, robustness={"noise": 0.01})
    checks = house.judge(number, rows.head(300), policy)
    assert failed(checks) == ["robustness"]
    assert "noise" in checks["robustness"].found


def test_an_unfair_version_is_refused_by_its_declared_facet(house: House) -> None:
    rows = world(900, 1)
    favour = rows.with_columns(y=(pl.col("sex") == "m").cast(pl.Int64))
    number = house.register(favour, columns=["a", "b", "sex"], kept=rows)
    policy = Gate(
        **FREE, baselines=False, robustness=False, bias=[Facet(column="sex", disadvantaged=["f"])]
    )
    checks = house.judge(number, favour, policy)
    assert failed(checks) == ["bias sex = f"]
    assert "DPPL" in checks["bias sex = f"].found
    kept = house.evidence(number, "bias")
    assert kept is not None
    assert kept.passed is False


def test_a_facet_that_no_row_holds_is_not_passed(house: House) -> None:
    number = house.register(world(300, 1))
    policy = Gate(**FREE, bias=[Facet(column="colour")])
    assert failed(house.judge(number, world(300, 2), policy)) == ["bias colour"]


@pytest.mark.parametrize("better", [True, False])
def test_a_copy_of_the_champion_is_not_better(house: House, better: bool) -> None:
    number = house.register(world(300, 1))
    house.promote(number)
    checks = house.judge(number, world(300, 2), Gate(**FREE, better=better))
    assert failed(checks) == (["champion"] if better else [])


def test_a_regression_is_judged_by_the_same_checks(house: House) -> None:
    number = house.register(world(400, 1), target="z")
    policy = Gate(**FREE, slices=["a"], calibration=0.1)
    checks = house.judge(number, world(400, 2), policy, target="z")
    assert failed(checks) == ["calibration error"]
    assert "a regression says no probability" in checks["calibration error"].found
    assert "better than the constant" in checks["baselines"].found


def test_a_window_of_three_rows_shows_nothing_and_says_so(house: House) -> None:
    number = house.register(world(300, 1))
    house.promote(number)
    few = world(300, 2).head(3)
    checks = house.judge(number, few, Gate(**FREE, slices=["a > 0"]))
    assert failed(checks) == []
    assert "3 paired rows show nothing" in checks["champion"].found
    assert "30 are needed" in checks["baselines"].found
    assert failed(house.judge(number, few, Gate(**FREE, few_rows="refuse"))) == ["champion"]


def test_several_classes_are_judged_by_the_same_checks(house: House) -> None:
    def three(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(y=(pl.col("a") > -0.5).cast(pl.Int64) + (pl.col("a") > 0.5))

    number = house.register(three(world(600, 1)), kind="multiclass")
    policy = Gate(**FREE, slices=["b"], calibration={"max_ece": 0.2, "slope": (0.1, 20)})
    checks = house.judge(number, three(world(600, 2)), policy)
    assert failed(checks) == []
    assert "better than the constant" in checks["baselines"].found
    assert checks["robustness"].evidence["rows"] == 100


def test_rows_of_one_class_show_no_slope_and_say_why(house: House) -> None:
    number = house.register(world(300, 1))
    ones = world(600, 2).filter(pl.col("y") == 1)
    checks = house.judge(number, ones, Gate(**FREE, calibration={"slope": (0.1, 10)}))
    assert "calibration slope" in failed(checks)
    assert "both classes" in checks["calibration slope"].found


def test_a_column_that_is_missing_everywhere_is_borne(house: House) -> None:
    rows = world(300, 1).with_columns(b=pl.lit(None, dtype=pl.Float64))
    filled = make_pipeline(SimpleImputer(keep_empty_features=True), LogisticRegression())
    number = house.register(rows, filled)
    fresh = world(300, 2).with_columns(b=pl.lit(None, dtype=pl.Float64))
    checks = house.judge(number, fresh, Gate(**FREE, slices=["a > 0"]))
    assert failed(checks) == []

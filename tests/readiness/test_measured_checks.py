"""What the checks on slices, calibration, age, load, bias and baselines stop: by hand, by law."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.limits import CalibrationBounds, LoadLimits, RobustnessLimits
from mainspring.ground.objects import DAY_S, CheckResult, Facet, Gate
from mainspring.readiness import gate
from mainspring.readiness.checks import (
    baselines,
    bias,
    calibration,
    freshness,
    load,
    robustness,
    slices,
)
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import (
    BaselineFigures,
    BaselinesMeasured,
    BiasFigures,
    BiasMeasured,
    CalibrationMeasured,
    LoadMeasured,
    LoadRound,
    Measured,
    Probe,
    RobustnessMeasured,
    SliceFigures,
    SlicesMeasured,
)

SLICE = SliceFigures(
    name="town=west",
    rows=100,
    loss=0.30,
    low=0.26,
    high=0.34,
    champion_loss=0.20,
    difference=0.10,
    difference_low=0.06,
    difference_high=0.14,
)
ROUND = LoadRound(requests=200, errors=0, seconds=0.25, p50_ms=1.0, p95_ms=3.0, p99_ms=5.0)
LOAD = LoadMeasured(
    connections=4,
    requests=200,
    p50_ms=1.0,
    p95_ms=3.0,
    p99_ms=5.0,
    rps=800.0,
    memory_mb=120.0,
    cold_start_s=0.9,
    rounds=[ROUND],
    form="onnx",
)


def _of(check: Any, policy: Gate, at: float | None = None, **measured: Any) -> list[CheckResult]:
    found: list[CheckResult] = check.check(
        GateInputs(measured=Measured(**measured), at=at), policy
    )
    return found


def _one(check: Any, policy: Gate, at: float | None = None, **measured: Any) -> CheckResult:
    (result,) = _of(check, policy, at, **measured)
    assert msgspec.json.decode(msgspec.json.encode(result), type=CheckResult) == result
    return result


def test_what_nobody_declared_and_nobody_measured_says_nothing() -> None:
    names = [one.name for one in gate.judge(GateInputs(), Gate(needs_card=False))]
    assert names == ["champion", "data contract", "latency"]


# ---------------------------------------------------------------- slices


@pytest.mark.parametrize(
    ("policy", "passes"),
    [
        (Gate(slice_tolerance=0.05), False),
        (Gate(slice_tolerance=0.06), True),
        (Gate(slice_tolerance=1.0, worst_slice=0.25), False),
        (Gate(slice_tolerance=1.0, worst_slice=0.26), True),
    ],
)
def test_a_slice_fails_only_if_its_lower_end_lies_above_the_line(
    policy: Gate, passes: bool
) -> None:
    result = _one(slices, policy, slices=SlicesMeasured(slices=[SLICE]))
    assert result.passed is passes
    assert "town=west (100 rows) loses 0.3000 (0.2600 to 0.3400)" in result.found


def test_small_slices_are_named_and_not_judged() -> None:
    few = SliceFigures(name="town=inn", rows=3, why="3 rows, 30 are needed")
    calm = msgspec.structs.replace(SLICE, difference_low=-0.1)
    result = _one(slices, Gate(), slices=SlicesMeasured(slices=[few, calm], looked=12))
    assert result.passed
    assert "too few rows: town=inn" in result.found
    assert "12 searched" in result.found


def test_declared_slices_without_a_fresh_row_pass_and_say_why() -> None:
    result = _one(slices, Gate(slices=["town"]), slices=SlicesMeasured(why="no fresh row"))
    assert (result.passed, result.found) == (True, "no fresh row")
    assert _of(slices, Gate(), slices=SlicesMeasured(why="no fresh row")) == []


def test_a_slice_that_cannot_be_read_fails() -> None:
    result = _one(slices, Gate(), slices=SlicesMeasured(unread=["carrier: no such column"]))
    assert not result.passed
    assert result.found == "slice carrier: no such column"


# ---------------------------------------------------------------- calibration


@pytest.mark.parametrize(
    ("bounds", "failing"),
    [
        (CalibrationBounds(max_ece=0.05), []),
        (CalibrationBounds(max_ece=0.03), ["calibration error"]),
        (CalibrationBounds(slope=(0.8, 1.25)), []),
        (CalibrationBounds(slope=(0.95, 1.25)), ["calibration slope"]),
        (CalibrationBounds(slope=(0.2, 0.6)), ["calibration slope"]),
        (CalibrationBounds(max_ece=0.05, slope=(0.95, 2)), ["calibration slope"]),
    ],
)
def test_calibration_fails_only_where_the_interval_leaves_the_bound(
    bounds: CalibrationBounds, failing: list[str]
) -> None:
    found = CalibrationMeasured(
        rows=500, ece=0.06, ece_low=0.04, ece_high=0.08, slope=0.8, slope_low=0.7, slope_high=0.9
    )
    results = _of(calibration, Gate(calibration=bounds), calibration=found)
    assert [one.name for one in results if not one.passed] == failing


def test_a_calibration_that_was_not_measured_does_not_pass() -> None:
    policy = Gate(calibration=CalibrationBounds(max_ece=1, slope=(0, 9)))
    told = _of(calibration, policy)
    assert [one.passed for one in told] == [False, False]
    told = _of(calibration, policy, calibration=CalibrationMeasured(why="a regression"))
    assert [one.found for one in told] == ["not measured: a regression"] * 2


# ---------------------------------------------------------------- freshness


@pytest.mark.parametrize(("days", "passes"), [(29.0, True), (30.0, True), (31.0, False)])
def test_the_newest_training_row_lies_within_what_was_declared(
    new_version: Any, days: float, passes: bool
) -> None:
    inputs = GateInputs(
        measured=Measured(fresh_until=100 * DAY_S),
        version=new_version(trained_until=(100 - days) * DAY_S),
        at=500 * DAY_S,
    )
    (result,) = freshness.check(inputs, Gate(trained_within_s=30 * DAY_S))
    assert result.passed is passes
    assert f"{days:.2f} days before the newest fresh row" in result.found


def test_without_a_fresh_row_the_time_of_the_gate_counts(new_version: Any) -> None:
    inputs = GateInputs(version=new_version(trained_until=10 * DAY_S), at=50 * DAY_S)
    (result,) = freshness.check(inputs, Gate(trained_within_s=30 * DAY_S))
    assert not result.passed
    assert result.found == "trained until 40.00 days before the gate"


def test_rows_that_bear_no_time_are_not_new(new_version: Any) -> None:
    inputs = GateInputs(version=new_version(), at=1.0)
    (result,) = freshness.check(inputs, Gate(trained_within_s=1))
    assert (result.passed, result.found) == (False, "its training rows bear no time")


# ---------------------------------------------------------------- load


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (LoadLimits(), ""),
        (LoadLimits(max_p99_ms=5, max_p95_ms=3, max_memory_mb=120, max_cold_start_s=0.9), ""),
        (LoadLimits(least_rps=800), ""),
        (LoadLimits(max_p99_ms=4.9), "p99 5 ms, more than 4.9"),
        (LoadLimits(max_p95_ms=2), "p95 3 ms, more than 2"),
        (LoadLimits(max_memory_mb=100), "memory 120 MB, more than 100"),
        (LoadLimits(max_cold_start_s=0.5), "cold start 0.9 s, more than 0.5"),
        (LoadLimits(least_rps=801), "800 answers a second, fewer than 801"),
    ],
)
def test_each_limit_of_a_load_test_is_kept_or_named(limits: LoadLimits, words: str) -> None:
    result = _one(load, Gate(load=limits), load=LOAD)
    assert result.passed is (not words)
    assert words in result.found


def test_a_request_that_failed_fails_the_load_test() -> None:
    broken = msgspec.structs.replace(LOAD, errors=1)
    result = _one(load, Gate(load=LoadLimits()), load=broken)
    assert (result.passed, result.found) == (False, "1 requests were not answered")


def test_a_load_that_was_not_measured_does_not_pass() -> None:
    assert not _one(load, Gate(load=LoadLimits())).passed
    away = msgspec.structs.replace(LOAD, memory_mb=None)
    told = _one(load, Gate(load=LoadLimits(max_memory_mb=1e9)), load=away)
    assert told.found == "memory was not measured"
    assert _one(load, Gate(load=LoadLimits()), load=away).passed


# ---------------------------------------------------------------- bias


def test_each_comparison_is_a_check_with_the_report_to_open() -> None:
    fair = BiasFigures(subject="sex = f", found="0 of 9 figures")
    unfair = BiasFigures(subject="age < 30", outside=["DPPL 0.4"], found="1 of 9 figures")
    unknown = BiasFigures(subject="town", judged=False, found="Not judged")
    found = BiasMeasured(comparisons=[fair, unfair, unknown], rows=900, report="d" * 64)
    results = _of(bias, Gate(bias=[Facet(column="sex")]), bias=found)
    assert [(one.name, one.passed) for one in results] == [
        ("bias sex = f", True),
        ("bias age < 30", False),
        ("bias town", False),
    ]
    assert results[0].opens == [f"artifact:{'d' * 64}"]
    assert _of(bias, Gate(), bias=found) == []


def test_bias_that_was_not_measured_does_not_pass() -> None:
    assert not _one(bias, Gate(bias=[Facet(column="sex")])).passed


# ---------------------------------------------------------------- baselines


def _beside(name: str, low: float, high: float) -> BaselineFigures:
    return BaselineFigures(
        name=name, loss=0.2, difference=(low + high) / 2, low=low, high=high, learnt=900
    )


@pytest.mark.parametrize(
    ("constant", "linear", "simpler", "passes"),
    [
        ((-0.2, -0.1), (-0.2, -0.1), "tell", True),
        ((-0.2, 0.1), (-0.2, -0.1), "tell", True),  # perhaps no better than a constant
        ((0.01, 0.1), (-0.2, -0.1), "tell", False),  # surely worse than a constant
        ((-0.2, -0.1), (-0.1, 0.1), "tell", True),
        ((-0.2, -0.1), (-0.1, 0.1), "refuse", False),
        ((-0.2, -0.1), (0.1, 0.2), "refuse", False),
        ((-0.2, -0.1), (-0.2, -0.1), "refuse", True),
    ],
)
def test_a_constant_must_not_surely_be_better_and_a_simpler_model_only_where_asked(
    constant: Any, linear: Any, simpler: Any, passes: bool
) -> None:
    found = BaselinesMeasured(
        rows=100,
        candidate_loss=0.1,
        models=[_beside("constant", *constant), _beside("linear", *linear)],
    )
    result = _one(baselines, Gate(simpler=simpler), baselines=found)
    assert result.passed is passes


def test_baselines_without_rows_pass_unless_the_proof_was_asked_for() -> None:
    few = BaselinesMeasured(rows=3, why="3 labelled fresh rows, 30 are needed")
    assert _one(baselines, Gate(), baselines=few).passed
    assert not _one(baselines, Gate(simpler="refuse"), baselines=few).passed
    gone = BaselineFigures(name="linear", why="its training rows are not kept")
    found = BaselinesMeasured(rows=90, models=[_beside("constant", -1, -1), gone])
    assert _one(baselines, Gate(), baselines=found).passed
    told = _one(baselines, Gate(simpler="refuse"), baselines=found)
    assert "no linear model to compare with: its training rows are not kept" in told.found
    assert not told.passed


# ---------------------------------------------------------------- laws


@settings(max_examples=60)
@given(
    low=st.floats(-0.5, 0.5), width=st.floats(0, 0.5), line=st.floats(0, 0.5), more=st.floats(0, 1)
)
def test_a_wider_tolerance_never_refuses_a_slice_that_a_narrower_one_passed(
    low: float, width: float, line: float, more: float
) -> None:
    one = msgspec.structs.replace(
        SLICE, difference=low + width / 2, difference_low=low, difference_high=low + width
    )
    found = SlicesMeasured(slices=[one])
    strict = _one(slices, Gate(slice_tolerance=line), slices=found)
    loose = _one(slices, Gate(slice_tolerance=line + more), slices=found)
    assert loose.passed or not strict.passed


@settings(max_examples=60)
@given(figure=st.floats(0.01, 1e6), limit=st.floats(0.01, 1e6), more=st.floats(0, 1e6))
def test_a_higher_limit_never_refuses_a_load_that_a_lower_one_passed(
    figure: float, limit: float, more: float
) -> None:
    found = msgspec.structs.replace(LOAD, p99_ms=figure)
    strict = _one(load, Gate(load=LoadLimits(max_p99_ms=limit)), load=found)
    loose = _one(load, Gate(load=LoadLimits(max_p99_ms=limit + more)), load=found)
    assert strict.passed is (figure <= limit)
    assert loose.passed or not strict.passed


@settings(max_examples=60)
@given(hit=st.integers(0, 100), most=st.floats(0, 1))
def test_small_changes_fail_exactly_above_the_declared_share(hit: int, most: float) -> None:
    probe = Probe(kind="noise", column="", rows=100, flipped=0, moved=hit)
    found = RobustnessMeasured(rows=100, probes=[probe])
    policy = Gate(robustness=RobustnessLimits(max_moved=most))
    result = _one(robustness, policy, robustness=found)
    assert result.passed is (hit <= most * 100)


def test_no_figure_of_a_check_is_a_number_that_json_does_not_know() -> None:
    found = SlicesMeasured(slices=[SLICE, SliceFigures(name="x", rows=1, why="few")])
    text = msgspec.json.encode(_one(slices, Gate(), slices=found))
    assert b"NaN" not in text
    assert math.isfinite(SLICE.loss or 0)

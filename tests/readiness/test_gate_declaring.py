"""A gate is declared in words a user types; what it cannot be is refused by its field."""

from typing import Any

import pytest

import mainspring as ms
from mainspring.ground import objects
from mainspring.ground.errors import BadInputError
from mainspring.ground.limits import CalibrationBounds, LoadLimits, RobustnessLimits
from mainspring.ground.objects import Facet
from mainspring.readiness.declaring import Gate, checked


def test_a_gate_that_says_nothing_is_the_default_gate():
    assert ms.Gate() == objects.Gate()


def test_whole_numbers_are_bounds_too():
    assert ms.Gate(at_most={"mae": 12}).at_most == {"mae": 12.0}


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_latency_that_nobody_can_keep_is_refused(limit):
    with pytest.raises(BadInputError, match="max_latency_ms") as told:
        ms.Gate(max_latency_ms=limit)
    assert told.value.field == "max_latency_ms"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"worst_slice": 1.5}, "worst_slice"),
        ({"slices": "carrier"}, "slices"),
        ({"slices": [" "]}, "slices"),
        ({"slice_tolerance": -1}, "slice_tolerance"),
        ({"margin": -0.1}, "margin"),
        ({"few_rows": "maybe"}, "few_rows"),
        ({"simpler": "never"}, "simpler"),
        ({"calibration": 2}, "calibration.max_ece"),
        ({"calibration": {}}, "calibration"),
        ({"calibration": {"ece": 0.1}}, "calibration"),
        ({"calibration": {"slope": (2, 1)}}, "calibration.slope"),
        ({"trained_within": "soon"}, "trained_within"),
        ({"load": {"p99": 3}}, "load.p99"),
        ({"load": {"max_p99_ms": -3}}, "load.max_p99_ms"),
        ({"load": {"rounds": 0}}, "load.rounds"),
        ({"load": {"connections": 1000}}, "load.connections"),
        ({"robustness": {"max_moved": 2}}, "robustness.max_moved"),
        ({"robustness": {"rows": 1_000_000}}, "robustness.rows"),
        ({"bias": ["sex"]}, "bias"),
    ],
)
def test_what_a_gate_cannot_measure_is_refused_by_its_field(given: Any, field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        Gate(**given)
    assert refused.value.field == field


def test_what_is_measured_is_declared_by_words_and_by_tables_of_a_file() -> None:
    found = Gate(
        calibration=0.05,
        trained_within="30d",
        load={"max_p99_ms": 20, "requests": 50},
        robustness=False,
        bias=[{"column": "sex", "disadvantaged": ["f"]}],
    )
    assert (found.calibration.max_ece, found.calibration.slope) == (0.05, None)
    assert found.trained_within_s == 30 * 86_400
    assert (found.load.max_p99_ms, found.load.requests, found.load.rounds) == (20.0, 50, 3)
    assert found.robustness is None
    assert found.bias == [Facet(column="sex", disadvantaged=["f"])]
    assert checked(found) is found


@pytest.mark.parametrize(
    "wrong",
    [
        objects.Gate(max_latency_ms=0),
        objects.Gate(worst_slice=7),
        objects.Gate(slice_tolerance=-1),
        objects.Gate(load=LoadLimits(rounds=1000)),
        objects.Gate(robustness=RobustnessLimits(rows=10**9)),
        objects.Gate(calibration=CalibrationBounds()),
        objects.Gate(calibration=CalibrationBounds(max_ece=7)),
    ],
    ids=lambda _: "gate",
)
def test_a_gate_from_elsewhere_must_be_one_that_the_words_would_make(wrong: Any) -> None:
    with pytest.raises(BadInputError):
        checked(wrong)

"""What the gate says of the rows that a version learnt from."""

from __future__ import annotations

from typing import Any

import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Evidence, Gate, Signature, Version
from mainspring.readiness.checks import learnt
from mainspring.readiness.inputs import GateInputs

VERSION = Version(
    model="tide", number=4, run=None, package="0" * 64, card=None, metrics={}, created=0.0, by="x",
    signature=Signature(columns=[], kind="binary", target="y"),
)  # fmt: skip
LEAK = {"kind": "copy", "column": "paid", "sure": True, "found": "paid is the target."}
DOUBT = {"kind": "alone", "column": "a", "sure": False, "found": "a alone tells it."}
LOOP = {
    "found": "80% were answered.", "warning": "Feedback loop: 60% of the rows.",
    "shaped_share": [0.6, 0.5, 0.7], "served_share": 0.8,
}  # fmt: skip


def results(gate: Gate, detail: dict[str, Any] | None, subject: str = "tide/4") -> dict[str, Any]:
    told = Evidence(
        id="ev_1", kind="training_set", subject=subject, passed=None, found="x", at=0.0, by="e",
        detail=detail or {},
    )  # fmt: skip
    inputs = GateInputs(version=VERSION, evidence=[told] if detail is not None else [])
    return {one.name: one for one in learnt.check(inputs, gate)}


def test_a_version_that_no_loop_made_is_not_asked() -> None:
    assert results(Gate(), None) == {}
    assert results(Gate(), {"leaks": [LEAK]}, subject="tide/3") == {}


def test_what_leaks_is_told_and_refused_only_where_asked() -> None:
    told = results(Gate(), {"leaks": [LEAK, DOUBT]})["leaks"]
    assert (told.passed, told.found) == (True, "WARNING: paid is the target.; 1 to look at")
    assert told.opens == ["evidence:ev_1"]
    assert not results(Gate(leaks="refuse"), {"leaks": [LEAK]})["leaks"].passed
    assert results(Gate(leaks="refuse"), {"leaks": [DOUBT]})["leaks"].passed
    assert results(Gate(), {"leaks": []})["leaks"].found == "none is sure"


def test_a_feedback_loop_is_never_silent_and_refused_above_a_limit() -> None:
    told = results(Gate(), {"feedback": LOOP})["feedback"]
    assert (told.passed, told.found) == (True, "WARNING: Feedback loop: 60% of the rows.")
    assert not results(ms.Gate(max_feedback_share=0.4), {"feedback": LOOP})["feedback"].passed
    # 60 % as estimated, but surely only 50 %.
    assert results(ms.Gate(max_feedback_share=0.55), {"feedback": LOOP})["feedback"].passed
    quiet = {**LOOP, "warning": "", "shaped_share": None}
    assert results(ms.Gate(max_feedback_share=0.1), {"feedback": quiet})["feedback"].passed


def test_where_it_is_asked_for_and_nobody_looked_it_does_not_pass() -> None:
    found = results(ms.Gate(leaks="refuse", max_feedback_share=0.1), None)
    assert {name: one.passed for name, one in found.items()} == {"leaks": False, "feedback": False}


@pytest.mark.parametrize("given", [{"leaks": "perhaps"}, {"max_feedback_share": 1.5}])
def test_what_a_gate_cannot_ask_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadInputError) as refused:
        ms.Gate(**given)
    assert refused.value.field == next(iter(given))

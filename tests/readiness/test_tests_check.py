"""The gate's check of the project's tests: of exactly this code, lately, and of enough of it."""

import msgspec

from mainspring.ground.objects import Evidence, Gate, Signature, Version
from mainspring.readiness.checks import tests as checking
from mainspring.readiness.inputs import GateInputs

DAY = 86_400.0
NOW = 100 * DAY
STEPS = {"project:load": "aa", "project:train": "bb"}
VERSION = Version(
    model="tide",
    number=1,
    run="run_1",
    package="",
    signature=Signature(columns=[], kind="binary", target="y"),
    card=None,
    metrics={},
    created=0.0,
    by="ada",
    code="c0de",
)
RAN = Evidence(
    id="ev_1",
    kind="tests",
    subject="pipeline:project:tide",
    passed=True,
    found="3 tests passed in 1.0 s",
    at=NOW - DAY,
    by="ci",
    code="c0de",
    detail={"steps": STEPS, "lines": {"project:load": [1, 2], "project:train": [3, 3]}},
    opens=["artifact:ff"],
)


def judged(*known: Evidence, policy: Gate | None = None, version: Version | None = VERSION):
    inputs = GateInputs(version=version, evidence=known, now=NOW, steps=STEPS)
    [found] = checking.check(inputs, policy or Gate(tests=True))
    return found


def test_nothing_is_said_where_nothing_was_asked() -> None:
    assert checking.check(GateInputs(version=VERSION, now=NOW), Gate()) == []


def test_tests_of_exactly_this_code_pass_and_can_be_opened() -> None:
    found = judged(RAN)
    assert (found.passed, found.found) == (True, "3 tests passed in 1.0 s")
    assert found.opens == ["evidence:ev_1", "artifact:ff"]
    assert found.evidence == {"share": 0.8}


def test_another_graph_of_the_same_steps_is_the_same_code() -> None:
    assert judged(msgspec.structs.replace(RAN, code="other")).passed


def test_tests_of_other_code_do_not_count_and_the_step_is_named() -> None:
    moved = {"steps": {**STEPS, "project:train": "xx"}}
    found = judged(msgspec.structs.replace(RAN, code="other", detail=moved))
    assert not found.passed
    assert found.found == ("the tests ran on other code: train differs; run them: mainspring test")


def test_the_tests_of_older_code_do_not_hide_those_of_this_one() -> None:
    newer = msgspec.structs.replace(RAN, id="ev_2", code="new", at=NOW, passed=False, detail={})
    assert judged(newer, RAN).passed


def test_the_newest_tests_of_this_code_count() -> None:
    newer = msgspec.structs.replace(RAN, id="ev_2", at=NOW, passed=False, found="1 test failed")
    assert (judged(RAN, newer).passed, judged(RAN, newer).found) == (False, "1 test failed")


def test_what_passed_long_ago_does_not_count() -> None:
    old = msgspec.structs.replace(RAN, at=NOW - 31 * DAY)
    assert "but that was 31 days ago" in judged(old).found
    assert not judged(old).passed
    assert judged(old, policy=Gate(tests=True, proof_age_s=32 * DAY)).passed


def test_enough_of_the_lines_must_have_run() -> None:
    assert judged(RAN, policy=Gate(tests=True, tests_share=0.8)).passed
    short = judged(RAN, policy=Gate(tests=True, tests_share=0.81))
    assert (short.passed, short.found) == (False, "3 tests passed in 1.0 s; 80% of its lines ran")
    unknown = msgspec.structs.replace(RAN, detail={"steps": STEPS})
    assert "not noted" in judged(unknown, policy=Gate(tests=True, tests_share=0.1)).found


def test_a_version_that_no_pipeline_made_cannot_be_shown_to_be_tested() -> None:
    for version in (None, msgspec.structs.replace(VERSION, code="")):
        found = judged(RAN, version=version)
        assert (found.passed, "no pipeline" in found.found) == (False, True)
    assert "no tests ran on this code" in judged().found

"""What a test run says of itself is read with care, and told with figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.readiness import suites

JUNIT = b"""<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase classname="tests.test_a" name="test_one" time="0.5"/>
<testcase classname="tests.test_a" name="test_two" time="1.5"><failure/></testcase>
<testcase classname="tests.test_b" name="test_three" time="0.25"><skipped/></testcase>
<testcase classname="tests.test_b" name="test_four" time="nan"><error message="x"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted_by_how_its_tests_ended() -> None:
    found = suites.read(JUNIT)
    assert (found.tests, found.passed, found.failed, found.skipped) == (4, 1, 2, 1)
    assert found.seconds == 2.25
    assert found.broken == ["tests.test_a::test_two", "tests.test_b::test_four"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not xml", "no JUnit XML"),
        (b"<html/>", "its root is html"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>', "no document type"),
        (b"", "no JUnit XML"),
    ],
    ids=["text", "html", "doctype", "empty"],
)
def test_what_is_no_report_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        suites.read(data)


def test_a_report_beyond_its_budget_is_refused() -> None:
    with pytest.raises(TooLargeError, match="at most"):
        suites.read(b" " * (suites.MOST_BYTES + 1))


GOOD = suites.Suite(tests=3, passed=3, failed=0, skipped=0, seconds=1.0)


def test_tests_pass_when_some_did_none_failed_and_the_code_stood_still() -> None:
    lines = {"project:load": (3, 4), "project:train": (5, 6)}
    assert suites.verdict(GOOD, 0, False, lines) == (
        True,
        "3 tests passed in 1.0 s; 80% of the lines of 2 steps ran",
    )
    assert suites.verdict(GOOD, 0, True, {}) == (
        False,
        "3 tests passed in 1.0 s; the code changed while they ran",
    )
    assert suites.verdict(GOOD, 2, False, {}) == (
        False,
        "3 tests passed in 1.0 s; pytest ended with exit code 2",
    )
    nothing = suites.Suite(tests=2, passed=0, failed=0, skipped=2, seconds=0.0)
    assert suites.verdict(nothing, 0, False, {}) == (False, "no test passed, 2 were skipped")
    empty = suites.Suite(tests=0, passed=0, failed=0, skipped=0, seconds=0.0)
    assert suites.verdict(empty, 5, False, {}) == (False, "no test passed")


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.sampled_from([0, 1, 2, 5]))
def test_a_failed_test_is_never_a_pass(passed: int, failed: int, skipped: int, code: int) -> None:
    suite = suites.Suite(
        tests=passed + failed + skipped, passed=passed, failed=failed, skipped=skipped, seconds=0
    )
    ok, told = suites.verdict(suite, code, False, {})
    assert ok == (failed == 0 and passed > 0 and code == 0)
    assert told

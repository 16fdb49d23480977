"""Read what a test run says of itself (JUnit XML), and put it into words.

The XML is of another program's making: its size is bounded, and a document type, by which XML
can be made to grow without end or to read files, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

import msgspec

from mainspring.ground.errors import BadInputError, TooLargeError

MOST_BYTES = 8 << 20
_SHOWN = 5


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """How many tests ran, and how they ended."""

    tests: int  #: all that were collected and not deselected
    passed: int
    failed: int  #: an assertion, or an error around the test
    skipped: int
    seconds: float
    broken: list[str] = []  #: names of those that failed, the first few


def read(junit: bytes) -> Suite:
    """Return what a JUnit file says.

    Raises:
        TooLargeError: if it has more bytes than its budget.
        BadInputError: if it is no JUnit XML, or has a document type.
    """
    if len(junit) > MOST_BYTES:
        raise TooLargeError(
            f"The JUnit file has {len(junit)} bytes; at most {MOST_BYTES} are read.",
            field="junit",
        )
    if b"<!DOCTYPE" in junit or b"<!ENTITY" in junit:
        raise BadInputError("A JUnit file has no document type.", field="junit")
    try:
        root = ElementTree.fromstring(junit)  # noqa: S314  no document type can be in it
    except ElementTree.ParseError as error:
        raise BadInputError(f"This is no JUnit XML: {error}.", field="junit") from error
    if root.tag not in ("testsuites", "testsuite"):
        raise BadInputError(f"This is no JUnit XML: its root is {root.tag[:80]}.", field="junit")
    cases = list(root.iter("testcase"))
    broken = [_name(case) for case in cases if _has(case, "failure", "error")]
    skipped = sum(_has(case, "skipped") for case in cases) - sum(
        _has(case, "skipped") and _has(case, "failure", "error") for case in cases
    )
    return Suite(
        tests=len(cases),
        passed=len(cases) - len(broken) - skipped,
        failed=len(broken),
        skipped=skipped,
        seconds=sum(_seconds(case) for case in cases),
        broken=broken[:_SHOWN],
    )


def verdict(
    suite: Suite, exit_code: int, changed: bool, lines: Mapping[str, tuple[int, int]]
) -> tuple[bool, str]:
    """Return whether the tests of a project passed, and a sentence with the figures.

    ``exit_code`` is pytest's. ``changed``: the code was not the same before and after. ``lines``
    are the lines of each step that ran and those that can run.
    """
    passed = exit_code == 0 and suite.failed == 0 and suite.passed > 0 and not changed
    return passed, "; ".join(_sentences(suite, exit_code, changed, lines))


def share(lines: Mapping[str, tuple[int, int]]) -> float | None:
    """Return which share of the lines of the steps ran; None where nothing was noted."""
    every = sum(can for _, can in lines.values())
    return sum(ran for ran, _ in lines.values()) / every if every else None


def _sentences(
    suite: Suite, exit_code: int, changed: bool, lines: Mapping[str, tuple[int, int]]
) -> Iterator[str]:
    if suite.failed:
        more = f" and {suite.failed - len(suite.broken)} more" if suite.failed > _SHOWN else ""
        yield f"{suite.failed} of {suite.tests} tests failed: {', '.join(suite.broken)}{more}"
    elif not suite.passed:
        yield "no test passed" + (f", {suite.skipped} were skipped" if suite.skipped else "")
    else:
        skipped = f", {suite.skipped} were skipped" if suite.skipped else ""
        yield f"{suite.passed} tests passed in {suite.seconds:.1f} s{skipped}"
    if exit_code not in (0, 1, 5):
        yield f"pytest ended with exit code {exit_code}"
    if changed:
        yield "the code changed while they ran"
    covered = share(lines)
    if covered is not None:
        yield f"{covered:.0%} of the lines of {len(lines)} steps ran"


def _has(case: ElementTree.Element, *words: str) -> bool:
    return any(case.find(word) is not None for word in words)


def _name(case: ElementTree.Element) -> str:
    where = case.get("classname", "")
    return (f"{where}::{case.get('name', '')}" if where else case.get("name", ""))[:200]


def _seconds(case: ElementTree.Element) -> float:
    try:
        found = float(case.get("time", "0").replace(",", ""))
    except ValueError:
        return 0.0
    return found if 0 <= found < 1e9 else 0.0  # neither NaN nor what no test takes

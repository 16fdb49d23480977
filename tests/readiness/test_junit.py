"""JUnit that every CI reads: well-formed, and by the rules of its schema."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.gates import CheckResult, GateResult
from mainspring.readiness import junit
from mainspring.readiness.checklist import Checklist, Item

#: Ant's schema as CI systems read it: element -> (attributes it must have, children it may have).
SCHEMA = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped", "time"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        {"testcase"},
    ),
    "testcase": ({"classname", "name", "time"}, {"failure", "skipped", "system-out"}),
    "failure": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}


def valid(text: str) -> ET.Element:
    """Return a document that keeps the rules, or fail."""
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        needed, children = SCHEMA[element.tag]
        assert set(element.attrib) == needed
        assert {child.tag for child in element} <= children
    for suite in root:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp") or "")
        assert all(len(list(case)) == 1 for case in suite)
        for word, tag in (("failures", "failure"), ("skipped", "skipped")):
            assert int(suite.get(word) or 0) == len(suite.findall(f"testcase/{tag}"))
        assert int(suite.get("tests") or 0) == len(suite.findall("testcase"))
    for word in ("tests", "failures", "errors", "skipped"):
        assert int(root.get(word) or 0) == sum(int(suite.get(word) or 0) for suite in root)
    return root


def judged(*checks: CheckResult) -> GateResult:
    return GateResult(
        id="gate_1",
        model="flights",
        number=7,
        passed=all(c.passed for c in checks),
        checks=list(checks),
        at=0.0,
        by="engine",
        made=1e9,
    )


def test_a_gate_is_a_suite_and_a_check_a_case():
    good = CheckResult(name="metric auc", passed=True, found="auc 0.8", wanted="at least 0.7")
    bad = CheckResult(
        name="card", passed=False, found="no card", wanted="a card", opens=["evidence:ev_1"]
    )
    root = valid(junit.of_gate(judged(good, bad)))
    (suite,) = root
    assert suite.get("name") == "gate flights/7"
    assert [case.get("name") for case in suite] == ["metric auc", "card"]
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "no card, wanted a card"
    assert "evidence:ev_1" in (failure.text or "")


def test_stale_fails_and_not_asked_is_skipped():
    items = [
        Item(name="gate", state="pass", found="yes"),
        Item(name="load", state="stale", found="40 days ago"),
        Item(name="bias", state="fail", found="too far apart"),
        Item(name="sbom", state="not asked", found="the gate asks for none"),
    ]
    told = Checklist(model="flights", number=7, ready=False, at=1e9, items=items)
    root = valid(junit.of_checklist(told))
    assert [next(iter(case)).tag for case in root[0]] == [
        "system-out",
        "failure",
        "failure",
        "skipped",
    ]


def test_a_gate_without_checks_is_an_empty_suite():
    root = valid(junit.of_gate(judged()))
    assert root.get("tests") == "0"


@pytest.mark.parametrize(
    "text", ["a\x00b", "\x1b[31m", "]]>", "<&\"'>", "\ud800", "\ufffe", "a\nb"]
)
def test_what_xml_cannot_hold_does_not_break_the_document(text):
    check = CheckResult(name=text, passed=False, found=text, wanted=text)
    valid(junit.of_gate(judged(check)))


@given(st.lists(st.tuples(st.text(), st.booleans(), st.text()), max_size=5))
def test_any_words_keep_the_rules_and_come_back(several):
    checks = [CheckResult(name=n, passed=p, found=f, wanted="w") for n, p, f in several]
    root = valid(junit.of_gate(judged(*checks)))
    plain = [name for name, _, _ in several]
    shown = [case.get("name") for case in root.iter("testcase")]
    assert shown == [junit._FORBIDDEN.sub("\ufffd", name) for name in plain]

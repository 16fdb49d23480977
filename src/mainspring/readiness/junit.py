"""Write what a gate or a checklist found as JUnit XML, which every CI reads.

The form is the one of Ant's JUnit task that Jenkins, GitLab and GitHub's readers share: a
``testsuites`` of ``testsuite`` of ``testcase``, where a case holds at most one ``failure`` or
``skipped``, and the counts of a suite are those of its cases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import msgspec

from mainspring.ground.clock import iso
from mainspring.ground.gates import GateResult
from mainspring.readiness.checklist import Checklist

#: What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One test case: ``text`` is told of one that failed, was skipped, or passed."""

    name: str
    state: Literal["passed", "failed", "skipped"]
    text: str
    links: Sequence[str] = ()


def of_gate(gate: GateResult) -> str:
    """Return a gate's checks as a JUnit document, a case each."""
    cases = [
        Case(
            name=check.name,
            state="passed" if check.passed else "failed",
            text=f"{check.found}, wanted {check.wanted}",
            links=check.opens,
        )
        for check in gate.checks
    ]
    return document(f"gate {gate.model}/{gate.number}", cases, gate.made or gate.at)


def of_failure(name: str, why: str, at: float = 0.0) -> str:
    """Return as a JUnit document that nothing could be judged, and why: one case that failed."""
    return document(name, [Case(name="run", state="failed", text=why)], at)


def of_checklist(found: Checklist) -> str:
    """Return a production checklist as a JUnit document: stale fails, not asked is skipped."""
    cases = [
        Case(
            name=item.name,
            state="passed"
            if item.state == "pass"
            else "skipped"
            if item.state == "not asked"
            else "failed",
            text=f"{item.state}: {item.found}",
            links=item.opens,
        )
        for item in found.items
    ]
    return document(f"readiness {found.model}/{found.number}", cases, found.at)


def document(suite: str, cases: Sequence[Case], at: float) -> str:
    """Return one suite of cases as a JUnit document.

    >>> print(document("gate m/1", [Case(name="auc", state="passed", text="0.8")], 0.0))
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="mainspring" tests="1" failures="0" errors="0" skipped="0" time="0">
      <testsuite name="gate m/1" tests="1" failures="0" errors="0" skipped="0" time="0" \
timestamp="1970-01-01T00:00:00">
        <testcase classname="gate m/1" name="auc" time="0">
          <system-out>0.8</system-out>
        </testcase>
      </testsuite>
    </testsuites>
    """
    failed = sum(case.state == "failed" for case in cases)
    skipped = sum(case.state == "skipped" for case in cases)
    counts = f'tests="{len(cases)}" failures="{failed}" errors="0" skipped="{skipped}" time="0"'
    stamp = iso(at).removesuffix("Z")
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="mainspring" {counts}>']
    lines.append(f'  <testsuite name={_quoted(suite)} {counts} timestamp="{stamp}">')
    for case in cases:
        lines += _case(suite, case)
    return "\n".join([*lines, "  </testsuite>", "</testsuites>"])


def _case(suite: str, case: Case) -> list[str]:
    told = "\n".join([case.text, *case.links])
    inside = f"<system-out>{_text(told)}</system-out>"
    if case.state == "failed":
        shown = f"message={_quoted(case.text)} type={_quoted('check')}"
        inside = f"<failure {shown}>{_text(told)}</failure>"
    elif case.state == "skipped":
        inside = f"<skipped message={_quoted(case.text)}/>"
    return [
        f'    <testcase classname={_quoted(suite)} name={_quoted(case.name)} time="0">',
        f"      {inside}",
        "    </testcase>",
    ]


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _quoted(text: str) -> str:
    """Return an attribute's value; line ends as references, or a parser makes them spaces."""
    return quoteattr(_FORBIDDEN.sub("\ufffd", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})

"""What a gate and a checklist are told as in Markdown: tables that no cell breaks out of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.gates import CheckResult, GateResult
from mainspring.readiness import telling
from mainspring.readiness.checklist import Checklist, Item


def judged(*checks: CheckResult, **more):
    passed = all(c.passed for c in checks)
    base = {"id": "g", "model": "m", "number": 7, "passed": passed, "checks": list(checks)}
    return GateResult(**{**base, "at": 0.0, "by": "x", **more})


CHECK = CheckResult(
    name="load", passed=True, found="p99 3 ms", wanted="at most 9", opens=["evidence:ev_1"]
)


def test_a_gate_is_a_table_with_links_to_a_server_or_commands():
    text = telling.of_gate(judged(CHECK), 0.0, "http://here:8750")
    assert "### Gate of m/7: passed" in text
    assert "[evidence](http://here:8750/api/v1/evidence/ev_1)" in text
    assert "`mainspring evidence ev_1`" in telling.of_gate(judged(CHECK), 0.0)


@pytest.mark.parametrize(
    ("more", "now", "word"),
    [
        ({"made": 0.0, "until": 10.0}, 9.0, "passed"),
        ({"made": 0.0, "until": 10.0}, 10.0, "passed, but stale"),
        ({"passed": False, "checks": [CheckResult(name="approval", passed=False, found="",
          wanted="")]}, 0.0, "waits for approval"),
        ({"passed": False, "checks": [CheckResult(name="auc", passed=False, found="",
          wanted="")]}, 0.0, "refused"),
    ],
)  # fmt: skip
def test_how_a_gate_stands_is_a_word(more, now, word):
    assert telling.verdict(judged(**more), now) == word


def test_a_checklist_shouts_its_overrides():
    items = [Item(name="gate", state="stale", found="40 days ago", opens=["gate:g"])]
    told = Checklist(
        model="m", number=7, ready=False, at=0.0, items=items, overrides=["anna: try <b>"]
    )
    text = telling.of_checklist(told, "http://here")
    assert "not ready" in text
    assert "> **Override:** anna: try &lt;b&gt;" in text
    assert "[gate](http://here/models/m?version=7#v7)" in text


@given(st.text(), st.text())
def test_no_cell_breaks_out_of_its_table(name, found):
    check = CheckResult(name=name, passed=True, found=found, wanted="w")
    lines = telling.of_gate(judged(check), 0.0).split("\n")
    rows = [line for line in lines if line.startswith("| ✅")]
    assert len(rows) == 1
    assert rows[0].replace("\\\\", "").replace("\\|", "").count("|") == 6


@pytest.mark.parametrize("link", ["run:x) [evil](http://e", "run:a b", "run:`x`|y"])
def test_a_link_is_never_more_than_a_link(link):
    for url in (None, "http://here"):
        shown = telling._links([link], "m/7", url)
        assert "|" not in shown
        in_code = shown.startswith("`") and shown.endswith("`") and shown.count("`") == 2
        assert in_code or shown.count("](") == 1

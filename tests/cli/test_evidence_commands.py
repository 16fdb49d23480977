"""What was tried and measured, seen from the command line."""

import contextlib

from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.readiness import evidence
from mainspring.workspace.opening import open_workspace

LOAD = Evidence(
    id="ev_1",
    kind="load",
    subject="tide/1",
    passed=True,
    found="99 % of 400 requests took 4.1 ms or less.",
    at=0.0,
    by="engine",
    detail={"p99_ms": 4.1, "rounds": [1, 2]},
    opens=["artifact:" + "a" * 64],
)


def test_evidence_is_listed_by_subject_and_kind_and_shown_with_its_figures(say) -> None:
    with contextlib.closing(open_workspace(load({}))) as ws:
        assert "Nothing was tried" in say("evidence").out
        ws.write(Permission.REGISTER, lambda tx: evidence.record(tx, LOAD))
    assert [one["id"] for one in say("evidence", "tide/1", "--json").json] == ["ev_1"]
    assert say("evidence", "tide/1", "--kind", "scan", "--json").json == []
    assert "4.1 ms or less" in say("evidence").out
    shown = say("evidence", "ev_1").out
    assert "p99_ms" in shown
    assert "[1, 2]" in shown
    assert "open: artifact:aaaa" in shown
    missing = say("evidence", "ev_2")
    assert (missing.code, "no evidence 'ev_2'" in missing.err) == (2, True)

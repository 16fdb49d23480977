"""Decisions are written once and read in order; an override opens no way past the gate."""

import pytest

from mainspring.ground.errors import BadInputError, ConflictError, GateRefusedError, NotFoundError
from mainspring.ground.objects import Decision
from mainspring.readiness import decisions, gate, registry


def _decision(number, loop="main", **given):
    base = {"id": f"decision_{number}", "at": float(number), "made": 100.0, "kind": "promote"}
    return Decision(
        **{**base, "subject": "churn/1", "reason": "better", "by": "loop", "loop": loop, **given}
    )


def test_decisions_are_read_newest_first_and_by_loop_or_subject(reg):
    for n in range(5):
        reg.do(decisions.record, _decision(n, loop="odd" if n % 2 else "even", subject=f"s{n}"))
    ids = [d.id for d in reg.do(decisions.list_decisions, limit=3)]
    assert ids == ["decision_4", "decision_3", "decision_2"]
    assert [d.at for d in reg.do(decisions.list_decisions, "odd")] == [3.0, 1.0]
    assert [d.at for d in reg.do(decisions.list_decisions, subject="s2")] == [2.0]


def test_a_decision_comes_back_as_it_was_and_is_kept_once(reg):
    given = _decision(1, evidence={"rows": 3, "who": ["a"]}, cause="alarm:7")
    reg.do(decisions.record, given)
    reg.do(decisions.record, given)
    assert reg.do(decisions.list_decisions) == [given]
    assert reg.do(decisions.get, "decision_1") == given
    with pytest.raises(NotFoundError):
        reg.do(decisions.get, "decision_2")


def test_a_decision_without_a_reason_is_refused(reg):
    with pytest.raises(BadInputError):
        reg.do(decisions.record, _decision(1, reason=" "))


def test_an_override_is_kept_and_opens_no_way_past_the_gate(reg, new_version, gated):
    reg.do(registry.register, new_version())
    reg.do(gate.store_result, gated("churn", 1, passed=False))
    made = reg.as_owner(decisions.override, "churn", 1, "known glitch", at=4.0)
    assert (made.by, made.reason) == ("anna", "known glitch")
    assert reg.do(decisions.overrides_of, "churn", 1) == [made]
    (row,) = [row for row in reg.audited if row[1] == "gate.override"]
    assert (row[0], row[3]["failed"]) == ("anna", ["metric auc"])
    with pytest.raises(GateRefusedError):
        reg.as_owner(registry.promote, "churn", 1, "overridden", at=5.0)


def test_an_override_wants_a_reason_a_version_and_a_refusal(reg, new_version, gated):
    reg.do(registry.register, new_version())
    with pytest.raises(BadInputError):
        reg.as_owner(decisions.override, "churn", 1, "", at=4.0)
    with pytest.raises(NotFoundError):
        reg.as_owner(decisions.override, "churn", 9, "why", at=4.0)
    reg.do(gate.store_result, gated("churn", 1, passed=True))
    with pytest.raises(ConflictError):
        reg.as_owner(decisions.override, "churn", 1, "why", at=4.0)

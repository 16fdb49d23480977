"""The production checklist: what is asked, what shows it, and what is too old to."""

from __future__ import annotations

import msgspec
import pytest

from mainspring.ground.gates import CheckResult, Gate, GateResult
from mainspring.ground.objects import DAY_S, Card, Evidence, LoopSpec, Signature, Version
from mainspring.readiness.checklist import Known, checklist

NOW = 1e9
VERSION = Version(
    model="flights",
    number=7,
    run="run_1",
    package="a" * 64,
    signature=Signature(columns=[], kind="binary", target="late"),
    card=Card(purpose="p", owner="o", limitations="l"),
    metrics={},
    created=NOW,
    by="anna",
    data={"rows": "d" * 64},
    code="c" * 64,
)
LOOP = LoopSpec(
    name="flights",
    model="flights",
    pipeline="p:t",
    endpoint="flights",
    target="late",
    kind="binary",
)


def gate(*failed: str, names=("metric auc",), age_s=0.0, policy=None):
    checks = [
        CheckResult(name=name, passed=name not in failed, found="0.8", wanted="0.7")
        for name in names
    ]
    return GateResult(
        id="gate_1",
        model="flights",
        number=7,
        passed=not failed,
        checks=checks,
        at=0.0,
        by="engine",
        made=NOW - age_s,
        until=NOW - age_s + 30 * DAY_S,
        gate=policy or Gate(),
    )


def proof(kind, passed=True, age_s=0.0, **more):
    return Evidence(
        id=f"ev_{kind}",
        kind=kind,
        subject="flights/7",
        passed=passed,
        found="12 tests passed",
        at=NOW - age_s,
        by="ci",
        **more,
    )


def listed(**given):
    base = {"version": VERSION, "gate": gate(), "policy": Gate(), "evidence": [], "now": NOW}
    return checklist(Known(**{**base, "card_missing": [], **given}))


def states(found):
    return {item.name: item.state for item in found.items}


def test_a_version_whose_gate_passed_is_ready_and_what_nobody_asked_for_stops_nothing():
    found = listed()
    assert found.ready
    told = states(found)
    assert told["gate"] == told["gate: metric auc"] == told["card"] == told["lineage"] == "pass"
    for name in ("tests", "sbom", "scan", "reproduced", "baselines", "load", "bias", "approval"):
        assert told[name] == "not asked"


def test_a_version_that_no_gate_looked_at_is_not_ready():
    found = listed(gate=None)
    assert not found.ready
    assert found.items[0].found == "never run: mainspring gate run flights/7"


def test_a_failed_check_stops_it_and_is_named():
    found = listed(gate=gate("bias sex", names=("metric auc", "bias sex")))
    assert not found.ready
    told = states(found)
    assert (told["gate"], told["gate: bias sex"], told["bias"]) == ("fail", "fail", "fail")
    assert told["gate: metric auc"] == "pass"


@pytest.mark.parametrize(("age", "state"), [(29.9, "pass"), (30.0, "stale"), (99.0, "stale")])
def test_a_gate_that_does_not_hold_any_more_is_stale(age, state):
    found = listed(gate=gate(age_s=age * DAY_S))
    assert states(found)["gate"] == state
    assert found.ready is (state == "pass")


def test_a_gate_declared_anew_since_is_stale():
    found = listed(policy=Gate(at_least={"auc": 0.9}))
    assert states(found)["gate"] == "stale"
    assert "declared anew" in found.items[0].found


def test_evidence_that_somebody_gathered_counts_though_no_gate_asks():
    good = states(listed(evidence=[proof("tests")]))
    bad = states(listed(evidence=[proof("tests", passed=False)]))
    old = states(listed(evidence=[proof("tests", age_s=40 * DAY_S)]))
    assert (good["tests"], bad["tests"], old["tests"]) == ("pass", "fail", "stale")


def test_what_was_shown_of_other_code_shows_nothing_of_this_version():
    own = states(listed(evidence=[proof("tests", code=VERSION.code)]))
    other = listed(evidence=[proof("tests", code="e" * 64)])
    assert (own["tests"], states(other)["tests"]) == ("pass", "stale")
    assert not other.ready


def test_the_newest_evidence_of_a_kind_counts():
    found = [proof("scan", passed=False, age_s=50), proof("advisories", age_s=10)]
    assert states(listed(evidence=found))["scan"] == "pass"


def test_a_card_is_asked_for_by_the_gate():
    missing = ["owner"]
    assert states(listed(card_missing=missing))["card"] == "fail"
    lax = Gate(needs_card=False)
    asked = listed(card_missing=missing, policy=lax, gate=gate(policy=lax))
    assert states(asked)["card"] == "not asked"


def test_an_approval_is_what_the_gate_found_of_it():
    policy = Gate(approval=True)
    waiting = gate("approval", names=("metric auc", "approval"), policy=policy)
    assert states(listed(policy=policy, gate=waiting))["approval"] == "fail"
    given = gate(names=("metric auc", "approval"), policy=policy)
    assert states(listed(policy=policy, gate=given))["approval"] == "pass"
    before = listed(policy=policy, gate=gate())
    assert states(before)["approval"] == "fail", "an older gate did not ask"


def test_a_served_model_that_tells_nobody_is_not_ready():
    silent = listed(endpoint="flights", loop=LOOP)
    assert states(silent)["monitor and channel"] == "fail"
    assert states(silent)["rollout policy"] == "pass"
    assert states(silent)["rollback drill"] == "not asked"
    told = listed(endpoint="flights", loop=LOOP, channels=["ops"])
    assert told.ready
    drilled = listed(evidence=[proof("rollback_drill", age_s=31 * DAY_S)], channels=["ops"])
    assert states(drilled)["rollback drill"] == "stale"


def test_what_is_not_known_of_its_origin_is_told():
    found = listed(lineage_missing=["the data it learnt from"])
    assert not found.ready
    assert found.items[-1].found == "not known: the data it learnt from"


def test_every_item_that_shows_something_can_be_opened():
    asked = [proof(kind) for kind in ("tests", "sbom", "scan", "load", "bias", "rollback_drill")]
    found = listed(evidence=asked, endpoint="flights", loop=LOOP, channels=["ops"])
    for item in found.items:
        assert item.opens or item.state == "not asked", item


def test_an_override_makes_nothing_ready():
    found = listed(gate=gate("metric auc"), overrides=["anna let it into a canary: try"])
    assert not found.ready
    assert found.overrides == ["anna let it into a canary: try"]


def test_a_checklist_crosses_json():
    found = listed(evidence=[proof("tests")])
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found

"""Why a version is not champion: each way to end has its own answer, and there is always one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.gates import APPROVAL, CheckResult, GateResult
from mainspring.ground.objects import Column, Decision, Rollout, Signature, Strategy, Version
from mainspring.readiness.registry import AliasMove
from mainspring.readiness.whynot import Known, why_not

DAY = 86_400.0
SIGNATURE = Signature(columns=[Column(name="x", type="float")], kind="binary", target="y")
VERSION = Version(
    model="churn",
    number=8,
    run="run_1",
    package="p",
    signature=SIGNATURE,
    card=None,
    metrics={},
    created=0.0,
    by="loop",
    cause="alarm:a1",
    command="l-0007",
)


def gate(*failed: str, passed: bool | None = None) -> GateResult:
    checks = [CheckResult(name="latency", passed=True, found="2 ms", wanted="100 ms")]
    checks += [
        CheckResult(name=one, passed=False, found="0.61", wanted="at least 0.70") for one in failed
    ]
    good = not failed if passed is None else passed
    return GateResult(
        id="g1", model="churn", number=8, passed=good, checks=checks, at=DAY, by="engine"
    )


def decision(kind: str, reason: str) -> Decision:
    return Decision(
        id=f"d-{kind}", at=DAY, made=0.0, kind=kind, subject="churn/8", reason=reason, by="loop"
    )


def rollout(state: str) -> Rollout:
    return Rollout(
        id="r1",
        endpoint="churn",
        model="churn",
        champion=7,
        challenger=8,
        strategy=Strategy.CANARY,
        share=0.2,
        state=state,  # type: ignore[arg-type]
        started=DAY,
        rows=412,
    )


def move(number: int, at: float, reason: str = "better") -> AliasMove:
    return AliasMove(
        model="churn", alias="champion", number=number, previous=None, reason=reason, at=at, by="l"
    )


LOST = decision("roll_back", "Version 8 is worse than champion 7: mean loss 0.0200 higher.")


@pytest.mark.parametrize(
    ("known", "verdict", "told"),
    [
        ({"champion": 8}, "champion", "It is the champion."),
        ({"under_way": "Paused by hand. Version 8 meets traffic."}, "under way", "Paused by hand"),
        (
            {"moves": [move(8, DAY), move(9, 2 * DAY, "Complaints.")], "gate": gate()},
            "superseded",
            "until 1970-01-03T00:00:00Z, when version 9 took its place: Complaints.",
        ),
        (
            {"gate": gate(), "rollouts": [rollout("rolled_back")], "decisions": [LOST]},
            "lost",
            "for 412 labelled rows. Version 8 is worse than champion 7: mean loss 0.0200 higher.",
        ),
        (
            {
                "gate": gate(),
                "rollouts": [rollout("rejected")],
                "decisions": [decision("reject", "Version 8 was not shown to be better.")],
            },
            "undecided",
            "was not shown to be better",
        ),
        (
            {"gate": gate(), "rollouts": [rollout("rejected")]},
            "overtaken",
            "somebody moved the champion by hand",
        ),
        ({"gate": gate(), "rollouts": [rollout("ended")]}, "overtaken", "ended by another"),
        (
            {"gate": gate("auc"), "overridden": True, "rollouts": [rollout("rejected")]},
            "overtaken",
            "An override let it in, which leads never past a rollout.",
        ),
        ({}, "not judged", "No gate has looked at it."),
        (
            {"decisions": [decision("reject", "It could not be done: the disk is full")]},
            "rejected",
            "the disk is full",
        ),
        (
            {"gate": gate("auc", "slices")},
            "refused by the gate",
            "It failed 2 checks: auc: 0.61, wanted at least 0.70; slices: 0.61",
        ),
        ({"gate": gate()}, "overtaken", "its loop went on without it"),
        (
            {"gate": gate(), "version": msgspec.structs.replace(VERSION, cause="run:run_1")},
            "nobody asked",
            "A person registered it",
        ),
    ],
)
def test_each_way_to_end_has_its_answer(known: dict, verdict: str, told: str) -> None:
    found = why_not(Known(**{"version": VERSION, "champion": 7, **known}))
    assert (found.version, found.verdict) == ("churn/8", verdict)
    assert told in found.reason


def test_one_that_waits_for_a_person_says_who_is_to_do_what() -> None:
    found = why_not(Known(version=VERSION, gate=gate(APPROVAL)))
    assert found.verdict == "waits for approval"
    assert found.todo == "mainspring approve churn/8 --reason WHY"


def test_the_lines_name_what_it_rests_on() -> None:
    found = why_not(
        Known(
            version=VERSION,
            gate=gate("auc"),
            rollouts=[rollout("rejected")],
            decisions=[LOST],
        )
    )
    assert found.lines == [
        f"1970-01-02T00:00:00Z  roll_back by loop: {LOST.reason}",
        "1970-01-02T00:00:00Z  canary beside 7: rejected, 412 labelled rows",
        "1970-01-02T00:00:00Z  gate refused, 2 checks",
        "    auc: 0.61, wanted at least 0.70",
    ]


@given(
    st.sampled_from([None, 7, 8]),
    st.booleans(),
    st.lists(st.sampled_from(["running", "promoted", "rolled_back", "rejected", "ended"])),
    st.sampled_from([None, gate(), gate("auc"), gate(APPROVAL)]),
    st.lists(st.sampled_from([LOST, decision("reject", "So."), decision("override", "Try it.")])),
    st.lists(st.sampled_from([move(7, 1.0), move(8, 2.0), move(9, 3.0)])),
    st.sampled_from(["", "Paused by hand."]),
)
def test_there_is_always_an_answer_and_it_is_never_unknown(
    champion, overridden, states, judged, made, moves, under_way
) -> None:
    known = Known(
        version=VERSION,
        champion=champion,
        overridden=overridden,
        rollouts=[rollout(state) for state in states],
        gate=judged,
        decisions=made,
        moves=moves,
        under_way=under_way,
    )
    found = why_not(known)
    assert found.verdict
    assert len(found.reason) > 10
    assert "unknown" not in found.verdict + found.reason
    assert (found.verdict == "champion") == (champion == 8)

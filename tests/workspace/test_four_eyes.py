"""Another person than the author approves, and the loop that waits for it goes on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from homes import LOOP, settle, work_as_engine
from sqlalchemy import update

from mainspring.engine import reactor, tables, tasks
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError, ConflictError, PermissionDeniedError
from mainspring.ground.gates import Gate
from mainspring.ground.identity import canonical
from mainspring.ground.loops import Phase, View, but
from mainspring.ground.objects import DAY_S, Card
from mainspring.ground.permissions import Permission, Principal, Role
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, evidence, registry, verdicts
from mainspring.workspace import acts, approving
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.loops import loop_status
from mainspring.workspace.views.models import version_detail

FOUR_EYES = Gate(needs_card=False, max_latency_ms=1e9, approval=True)
ANNA = Principal("anna", Role.APPROVER)
BEN = Principal("ben", Role.APPROVER)
COMMAND = "tide-0099"


def view(ws: Workspace) -> View:
    return ws.read(Permission.READ, lambda tx: reactor.view(tx, "tide"))


def newest(ws: Workspace, number: int = 2) -> Any:
    return ws.read(Permission.READ, lambda tx: verdicts.latest(tx, "tide", number))


def kinds(ws: Workspace) -> list[str]:
    found = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, "tide", limit=100))
    return [d.kind for d in found]


@pytest.fixture
def waiting(served: Workspace) -> Workspace:
    """Anna's loop, whose candidate 2 passed every check but the approval of another person."""
    spec = msgspec.structs.replace(LOOP, gate=FOUR_EYES)
    acts.declare(served.acting_as(ANNA), spec)
    settle(served)
    command = m.Judge(id=COMMAND, loop="tide", at=view(served).now, reason="Try.", version=2)

    def work(tx: Tx) -> None:
        known = but(reactor.view(tx, "tide"), phase=Phase.JUDGING, command=COMMAND, candidate=2)
        tx.run(update(tables.views).values(view=canonical(known).decode()))
        payload = msgspec.to_builtins(command)
        tasks.submit(tx, [tasks.NewTask(id=COMMAND, kind="judge", payload=payload)])

    work_as_engine(served, work)
    settle(served)
    return served


def test_a_candidate_waits_in_its_loop_and_says_for_what(waiting: Workspace) -> None:
    assert view(waiting).phase is Phase.JUDGING
    gate = newest(waiting)
    assert gate.waits
    assert not gate.passed
    assert "waits for approval by another person" in verdicts.reason(gate.checks)
    assert version_detail(waiting, "tide", 2).standing == "waits for approval"
    assert "mainspring approve tide/2" in loop_status(waiting, "tide").words
    assert kinds(waiting)[0] == "wait"


def test_an_approval_lets_the_loop_take_it_into_a_rollout_and_no_further(
    waiting: Workspace,
) -> None:
    given, gate = approving.approve(waiting.acting_as(BEN), "tide", 2, "Looked at the slices.")
    assert gate is not None
    assert gate.passed
    assert (given.by, given.automatic, given.passed) == ("ben", False, True)
    settle(waiting)
    assert view(waiting).phase is Phase.ROLLOUT
    running = acts.running_rollout(waiting, "tide")
    assert running is not None
    assert running.challenger == 2
    champion = waiting.read(Permission.READ, lambda tx: registry.champion(tx, "tide"))
    assert champion == 1, "the canary is not skipped"


def test_the_author_of_a_loop_does_not_approve_what_it_made(waiting: Workspace) -> None:
    with pytest.raises(PermissionDeniedError, match=r"anna cannot approve tide/2.*author") as no:
        approving.approve(waiting.acting_as(ANNA), "tide", 2, "Trust me.")
    assert "mainspring approve tide/2" in str(no.value)
    assert newest(waiting).waits
    assert (
        waiting.read(Permission.READ, lambda tx: evidence.listing(tx, "tide/2", "approval")) == []
    )


def test_dropping_the_second_pair_of_eyes_takes_an_approver(waiting: Workspace) -> None:
    lax = msgspec.structs.replace(LOOP, gate=msgspec.structs.replace(FOUR_EYES, approval=False))
    eve = waiting.acting_as(Principal("eve", Role.CONTRIBUTOR))
    with pytest.raises(PermissionDeniedError, match="eve"):
        acts.declare(eve, lax)
    acts.declare(eve, msgspec.structs.replace(LOOP, gate=FOUR_EYES, params={"b": 2}))
    acts.declare(waiting.acting_as(BEN), lax)


def test_a_contributor_does_not_approve(waiting: Workspace) -> None:
    with pytest.raises(PermissionDeniedError):
        approving.approve(
            waiting.acting_as(Principal("eve", Role.CONTRIBUTOR)), "tide", 2, "Please."
        )


def test_an_approval_without_a_reason_is_refused(waiting: Workspace) -> None:
    with pytest.raises(BadInputError, match="reason"):
        approving.approve(waiting.acting_as(BEN), "tide", 2, "  ")


def test_a_refusal_ends_the_waiting_and_may_be_the_authors(waiting: Workspace) -> None:
    approving.approve(waiting.acting_as(ANNA), "tide", 2, "I found a leak.", refuse=True)
    settle(waiting)
    assert view(waiting).phase is Phase.IDLE
    assert kinds(waiting)[0] == "reject"
    assert not newest(waiting).waits
    assert "anna refused: I found a leak." in verdicts.reason(newest(waiting).checks)
    assert [d.kind for d in version_detail(waiting, "tide", 2).approvals] == ["refuse"]


def test_nobody_waits_longer_than_the_gate_is_fresh(waiting: Workspace) -> None:
    waiting.clock.turn(30 * DAY_S + 1)  # type: ignore[attr-defined]
    settle(waiting)
    assert view(waiting).phase is Phase.IDLE
    assert kinds(waiting)[0] == "reject"
    with pytest.raises(ConflictError, match="stale"):
        approving.approve(waiting.acting_as(BEN), "tide", 2, "Now I have time.")


def test_what_failed_otherwise_has_nothing_to_approve(served: Workspace) -> None:
    acts.declare(served, msgspec.structs.replace(LOOP, gate=FOUR_EYES))
    with pytest.raises(ConflictError, match="auc failed"):
        approving.approve(served.acting_as(BEN), "tide", 3, "It is fine.")


def test_an_approval_holds_for_what_was_looked_at(waiting: Workspace) -> None:
    approving.approve(waiting.acting_as(BEN), "tide", 2, "Looked at it.")
    card = Card(purpose="Another.", owner="anna", limitations="None known.")
    work_as_engine(waiting, lambda tx: registry.set_card(tx, "tide", 2, card, tx.now()))
    again = work_as_engine(waiting, lambda tx: _again(tx))
    assert again.waits
    assert "before the package, the card or the gate changed" in again.checks[-1].found


def _again(tx: Tx) -> Any:
    from mainspring.readiness import approvals

    return approvals.written_anew(tx, registry.get(tx, "tide", 2))


def test_an_approval_that_comes_while_a_version_is_measured_counts(waiting: Workspace) -> None:
    before = newest(waiting)
    approving.approve(waiting.acting_as(BEN), "tide", 2, "Looked at it.")
    from mainspring.readiness import approvals

    settled = work_as_engine(
        waiting, lambda tx: approvals.settled(tx, before, registry.get(tx, "tide", 2))
    )
    assert before.waits
    assert settled.passed


def test_a_gate_that_asks_for_none_keeps_an_approval_as_evidence(served: Workspace) -> None:
    given, gate = approving.approve(served.acting_as(BEN), "tide", 2, "Nice work.")
    assert gate is None
    assert given.kind == "approval"
    assert served.read(Permission.READ, lambda tx: evidence.get(tx, given.id)) == given


def test_authors_are_who_registered_ran_asked_and_declared(served: Workspace) -> None:
    acts.declare(served.acting_as(ANNA), msgspec.structs.replace(LOOP, params={"a": 1}))
    version = served.read(Permission.READ, lambda tx: registry.get(tx, "tide", 2))
    asked = msgspec.structs.replace(version, by="service:engine", cause="request:carl")
    made = served.read(Permission.READ, lambda tx: approving.authors(tx, asked))
    assert made == ["anna", "carl"]
    own = msgspec.structs.replace(version, by="dora", cause=None)
    made = served.read(Permission.READ, lambda tx: approving.authors(tx, own))
    assert made == ["anna", "dora"]

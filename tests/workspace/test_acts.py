"""What people do by hand: each moves the state and tells the loop, or does neither."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from homes import LOOP, NOW, settle, work_as_engine

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    GateRefusedError,
    NotFoundError,
    PermissionDeniedError,
)
from mainspring.ground.loops import Phase, View
from mainspring.ground.objects import Rollout, Strategy
from mainspring.ground.permissions import Permission, Principal, Role
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, registry
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace


def champion(ws: Workspace) -> int | None:
    return ws.read(Permission.READ, lambda tx: registry.champion(tx, "tide"))


def view(ws: Workspace) -> View:
    return ws.read(Permission.READ, lambda tx: reactor.view(tx, "tide"))


def told(ws: Workspace) -> list[Any]:
    return ws.read(Permission.READ, lambda tx: [e for _, e in reactor.history(tx, "tide")])


def kinds(ws: Workspace) -> list[str]:
    found = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, None, limit=100))
    return [d.kind for d in found]


def start(ws: Workspace, challenger: int) -> Rollout:
    rollout = Rollout(
        id="rollout_1",
        endpoint="tide",
        model="tide",
        champion=1,
        challenger=challenger,
        strategy=Strategy.CANARY,
        share=0.2,
        state="running",
        started=NOW,
    )
    return work_as_engine(ws, lambda tx: rollouts.start(tx, rollout))


def tell(ws: Workspace, event: m.AnyEvent, key: str) -> None:
    work_as_engine(ws, lambda tx: reactor.emit(tx, event, key))


def verdict(ws: Workspace, word: str) -> None:
    running = acts.running_rollout(ws, "tide")
    assert running is not None
    event = m.Verdict(
        loop="tide", at=NOW, rollout=running.id, version=running.challenger,
        verdict=word, reason="Shown.",
    )  # fmt: skip
    tell(ws, event, f"verdict:{running.id}")


def test_a_loop_declared_twice_is_one_and_a_changed_one_is_the_next(served: Workspace) -> None:
    before = len(told(served))
    assert acts.declare(served, LOOP) == 1
    assert len(told(served)) == before
    assert acts.declare(served, msgspec.structs.replace(LOOP, params={"trees": 3})) == 2
    assert isinstance(told(served)[-1], m.LoopStarted)


def test_a_second_loop_cannot_watch_the_same_endpoint(served: Workspace) -> None:
    with pytest.raises(ConflictError):
        acts.declare(served, msgspec.structs.replace(LOOP, name="other"))
    assert served.read(Permission.READ, lambda tx: reactor.spec_or_none(tx, "other")) is None


def test_a_hand_promotes_ends_the_rollout_and_tells_the_loop(served: Workspace) -> None:
    start(served, 2)
    assert acts.promote(served, "tide", 2, "Tuesday is too late.") == 1
    settle(served)
    assert champion(served) == view(served).champion == 2
    found = served.read(Permission.READ, lambda tx: rollouts.get(tx, "rollout_1"))
    assert found.state == "promoted"
    assert kinds(served)[0] == "promote"


def test_nobody_gets_past_the_gate(served: Workspace) -> None:
    start(served, 2)
    before = told(served)
    with pytest.raises(GateRefusedError):
        acts.promote(served, "tide", 3, "I am sure.")
    with pytest.raises(GateRefusedError):
        acts.roll_back(served, "tide", "I am sure.", to=3)
    assert champion(served) == 1
    assert told(served) == before
    assert acts.running_rollout(served, "tide") is not None


def test_the_champion_cannot_be_promoted_again(served: Workspace) -> None:
    with pytest.raises(ConflictError, match="champion already"):
        acts.promote(served, "tide", 1, "Again.")
    with pytest.raises(NotFoundError):
        acts.promote(served, "tide", 9, "A new one.")


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 2001])
def test_every_act_needs_a_reason_that_can_be_read(served: Workspace, reason: str) -> None:
    for act in (
        lambda: acts.promote(served, "tide", 2, reason),
        lambda: acts.roll_back(served, "tide", reason),
        lambda: acts.override(served, "tide", 3, reason),
        lambda: acts.pause(served, "tide", reason),
        lambda: acts.resume(served, "tide", reason),
        lambda: acts.retrain(served, "tide", reason),
    ):
        with pytest.raises(BadInputError):
            act()


def test_there_must_be_something_to_go_back_to(served: Workspace) -> None:
    with pytest.raises(ConflictError, match="nothing to go back to"):
        acts.roll_back(served, "tide", "It is odd.")
    acts.promote(served, "tide", 2, "Try it.")
    assert acts.roll_back(served, "tide", "It is odd.") == 1
    settle(served)
    assert champion(served) == view(served).champion == 1
    assert isinstance(told(served)[-1], m.RolledBack)
    assert kinds(served)[0] == "roll_back"
    with pytest.raises(ConflictError, match="nothing to go back to"):
        acts.roll_back(served, "tide", "Back to the bad one?")


def test_a_move_is_a_decision_where_no_loop_and_where_no_endpoint_is(served: Workspace) -> None:
    by_hand = endpoints.endpoints.update().values(loop=None)
    work_as_engine(served, lambda tx: tx.run(by_hand))
    acts.promote(served, "tide", 2, "One.")
    acts.remove_endpoint(served, "tide")
    acts.roll_back(served, "tide", "Two.")
    found = served.read(Permission.READ, lambda tx: decisions.list_decisions(tx, None, limit=2))
    assert [(d.kind, d.reason) for d in found] == [("roll_back", "Two."), ("promote", "One.")]


def test_an_override_gets_into_a_canary_and_never_past_it(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    settle(served)
    running = acts.running_rollout(served, "tide")
    assert running is not None
    assert running.challenger == 3
    verdict(served, "better")
    settle(served)
    assert champion(served) == 1
    assert view(served).phase is Phase.IDLE
    assert acts.running_rollout(served, "tide") is None


def test_an_override_meets_a_busy_loop_with_a_written_no(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    acts.override(served, "tide", 3, "Once more.")
    settle(served)
    running = acts.running_rollout(served, "tide")
    assert running is not None
    assert running.challenger == 3
    assert "decline" in kinds(served)


def test_what_is_not_there_cannot_be_overridden(served: Workspace) -> None:
    with pytest.raises(NotFoundError):
        acts.override(served, "tide", 9, "Why not?")
    with pytest.raises(NotFoundError):
        acts.override(served, "ebb", 1, "Why not?")


def test_a_passed_version_needs_no_override(served: Workspace) -> None:
    with pytest.raises(ConflictError, match="needs no override"):
        acts.override(served, "tide", 2, "Why not?")


def test_a_pause_in_the_middle_of_a_rollout_holds_good_news_until_the_resume(
    served: Workspace,
) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    settle(served)
    acts.pause(served, "tide", "A holiday.")
    verdict(served, "better")
    settle(served)
    assert view(served).held
    assert acts.running_rollout(served, "tide") is not None
    acts.resume(served, "tide", "Back.")
    settle(served)
    assert not view(served).held
    assert acts.running_rollout(served, "tide") is None


def test_a_pause_in_the_middle_of_a_rollout_does_not_hold_up_safety(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    settle(served)
    acts.pause(served, "tide", "A holiday.")
    verdict(served, "worse")
    settle(served)
    assert acts.running_rollout(served, "tide") is None
    assert view(served).paused
    assert view(served).phase is Phase.IDLE
    acts.retrain(served, "tide", "Please.")
    settle(served)
    assert view(served).held, "a paused loop keeps wishes for later"


def test_a_hand_that_moves_the_champion_ends_the_rollout_of_the_loop(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    settle(served)
    acts.promote(served, "tide", 2, "I know better.")
    settle(served)
    assert champion(served) == 2
    assert view(served).phase is Phase.IDLE
    assert acts.running_rollout(served, "tide") is None


def test_a_command_that_comes_too_late_moves_nothing(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    with_hand = served.acting_as(Principal(name="ann", role=Role.APPROVER))
    # The loop has not begun yet: its StartRollout will meet another champion.
    work_as_engine(served, lambda tx: _react(served, tx))
    acts.promote(with_hand, "tide", 2, "Now.")
    settle(served)
    assert champion(served) == 2
    assert acts.running_rollout(served, "tide") is None
    assert view(served).phase is Phase.IDLE


def _react(ws: Workspace, tx: Tx) -> bool:
    made = reactor.Reactor(decisions.record, lambda *_: True)
    return made.react_once(tx, NOW)


def test_labels_need_an_endpoint(served: Workspace) -> None:
    assert acts.add_labels(served, "tide", ["a-1"], [1]) == 1
    with pytest.raises(NotFoundError):
        acts.add_labels(served, "ebb", ["a-1"], [1])


def test_an_endpoint_needs_a_champion(served: Workspace) -> None:
    acts.create_endpoint(served, "again", "tide")
    with pytest.raises(NotFoundError, match="no champion"):
        acts.create_endpoint(served, "ebb", "ebb")
    acts.remove_endpoint(served, "again")
    with pytest.raises(NotFoundError):
        acts.remove_endpoint(served, "again")


def test_a_viewer_may_do_none_of_it(served: Workspace) -> None:
    viewer = served.acting_as(Principal(name="vic", role=Role.VIEWER))
    for act in (
        lambda: acts.declare(viewer, LOOP),
        lambda: acts.promote(viewer, "tide", 2, "Mine."),
        lambda: acts.roll_back(viewer, "tide", "Mine."),
        lambda: acts.override(viewer, "tide", 3, "Mine."),
        lambda: acts.pause(viewer, "tide", "Mine."),
        lambda: acts.add_labels(viewer, "tide", ["a-1"], [1]),
        lambda: acts.create_endpoint(viewer, "x", "tide"),
    ):
        with pytest.raises(PermissionDeniedError):
            act()
    contributor = served.acting_as(Principal(name="cy", role=Role.CONTRIBUTOR))
    with pytest.raises(PermissionDeniedError):
        acts.promote(contributor, "tide", 2, "Mine.")


def test_what_differs_between_two_declarations_is_told_by_field() -> None:
    after = msgspec.structs.replace(LOOP, target="z")
    assert acts.changed(LOOP, after) == {"target": ("y", "z")}

"""Rollouts that a person began: steps, weights, who answers, what ends them, and what is written.

The endpoint has no loop here, so that what follows is the engine's own doing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from homes import add_version, settle, work_as_engine
from test_ill_challengers import ask, fails, let_in, serving
from whole_loop import DAY, FIRST

from mainspring.ground.errors import BadInputError, ConflictError, GateRefusedError, NotFoundError
from mainspring.ground.objects import Decision, Rollout, RolloutPolicy, Step, Strategy
from mainspring.ground.permissions import Permission
from mainspring.readiness import decisions, registry
from mainspring.retraining import declaring
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace import acts, rollingout
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing
from mainspring.workspace.views import rollouts as views
from mainspring.workspace.views.loops import loop_status


@pytest.fixture
def alone(served: Workspace) -> Workspace:
    """The endpoint without its loop: version 1 serves, 2 passed (and answers wrongly)."""
    work_as_engine(served, lambda tx: tx.run(endpoints.endpoints.update().values(loop=None)))
    return served


def running(ws: Workspace) -> Rollout | None:
    return acts.running_rollout(ws, "tide")


def champion(ws: Workspace) -> int | None:
    return ws.read(Permission.READ, lambda tx: registry.champion(tx, "tide"))


def made(ws: Workspace) -> list[Decision]:
    """Return every decision on the model, oldest first."""
    found = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, limit=100))
    return [one for one in reversed(found) if one.evidence.get("rollout")]


def good_second(ws: Workspace) -> int:
    """Register a version that answers as the champion does, and let it pass."""
    package = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1)).package
    add_version(ws, 4, package, passed=True)
    return 4


def test_a_start_is_a_decision_and_moves_the_traffic_of_the_share(alone: Workspace) -> None:
    policy = declaring.Rollout(share=0.4)
    begun = rollingout.start(alone, "tide", "The new timetable.", version=2, policy=policy)
    assert (begun.by, begun.share, begun.purpose) == ("owner", 0.4, "challenge")
    [one] = made(alone)
    assert (one.kind, one.subject, one.reason) == ("canary", "tide/2", "The new timetable.")
    assert one.evidence["share"] == 0.4
    assert f"rollout:{begun.id}" in one.evidence["opens"]
    now = alone.read(Permission.READ, lambda tx: routing(tx, "tide"))
    assert (now.challenger, now.share) == (2, 0.4)


def test_what_cannot_be_started_is_refused_with_the_reason(alone: Workspace) -> None:
    def start(**given: Any) -> Rollout:
        return rollingout.start(alone, "tide", "So.", **given)

    with pytest.raises(BadInputError, match="needs a version"):
        start()
    with pytest.raises(GateRefusedError):
        start(version=3)
    with pytest.raises(ConflictError, match="against itself"):
        start(version=1)
    with pytest.raises(NotFoundError):
        start(version=99)
    with pytest.raises(BadInputError, match="champion, version 1"):
        start(variants={2: 1.0, 3: 1.0})
    with pytest.raises(BadInputError, match="weight"):
        start(variants={1: 1.0, 2: -1.0})
    with pytest.raises(BadInputError, match="not both"):
        start(version=2, variants={1: 1.0, 2: 1.0})
    with pytest.raises(BadInputError, match="no input"):
        start(version=2, sticky="nobody")
    with pytest.raises(BadInputError, match="baking time"):
        start(version=2, ends="baked")
    with pytest.raises(BadInputError, match="reason"):
        rollingout.start(alone, "tide", " ", version=2)
    start(version=2)
    with pytest.raises(ConflictError, match="runs on endpoint"):
        start(version=2)
    assert len(made(alone)) == 1


def test_a_person_moves_the_share_and_ends_it_and_each_is_written_down(alone: Workspace) -> None:
    rollingout.start(
        alone, "tide", "One.", version=2, policy=declaring.Rollout(steps="5%:1h,50%:1h")
    )
    after = rollingout.change(alone, "tide", "Two.", share=0.3)
    assert (after.share, after.policy.steps) == (0.3, [])
    over = rollingout.end(alone, "tide", "Three.")
    assert over.state == "rejected"
    assert [(one.kind, one.reason) for one in made(alone)] == [
        ("canary", "One."),
        ("share", "Two."),
        ("end", "Three."),
    ]
    assert made(alone)[1].evidence["before"] == {"share": 0.05}
    assert champion(alone) == 1
    with pytest.raises(NotFoundError, match="Nothing rolls out"):
        rollingout.end(alone, "tide", "Again.")
    with pytest.raises(NotFoundError):
        rollingout.change(alone, "tide", "Again.", share=0.5)


def test_an_end_may_promote_and_the_version_before_stands_by(alone: Workspace) -> None:
    rollingout.start(alone, "tide", "One.", version=2)
    with pytest.raises(BadInputError, match="does not roll out"):
        rollingout.end(alone, "tide", "It won.", promote=3)
    assert rollingout.end(alone, "tide", "It won.", promote=2).state == "promoted"
    assert champion(alone) == 2
    watch = running(alone)
    assert watch is not None
    assert (watch.purpose, watch.champion, watch.challenger) == ("watch", 2, 1)


def test_a_hand_goes_before_a_watch_and_waits_for_a_loop_that_decides(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Just to see.")
    settle(served)
    with pytest.raises(ConflictError, match="waits for it"):
        rollingout.start(served, "tide", "Mine.", version=2)
    with pytest.raises(ConflictError, match="decided by the loop"):
        rollingout.end(served, "tide", "Mine.")


def test_a_canary_takes_its_steps_by_time_and_rows_and_no_loop_is_needed(
    alone: Workspace,
) -> None:
    number = good_second(alone)
    steps = [Step(share=0.1, min_period_s=0.4 * DAY, rows=100), Step(share=0.5), Step(share=1.0)]
    policy = RolloutPolicy(steps=steps, share=0.1)
    with serving_now(alone, number, policy, ends="baked") as client:
        ask(client)
    settle(alone, scanning=True)
    assert champion(alone) == number  # all steps were taken, and that was agreed at the start
    kinds = [(one.kind, one.evidence.get("share")) for one in made(alone)]
    assert kinds == [("canary", 0.1), ("step", 0.5), ("step", 1.0)]
    assert made(alone)[1].evidence["rows"] >= 100
    moves = alone.read(Permission.READ, lambda tx: registry.history(tx, "tide"))
    assert any("agreed by owner" in one.reason for one in moves)


def serving_now(
    ws: Workspace, version: int, policy: RolloutPolicy | None = None, **given: Any
) -> Any:
    """Serve the endpoint while a version rolls out by hand since before the first row."""
    begun = rollingout.start(ws, "tide", "Now.", version=version, policy=policy, **given)
    backdated(ws, begun)
    return serving(ws, None, challenger=version)


def backdated(ws: Workspace, begun: Rollout) -> None:
    """Let a rollout have begun when the rows that the tests send were made."""
    early = rollouts.rollouts.update().values(started=FIRST - 1.0)
    work_as_engine(ws, lambda tx: tx.run(early.where(rollouts.rollouts.c.id == begun.id)))


def test_steps_wait_for_what_they_ask_for(alone: Workspace) -> None:
    number = good_second(alone)
    steps = [Step(share=0.1, min_period_s=2 * DAY), Step(share=0.5)]
    with serving_now(alone, number, RolloutPolicy(steps=steps, share=0.1)) as client:
        ask(client)
    settle(alone, scanning=True)
    now = running(alone)
    assert now is not None
    assert (now.step, now.share) == (0, 0.1)
    found = views.report(alone, "tide")
    assert found is not None
    assert found.next.startswith("50.0% of the rows in ")
    assert found.words.endswith("step 1 of 2.")


def test_what_proves_better_waits_for_a_word_or_goes_on_as_agreed(alone: Workspace) -> None:
    # The champion is made the bad one: then the good version proves better by its labels.
    package = alone.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1)).package
    add_version(alone, 4, package, passed=True)
    acts.promote(alone, "tide", 2, "By mistake.", watch=False)
    policy = declaring.Rollout(max_shift=1.0)
    with serving_now(alone, 4, policy) as client:
        ids, truth, _ = ask(client)
    acts.add_labels(alone, "tide", ids, truth)
    settle(alone, scanning=True)
    assert champion(alone) == 2
    assert [one.kind for one in made(alone)] == ["canary", "better"]
    assert "waits for a person" in made(alone)[-1].reason
    rollingout.end(alone, "tide", "Once more.")
    with serving_now(alone, 4, policy, ends="proven") as client:
        ids, truth, _ = ask(client, day=1)
    acts.add_labels(alone, "tide", ids, truth)
    settle(alone, scanning=True)
    assert champion(alone) == 4


def test_a_broken_version_of_three_goes_home_and_the_others_go_on(alone: Workspace) -> None:
    good_second(alone)
    variants = {1: 50.0, 4: 30.0, 2: 20.0}
    begun = rollingout.start(
        alone, "tide", "Which?", variants=variants, policy=declaring.Rollout(max_shift=1.0)
    )
    backdated(alone, begun)
    assert (begun.strategy, begun.share) == (Strategy.AB, 0.5)
    with serving(alone, fails, challenger=None, ill=2) as client:
        _, _, versions = ask(client)
        for day in range(1, 3):
            versions += ask(client, day)[2]
    counts = Counter(versions)
    assert set(counts) == {1, 4}  # the champion answers for the one that fails
    assert counts[4] == pytest.approx(0.3 * len(versions), abs=60)
    settle(alone, scanning=True)
    now = running(alone)
    assert now is not None
    assert {arm.version: arm.weight for arm in now.arms} == {1: 50.0, 4: 30.0, 2: 0.0}
    last = made(alone)[-1]
    assert (last.kind, last.subject) == ("roll_back", "tide/2")
    assert last.evidence["guardrail"] == "failed"


def test_labels_compare_the_arms_and_the_worse_one_is_taken_out(alone: Workspace) -> None:
    good_second(alone)
    variants = {1: 1.0, 4: 1.0, 2: 1.0}
    begun = rollingout.start(
        alone,
        "tide",
        "Which?",
        variants=variants,
        sticky="a",
        policy=declaring.Rollout(max_shift=1.0),
    )
    backdated(alone, begun)
    with serving(alone, None, challenger=None) as client:
        told = [ask(client, day) for day in range(4)]
    for ids, truth, _ in told:
        acts.add_labels(alone, "tide", ids, truth)
    settle(alone, scanning=True)
    now = running(alone)
    assert now is not None
    assert {arm.version: arm.weight for arm in now.arms} == {1: 1.0, 4: 1.0, 2: 0.0}
    last = made(alone)[-1]
    assert last.reason.startswith("Version 2 is worse than champion 1: mean loss version 1 ")
    found = views.report(alone, "tide")
    assert found is not None
    assert found.tests["losses"]["2"]["mean"] > found.tests["losses"]["1"]["mean"]
    after = rollingout.change(alone, "tide", "More.", weights={4: 3.0})
    assert {arm.version: arm.weight for arm in after.arms} == {1: 1.0, 4: 3.0, 2: 0.0}
    with pytest.raises(BadInputError, match="none of its arms"):
        rollingout.change(alone, "tide", "More.", weights={7: 3.0})
    with pytest.raises(BadInputError, match="no share"):
        rollingout.change(alone, "tide", "More.", share=0.5)


def test_a_shadow_is_reported_and_answers_nobody(alone: Workspace) -> None:
    with serving_now(alone, 2, declaring.Rollout("shadow", max_shift=1.0)) as client:
        _, _, versions = ask(client)
    assert set(versions) == {1}
    found = views.report(alone, "tide")
    assert found is not None
    [side] = found.sides
    assert (side.version, side.rows, side.failed) == (2, len(versions), 0)
    assert side.agreement is not None
    assert side.agreement < 0.5
    assert sum(side.differences) == len(versions)
    assert side.difference == pytest.approx(
        float(np.average((np.arange(20) + 0.5) / 20, weights=side.differences)), abs=1e-9
    )
    assert side.p99_ms is not None
    assert {rail.name for rail in side.rails} == {"failed", "slower", "stuck"}


# ---------------------------------------------------------------- the champion itself


def test_a_champion_that_breaks_after_a_hand_promoted_it_goes_back_by_itself(
    alone: Workspace,
) -> None:
    number = good_second(alone)
    acts.promote(alone, "tide", number, "It looks well.")
    watch = running(alone)
    assert watch is not None
    backdated(alone, watch)
    with serving(alone, fails, champion=number, challenger=1, ill=number) as client:
        _, _, versions = ask(client)  # every answer is 200: the version before it answers
    assert set(versions) == {1}
    settle(alone, scanning=True)
    assert champion(alone) == 1
    last = made(alone)[-1]
    assert (last.kind, last.subject) == ("roll_back", f"tide/{number}")
    assert last.evidence["to"] == 1
    assert running(alone) is None


def test_nobody_stands_by_where_that_was_not_wanted(alone: Workspace) -> None:
    acts.promote(alone, "tide", 2, "I know it.", watch=False)
    assert running(alone) is None
    acts.roll_back(alone, "tide", "Back.")
    assert running(alone) is None
    acts.promote(alone, "tide", 2, "Again.")
    acts.remove_endpoint(alone, "tide")  # what only watches is in nobody's way


# ---------------------------------------------------------------- a loop that is paused


def test_a_pause_in_mid_rollout_keeps_the_share_and_shows_it(served: Workspace) -> None:
    steps = [Step(share=0.1, rows=100), Step(share=0.6)]
    let_in(served, steps=steps, share=0.1, max_shift=1.0)
    acts.pause(served, "tide", "Hands off.")
    settle(served)
    with serving(served, None) as client:
        ask(client)
    settle(served, scanning=True)
    now = running(served)
    assert now is not None
    assert (now.step, now.share) == (0, 0.1)
    found = views.report(served, "tide")
    assert found is not None
    assert found.paused
    assert found.words.endswith("The loop is held: the share stays.")
    told = loop_status(served, "tide").still_acts
    assert "Version 3 goes on answering 10% of the rows, step 1 of 2." in told
    acts.resume(served, "tide", "Go on.")
    settle(served)
    with serving(served, None) as client:
        ask(client, day=1)  # time goes on by the rows
    settle(served, scanning=True)
    now = running(served)
    assert now is not None
    assert (now.step, now.share) == (1, 0.6)
    made_so = served.read(Permission.READ, lambda tx: decisions.list_decisions(tx, "tide"))
    assert [one.by for one in made_so if one.kind == "step"] == ["loop:tide"]


def test_a_loop_asks_no_traffic_of_what_a_person_rolls_out(served: Workspace) -> None:
    rollingout.start(served, "tide", "Mine.", version=2)
    acts.override(served, "tide", 3, "Just to see.")
    settle(served)
    now = running(served)
    assert now is not None
    assert (now.challenger, now.by) == (2, "owner")
    made_so = served.read(Permission.READ, lambda tx: decisions.list_decisions(tx, "tide"))
    assert (
        "was begun by hand (owner)" in next(one for one in made_so if one.kind == "reject").reason
    )

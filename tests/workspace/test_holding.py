"""What is on hold in a loop that is stopped, and what acts all the same, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from homes import LOOP

from mainspring.engine.reactor import LoopRow
from mainspring.ground import messages as m
from mainspring.ground.loops import Phase, View
from mainspring.ground.objects import DAY_S, RetrainingPolicy, Rollout, Strategy
from mainspring.workspace.views import holding
from mainspring.workspace.views.loops import in_words

NOW = 1_800_000_000.0


def row(phase: Phase = Phase.IDLE, *held: m.AnyEvent, **more: Any) -> LoopRow:
    kept = tuple(m.encode(one) for one in held)
    view = View(loop="tide", phase=phase, champion=1, now=NOW, held=kept, **more)
    policy = RetrainingPolicy(cooldown_s=14 * DAY_S, check_labels=300)
    spec = msgspec.structs.replace(LOOP, retraining=policy)
    return LoopRow(name="tide", version=1, declared=NOW, spec=spec, view=view)


def rollout(strategy: Strategy, **more: Any) -> Rollout:
    given = {"id": "r", "endpoint": "tide", "model": "tide", "champion": 1, "challenger": 2}
    told = {"strategy": strategy, "share": 0.2, "state": "running", "started": NOW}
    return Rollout(**{**given, **told, **more})


def event(kind: type, **more: Any) -> Any:
    named = {"by": "ann", "reason": "so", "command": "c", "run": "r", "rollout": "r"}
    fields = {k: v for k, v in named.items() if k in kind.__struct_fields__}
    return kind(loop="tide", at=NOW, **{**fields, **more})


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (event(m.LoopStarted), "The first version is to be trained."),
        (event(m.RegretMeasured, pays=True), "Regret was measured: a new version would pay."),
        (event(m.RegretMeasured, pays=False), "a new version is not known to pay."),
        (event(m.RetrainRequested), "ann asked for a new version: so"),
        (event(m.Trained, ok=True), "The training has ended; its version is to be registered."),
        (event(m.Trained, ok=False), "The training failed."),
        (event(m.Registered, version=2), "Version 2 is to be put through the gate."),
        (event(m.Judged, version=2, passed=True), "Version 2 passed the gate"),
        (event(m.Judged, version=2, passed=False), "The gate refused version 2."),
        (event(m.Verdict, version=2, verdict="better"), "Version 2 was shown to be better"),
        (event(m.Overridden, version=2), "The override of ann is to let version 2 in."),
        (event(m.ChampionBroke, version=2), "Champion broke."),
    ],
)
def test_everything_that_may_be_kept_has_a_sentence(kept: m.AnyEvent, words: str) -> None:
    [said] = holding.on_hold(row(Phase.IDLE, kept, paused=True), None)
    assert words in said
    assert said.endswith("It waits until the loop is resumed.")
    [frozen] = holding.on_hold(row(Phase.IDLE, kept), NOW + DAY_S)
    assert "It waits for the end of the freeze, 2027-01-16" in frozen


@pytest.mark.parametrize(
    ("running", "words"),
    [
        (rollout(Strategy.CANARY), "Version 2 goes on answering 20% of the rows."),
        (rollout(Strategy.SHADOW), "Version 2 scores every row in the shadow"),
        (rollout(Strategy.BLUE_GREEN), "Version 2 goes on answering every row; 1 stands by."),
        (rollout(Strategy.SHADOW, purpose="watch"), "once champion 1 is shown to be worse"),
    ],
)
def test_a_stopped_rollout_says_what_its_challenger_still_does(
    running: Rollout, words: str
) -> None:
    said = " ".join(holding.still_acts(row(Phase.ROLLOUT, paused=True), None, running))
    assert words in said
    assert "by itself" in said
    assert holding.still_acts(row(Phase.ROLLOUT), None, running) == []


@pytest.mark.parametrize("phase", [p for p in Phase if p not in (Phase.IDLE, Phase.ROLLOUT)])
def test_what_was_begun_before_the_stop_is_said_to_go_on(phase: Phase) -> None:
    said = holding.still_acts(row(phase, paused=True, candidate=2), None, None)
    assert (len(said) == 2) == (phase is not Phase.PROMOTING)
    assert said[-1] == "Windows are judged and alarms are raised as ever."


def test_alarms_that_wait_say_for_what() -> None:
    alarms = (m.AlarmRef(id="a", kind="drift", subject="delay"),)
    cooling = holding.on_hold(row(alarms=alarms, trained_at=NOW - DAY_S), None)
    assert cooling == ["1 alarm waits for the end of the cool-down, 2027-01-28T08:00:00Z."]
    looked = holding.on_hold(row(alarms=alarms * 2, checked_at=NOW - DAY_S), None)
    assert looked == [
        "2 alarms wait for the next look at the regret, 2027-01-21T08:00:00Z, or for 300 new"
        " labels."
    ]
    assert "It waits until the loop" in holding.on_hold(row(alarms=alarms, paused=True), None)[0]
    assert holding.on_hold(row(alarms=alarms), None) == []


def test_a_patient_request_is_said_to_wait() -> None:
    [said] = holding.on_hold(row(wanted=("ann asked: so",)), None)
    assert said == "ann asked: so It waits for the cool-down and a quiet loop."


def test_the_sentence_of_a_loop_begins_with_what_stops_it() -> None:
    assert in_words(row(paused=True)).startswith("Paused by hand. Watching tide")
    assert in_words(row(), NOW).startswith("Frozen until 2027-01-15")

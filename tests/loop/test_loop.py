"""What follows from what: the loop's table of reactions, one story a test."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring import loop
from mainspring.ground import loops
from mainspring.ground import messages as m
from mainspring.ground.loops import Phase, Reaction, View
from mainspring.ground.objects import DAY_S, LoopSpec, RetrainingPolicy

POLICY = RetrainingPolicy(cooldown_s=14 * DAY_S, check_every_s=7 * DAY_S, budget=3)
NOW = 100 * DAY_S


def spec(**changes: Any) -> LoopSpec:
    import msgspec

    return LoopSpec(
        name="l",
        model="model",
        pipeline="p:f",
        endpoint="e",
        target="y",
        kind="binary",
        retraining=msgspec.structs.replace(POLICY, **changes),
    )


def view(phase: Phase = Phase.IDLE, **more: Any) -> View:
    """Return a view of champion 4; a phase other than idle awaits command ``l-0009``."""
    given = {"loop": "l", "phase": phase, "champion": 4, "serial": 9, "now": NOW}
    if phase is not Phase.IDLE:
        given["command"] = "l-0009"
    if phase in (Phase.JUDGING, Phase.ROLLOUT, Phase.PROMOTING, Phase.WITHDRAWING):
        given["candidate"] = 5
    return View(**{**given, **more})


def react(event: Any, known: View, declared: LoopSpec | None = None) -> Reaction:
    return loop.react(event, known, declared or spec())


def event(kind: type, **more: Any) -> Any:
    given: dict[str, Any] = {"loop": "l", "at": NOW}
    if "by" in kind.__struct_fields__ and kind not in (m.Promoted, m.RolledBack):
        given |= {"by": "ann"}
    if "reason" in kind.__struct_fields__:
        given |= {"reason": "so"}
    return kind(**{**given, **more})


def answer(kind: type, **more: Any) -> Any:
    return event(kind, command="l-0009", **more)


def alarm(kind: str = "drift", one: str = "a1") -> m.AlarmRef:
    return m.AlarmRef(id=one, kind=kind, subject="delay")


def closed(*alarms: m.AlarmRef, at: float = NOW) -> m.WindowClosed:
    return m.WindowClosed(loop="l", at=at, window="w", alarms=list(alarms))


def closed_with(**told: int) -> m.WindowClosed:
    return m.WindowClosed(loop="l", at=NOW, window="w", **told)


def verdict(said: str, version: int = 5) -> m.Verdict:
    return event(m.Verdict, rollout="r", version=version, verdict=said)


def names(reaction: Reaction) -> list[str]:
    return [type(command).__name__ for command in reaction.commands]


def kinds(reaction: Reaction) -> list[str]:
    return [draft.kind for draft in reaction.decisions]


# ---------------------------------------------------------------- is a new version wanted?


def test_a_loop_without_a_champion_trains_its_first_version() -> None:
    reaction = react(event(m.LoopStarted), view(champion=None))
    assert names(reaction) == ["Train"]
    assert reaction.view.phase is Phase.TRAINING
    assert kinds(reaction) == ["retrain"]


def test_a_loop_whose_model_serves_already_takes_its_champion_as_given() -> None:
    reaction = react(event(m.LoopStarted, champion=7), view(champion=None))
    assert (names(reaction), reaction.view.champion) == ([], 7)


def test_a_late_declaration_does_not_undo_a_move_the_loop_knows_of() -> None:
    assert react(event(m.LoopStarted, champion=3), view()).view.champion == 4


def test_a_drift_alarm_asks_whether_a_new_version_would_pay() -> None:
    reaction = react(closed(alarm()), view())
    assert names(reaction) == ["MeasureRegret"]
    assert "drift of delay" in reaction.commands[0].reason
    assert [a.id for a in reaction.view.alarms] == ["a1"]


def test_a_performance_alarm_retrains_at_once() -> None:
    reaction = react(closed(alarm("performance")), view())
    assert names(reaction) == ["Train"]
    assert reaction.view.cause == "alarm:a1"


def test_a_policy_may_let_drift_alone_retrain_or_only_note_it() -> None:
    assert names(react(closed(alarm()), view(), spec(on_drift="retrain"))) == ["Train"]
    reaction = react(closed(alarm()), view(), spec(on_drift="note"))
    assert names(reaction) == []
    assert reaction.ended == (("a1", "dismissed"),)


@pytest.mark.parametrize("kind", ["concept", "calibration", "slice", "age", "joint", "drift"])
def test_what_says_that_something_changed_asks_whether_a_new_version_would_pay(kind) -> None:
    assert names(react(closed(alarm(kind)), view())) == ["MeasureRegret"]


@pytest.mark.parametrize("kind", ["bias", "attribution", "skew", "custom", "rule", "channel"])
def test_what_no_training_mends_is_noted(kind) -> None:
    assert react(closed(alarm(kind)), view()).ended == (("a1", "dismissed"),)


@pytest.mark.parametrize("phase", list(Phase))
def test_quality_and_traffic_are_noted_whatever_is_going_on(phase: Phase) -> None:
    reaction = react(closed(alarm("quality"), alarm("traffic", "a2")), view(phase))
    assert reaction.ended == (("a1", "dismissed"), ("a2", "dismissed"))
    assert kinds(reaction) == ["dismiss", "dismiss"]


def test_inside_the_cool_down_an_alarm_waits_and_is_taken_up_after_it() -> None:
    cooling = view(trained_at=NOW - 10 * DAY_S)
    waiting = react(closed(alarm("performance")), cooling)
    assert (names(waiting), len(waiting.view.alarms)) == ([], 1)
    later = react(closed(at=NOW + 4 * DAY_S), waiting.view)
    assert names(later) == ["Train"]


def test_when_the_budget_is_spent_alarms_are_dismissed_with_that_reason() -> None:
    reaction = react(closed(alarm()), view(retrainings=3))
    assert reaction.ended == (("a1", "dismissed"),)
    assert "budget of 3" in reaction.decisions[0].reason


def test_the_regret_is_measured_regularly_without_any_alarm() -> None:
    checked = view(checked_at=NOW - 8 * DAY_S)
    assert names(react(closed(), checked)) == ["MeasureRegret"]
    assert names(react(closed(), view(checked_at=NOW - 6 * DAY_S))) == []


def test_an_old_champion_is_replaced_by_schedule() -> None:
    old = view(promoted_at=NOW - 90 * DAY_S)
    reaction = react(closed(), old, spec(max_age_s=60 * DAY_S))
    assert names(reaction) == ["Train"]
    assert "90 days old" in reaction.decisions[0].reason


def test_a_champion_promoted_before_event_time_began_is_not_old() -> None:
    early = view(promoted_at=0.0, now=0.0)
    assert names(react(closed(), early, spec(max_age_s=60 * DAY_S))) == []


def test_regret_that_pays_trains_and_regret_that_does_not_waits() -> None:
    checking = view(Phase.CHECKING, alarms=(alarm(),))
    pays = react(answer(m.RegretMeasured, pays=True), checking)
    assert (names(pays), pays.view.cause) == (["Train"], "alarm:a1")
    waits = react(answer(m.RegretMeasured, pays=False), checking)
    assert (names(waits), waits.view.phase) == ([], Phase.IDLE)
    assert kinds(waits) == ["wait", "dismiss"]


def test_an_urgent_alarm_that_came_during_the_check_is_not_dismissed_with_it() -> None:
    checking = view(Phase.CHECKING, alarms=(alarm(), alarm("performance", "a2")))
    reaction = react(answer(m.RegretMeasured, pays=False), checking)
    assert reaction.ended == (("a1", "dismissed"),)
    assert (names(reaction), reaction.view.cause) == (["Train"], "alarm:a2")


def test_a_request_trains_unless_something_is_in_its_way_which_is_said() -> None:
    asked = event(m.RetrainRequested)
    assert names(react(asked, view())) == ["Train"]
    for hindered, why in [
        (view(Phase.JUDGING), "the loop is judging"),
        (view(trained_at=NOW - DAY_S), "the cool-down is not over"),
        (view(retrainings=3), "the budget of 3"),
    ]:
        reaction = react(asked, hindered)
        assert (names(reaction), kinds(reaction)) == ([], ["decline"])
        assert why in reaction.decisions[0].reason


def test_a_first_version_that_failed_may_be_tried_again_at_once() -> None:
    failed = view(champion=None, trained_at=NOW - 1, retrainings=3)
    assert names(react(event(m.RetrainRequested), failed)) == ["Train"]


# ---------------------------------------------------------------- from training to traffic


def test_training_leads_to_registration_judgement_and_a_rollout() -> None:
    trained = react(answer(m.Trained, run="r1", ok=True), view(Phase.TRAINING, cause="x"))
    assert trained.commands == (
        m.Register(
            id="l-0010", loop="l", at=NOW, reason="Training finished.", run="r1", cause="x"
        ),
    )
    registered = react(answer(m.Registered, version=5), view(Phase.REGISTERING))
    assert (names(registered), registered.view.candidate) == (["Judge"], 5)
    judged = react(answer(m.Judged, version=5, passed=True), view(Phase.JUDGING))
    assert names(judged) == ["StartRollout"]
    assert (judged.commands[0].version, judged.commands[0].over) == (5, 4)
    assert kinds(judged) == ["canary"]


def test_a_failed_training_and_a_refused_candidate_end_the_alarms_as_rejected() -> None:
    for known, told in [
        (view(Phase.TRAINING), answer(m.Trained, run="r", ok=False)),
        (view(Phase.JUDGING), answer(m.Judged, version=5, passed=False)),
    ]:
        import msgspec

        reaction = react(told, msgspec.structs.replace(known, alarms=(alarm(),)))
        assert reaction.ended == (("a1", "rejected"),)
        assert (reaction.view.phase, kinds(reaction)) == (Phase.IDLE, ["reject"])


def test_the_first_version_needs_the_gate_alone() -> None:
    reaction = react(answer(m.Judged, version=5, passed=True), view(Phase.JUDGING, champion=None))
    assert names(reaction) == ["Promote"]
    assert reaction.commands[0].over is None


def test_a_rollout_that_proved_better_promotes_and_then_ends_the_alarms() -> None:
    better = react(verdict("better"), view(Phase.ROLLOUT, alarms=(alarm(),)))
    assert (names(better), better.view.phase) == (["Promote"], Phase.PROMOTING)
    moved = event(m.Promoted, command="l-0010", version=5, previous=4)
    done = react(moved, better.view)
    assert done.ended == (("a1", "promoted"),)
    assert (done.view.champion, done.view.previous, done.view.phase) == (5, 4, Phase.IDLE)


@pytest.mark.parametrize(
    ("said", "outcome"), [("worse", "rolled_back"), ("undecided", "rejected")]
)
def test_a_rollout_that_did_not_is_withdrawn(said: str, outcome: str) -> None:
    withdrawn = react(verdict(said), view(Phase.ROLLOUT, alarms=(alarm(),)))
    assert names(withdrawn) == ["Withdraw"]
    assert withdrawn.commands[0].outcome == outcome
    done = react(event(m.RolledBack, command="l-0010", version=5, champion=4), withdrawn.view)
    assert (done.ended, done.view.champion) == ((("a1", outcome),), 4)


def test_a_verdict_on_another_version_or_outside_a_rollout_is_nothing() -> None:
    for known in (view(), view(Phase.ROLLOUT, candidate=6)):
        assert react(verdict("better"), known) == Reaction(view=known)


def test_an_override_reaches_a_rollout_and_never_gets_past_one() -> None:
    let_in = react(event(m.Overridden, version=3), view())
    assert (names(let_in), let_in.view.overridden) == (["StartRollout"], True)
    better = react(verdict("better", 3), let_in.view)
    assert names(better) == ["Withdraw"]
    assert "only a passed gate" in better.decisions[0].reason


def test_an_override_is_declined_while_the_loop_is_busy_or_for_the_champion() -> None:
    for known, version in [(view(Phase.TRAINING), 3), (view(), 4), (view(champion=None), 3)]:
        reaction = react(event(m.Overridden, version=version), known)
        assert (names(reaction), kinds(reaction)) == ([], ["decline"])


# ---------------------------------------------------------------- hands


@pytest.mark.parametrize(
    "phase", [Phase.CHECKING, Phase.TRAINING, Phase.REGISTERING, Phase.JUDGING]
)
def test_a_hands_promotion_leaves_what_is_in_the_making_going_on(phase: Phase) -> None:
    known = view(phase, alarms=(alarm(),))
    reaction = react(event(m.Promoted, version=2, previous=4, by="ann"), known)
    after = reaction.view
    assert (after.phase, after.command, after.champion) == (phase, "l-0009", 2)
    assert (reaction.ended, kinds(reaction)) == ((), ["promote"])
    if phase is Phase.JUDGING:
        judged = react(answer(m.Judged, version=5, passed=True), after)
        assert judged.commands[0].over == 2


@pytest.mark.parametrize("phase", [Phase.ROLLOUT, Phase.PROMOTING])
def test_a_hands_promotion_ends_a_rollout(phase: Phase) -> None:
    known = view(phase, alarms=(alarm(),))
    other = react(event(m.Promoted, version=2, previous=4, by="ann"), known)
    assert (other.view.phase, other.ended) == (Phase.IDLE, (("a1", "rejected"),))
    same = react(event(m.Promoted, version=5, previous=4, by="ann"), known)
    assert (same.view.phase, same.ended) == (Phase.IDLE, (("a1", "promoted"),))


def test_a_hand_that_promotes_the_candidate_itself_saves_it_the_rollout() -> None:
    known = view(Phase.JUDGING, alarms=(alarm(),))
    reaction = react(event(m.Promoted, version=5, previous=4, by="ann"), known)
    assert (reaction.view.phase, reaction.ended) == (Phase.IDLE, (("a1", "promoted"),))
    late = react(answer(m.Judged, version=5, passed=True), reaction.view)
    assert names(late) == []


def test_a_hand_while_a_candidate_is_withdrawn_changes_only_who_serves() -> None:
    known = view(Phase.WITHDRAWING)
    reaction = react(event(m.RolledBack, version=4, champion=3, by="ann"), known)
    assert (reaction.view.phase, reaction.view.champion) == (Phase.WITHDRAWING, 3)
    done = react(answer(m.RolledBack, version=5, champion=3), reaction.view)
    assert (done.view.phase, done.view.champion) == (Phase.IDLE, 3)


def test_a_hand_answers_the_alarms_of_an_idle_loop() -> None:
    known = view(alarms=(alarm("performance"),), trained_at=NOW - DAY_S)
    forward = react(event(m.Promoted, version=2, previous=4, by="ann"), known)
    assert forward.ended == (("a1", "promoted"),)
    back = react(event(m.RolledBack, version=4, champion=3, by="ann"), known)
    assert (back.ended, back.view.champion) == ((("a1", "rolled_back"),), 3)


# ---------------------------------------------------------------- a champion that breaks


def broke() -> m.ChampionBroke:
    return event(m.ChampionBroke, version=4)


def test_a_champion_that_breaks_goes_back_by_itself() -> None:
    reverting = react(broke(), view(previous=3, alarms=(alarm(),)))
    assert (names(reverting), reverting.view.phase) == (["Revert"], Phase.REVERTING)
    assert (reverting.commands[0].version, reverting.commands[0].to) == (4, 3)
    done = react(event(m.RolledBack, command="l-0010", version=4, champion=3), reverting.view)
    assert (done.view.champion, done.view.previous) == (3, None)
    assert done.ended == (("a1", "rolled_back"),)


def test_one_that_is_not_champion_or_has_none_before_it_stays() -> None:
    assert names(react(broke(), view(previous=None))) == []
    assert names(react(broke(), view(champion=6, previous=4))) == []


@pytest.mark.parametrize(
    "phase", [Phase.CHECKING, Phase.TRAINING, Phase.REGISTERING, Phase.JUDGING]
)
def test_a_roll_back_does_not_wait_for_a_training_which_goes_on_after_it(phase: Phase) -> None:
    reverting = react(broke(), view(phase, previous=3, paused=True))
    assert names(reverting) == ["Revert"]
    waiting = react(answer(m.CommandFailed, error="late"), reverting.view)
    assert len(waiting.view.held) == 1
    done = react(event(m.RolledBack, command="l-0010", version=4, champion=3), reverting.view)
    assert (done.view.phase, done.view.command) == (phase, "l-0009")
    assert done.view.suspended is None
    assert done.ended == ()


def test_answers_that_come_while_going_back_are_kept_until_it_is_done() -> None:
    reverting = react(broke(), view(Phase.TRAINING, previous=3)).view
    kept = react(answer(m.Trained, run="r", ok=True), reverting)
    assert (names(kept), kept.view.phase) == ([], Phase.REVERTING)
    done = react(event(m.RolledBack, command="l-0010", version=4, champion=3), kept.view)
    assert (names(done), done.view.phase) == (["Register"], Phase.REGISTERING)


def test_a_rollout_against_a_broken_champion_ends_with_it() -> None:
    reverting = react(broke(), view(Phase.ROLLOUT, previous=3, alarms=(alarm(),)))
    done = react(event(m.RolledBack, command="l-0010", version=4, champion=3), reverting.view)
    assert (done.view.phase, done.view.candidate) == (Phase.IDLE, None)
    assert done.ended == (("a1", "rolled_back"),)


def test_a_break_while_promoting_waits_that_moment_and_is_void_after_it() -> None:
    kept = react(broke(), view(Phase.PROMOTING, previous=3))
    assert (names(kept), len(kept.view.held)) == ([], 1)
    done = react(answer(m.Promoted, version=5, previous=4), kept.view)
    assert (names(done), done.view.held) == ([], ())


def test_a_hand_makes_a_roll_back_void() -> None:
    reverting = react(broke(), view(Phase.TRAINING, previous=3)).view
    reaction = react(event(m.Promoted, version=2, previous=4, by="ann"), reverting)
    assert (reaction.view.phase, reaction.view.command) == (Phase.TRAINING, "l-0009")


# ---------------------------------------------------------------- pauses, failures, old answers


def test_a_paused_loop_keeps_what_would_make_it_act_and_goes_on_when_resumed() -> None:
    paused = react(event(m.Paused), view(Phase.JUDGING)).view
    kept = react(answer(m.Judged, version=5, passed=True), paused)
    assert (names(kept), len(kept.view.held)) == ([], 1)
    resumed = react(event(m.Resumed), kept.view)
    assert (names(resumed), kinds(resumed)) == (["StartRollout"], ["resume", "canary"])


def test_a_paused_loop_collects_alarms_and_takes_them_up_when_resumed() -> None:
    collected = react(closed(alarm("performance")), view(paused=True))
    assert (names(collected), len(collected.view.alarms)) == ([], 1)
    assert names(react(event(m.Resumed), collected.view)) == ["Train"]


def test_a_pause_keeps_a_promotion_waiting_but_never_a_withdrawal() -> None:
    paused = view(Phase.ROLLOUT, paused=True)
    assert names(react(verdict("better"), paused)) == []
    assert names(react(verdict("worse"), paused)) == ["Withdraw"]


def test_what_was_kept_may_have_become_void() -> None:
    kept = react(verdict("better"), view(Phase.ROLLOUT, paused=True)).view
    rolled = react(event(m.Promoted, version=2, previous=4, by="ann"), kept).view
    resumed = react(event(m.Resumed), rolled)
    assert (names(resumed), resumed.view.held) == ([], ())


def test_a_command_that_failed_ends_the_attempt() -> None:
    for phase in (Phase.TRAINING, Phase.REGISTERING, Phase.JUDGING, Phase.ROLLOUT):
        reaction = react(answer(m.CommandFailed, error="disk"), view(phase, alarms=(alarm(),)))
        assert (reaction.view.phase, reaction.ended) == (Phase.IDLE, (("a1", "rejected"),))
        assert "disk" in reaction.decisions[0].reason


def test_a_check_that_failed_is_as_good_as_none() -> None:
    reaction = react(answer(m.CommandFailed, error="x"), view(Phase.CHECKING, alarms=(alarm(),)))
    assert (kinds(reaction), reaction.ended) == (["wait", "dismiss"], (("a1", "dismissed"),))


def test_a_promotion_that_failed_withdraws_the_challenger() -> None:
    reaction = react(answer(m.CommandFailed, error="x"), view(Phase.PROMOTING))
    assert (names(reaction), reaction.view.outcome) == (["Withdraw"], "rejected")
    first = react(answer(m.CommandFailed, error="x"), view(Phase.PROMOTING, champion=None))
    assert (names(first), first.view.phase) == ([], Phase.IDLE)


@pytest.mark.parametrize(
    ("phase", "command"), [(Phase.WITHDRAWING, "Withdraw"), (Phase.REVERTING, "Revert")]
)
def test_safety_that_failed_is_asked_again_at_the_next_window(phase: Phase, command: str) -> None:
    known = view(phase, previous=3, candidate=5, paused=True)
    failed = react(answer(m.CommandFailed, error="x"), known)
    assert (names(failed), kinds(failed)) == ([], ["delay"])
    assert names(react(closed(), failed.view)) == [command]


@pytest.mark.parametrize(
    "old",
    [
        event(m.RegretMeasured, command="l-0001", pays=True),
        event(m.Trained, command="l-0001", run="r", ok=True),
        event(m.Registered, command="l-0001", version=9),
        event(m.Judged, command="l-0001", version=9, passed=True),
        event(m.Promoted, command="l-0001", version=9, previous=1),
        event(m.RolledBack, command="l-0001", version=4, champion=1),
        event(m.CommandFailed, command="l-0001", error="x"),
    ],
)
@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.REVERTING])
def test_an_answer_to_an_old_command_changes_nothing(old: Any, phase: Phase) -> None:
    assert react(old, view(phase)) == Reaction(view=view(phase))


# ---------------------------------------------------------------- counts, looks and budgets


def test_so_many_rows_or_labels_train_and_begin_to_count_anew() -> None:
    busy = spec(every_labels=500)
    first = react(closed_with(labels_seen=10_000), view(), busy)
    assert (names(first), first.view.labels_trained) == ([], 10_000)
    later = react(closed_with(labels_seen=10_500), first.view, busy)
    assert (names(later), later.view.cause) == (["Train"], "labels")
    assert later.view.labels_trained == 10_500
    served = react(closed_with(rows=60), view(rows=40), spec(every_rows=100))
    assert (names(served), served.view.rows) == (["Train"], 0)


def test_an_alarm_does_not_ask_again_before_a_look_may_say_something_new() -> None:
    looked = view(checked_at=NOW - 2 * DAY_S, labels_checked=100, labels=100)
    waits = react(closed(alarm()), looked)
    assert (names(waits), len(waits.view.alarms)) == ([], 1)
    assert names(react(closed(at=NOW + 5 * DAY_S), waits.view)) == ["MeasureRegret"]
    news = react(closed_with(labels_seen=400), waits.view, spec(check_labels=300))
    assert names(news) == ["MeasureRegret"]


def test_a_look_that_had_too_little_to_compare_on_does_not_count() -> None:
    checking = view(Phase.CHECKING, checked_at=NOW, alarms=(alarm(),))
    done = react(answer(m.RegretMeasured, pays=False, compared=False), checking)
    assert (names(done), done.ended) == ([], (("a1", "dismissed"),))
    assert names(react(closed(alarm(one="a2"), at=NOW + 1), done.view)) == ["MeasureRegret"]


def test_the_greatest_age_is_a_floor_under_a_check_that_says_no() -> None:
    old = view(Phase.CHECKING, checked_at=NOW, promoted_at=NOW - 90 * DAY_S)
    done = react(answer(m.RegretMeasured, pays=False), old, spec(max_age_s=60 * DAY_S))
    assert (names(done), done.view.cause) == (["Train"], "schedule")
    for above in [view(retrainings=3), view(trained_at=NOW), view(frozen_until=NOW + 1)]:
        old = loops.but(above, promoted_at=NOW - 90 * DAY_S)
        assert names(react(closed(), old, spec(max_age_s=60 * DAY_S))) == []


def test_minutes_of_training_are_counted_and_are_a_budget() -> None:
    failed = react(answer(m.Trained, run="r", ok=False, seconds=90.0), view(Phase.TRAINING))
    assert failed.view.trained_s == 90.0
    reaction = react(closed(alarm("performance")), failed.view, spec(budget_s=60))
    assert reaction.ended == (("a1", "dismissed"),)
    assert "budget of 1 minutes of training is spent" in reaction.decisions[0].reason


def test_a_patient_request_waits_for_the_cool_down_and_is_answered_by_one_training() -> None:
    cooling = view(trained_at=NOW - 10 * DAY_S)
    asked = event(m.RetrainRequested, patient=True)
    waits = react(asked, cooling)
    assert (names(waits), kinds(waits)) == ([], ["wait"])
    again = react(asked, waits.view)
    assert again.view.wanted == waits.view.wanted
    later = react(closed(at=NOW + 4 * DAY_S), again.view)
    assert (names(later), later.view.wanted) == (["Train"], ())
    assert "ann asked: so" in later.decisions[0].reason


def test_a_patient_request_is_declined_where_only_a_person_can_help() -> None:
    spent = view(trained_at=NOW - DAY_S, retrainings=3)
    assert kinds(react(event(m.RetrainRequested, patient=True), spent)) == ["decline"]


# ---------------------------------------------------------------- freezes and pauses


@pytest.mark.parametrize(
    ("phase", "comes"),
    [
        (Phase.IDLE, event(m.RetrainRequested)),
        (Phase.IDLE, event(m.Overridden, version=8)),
        (Phase.CHECKING, answer(m.RegretMeasured, pays=True)),
        (Phase.JUDGING, answer(m.Judged, version=5, passed=True)),
        (Phase.ROLLOUT, verdict("better")),
    ],
)
def test_in_a_freeze_nothing_begins_and_at_its_end_it_does(phase: Phase, comes: Any) -> None:
    frozen = view(phase, frozen_until=NOW + DAY_S)
    held = react(comes, frozen)
    assert (names(held), kinds(held), len(held.view.held)) == ([], ["hold"], 1)
    assert "a freeze is in force until" in held.decisions[0].reason
    thawed = react(event(m.FreezeEnded), loops.but(held.view, frozen_until=None))
    assert names(thawed) == names(react(comes, view(phase))) != []


def test_in_a_freeze_alarms_wait_and_are_taken_up_at_its_end() -> None:
    waits = react(closed(alarm("performance")), view(frozen_until=NOW + DAY_S))
    assert (names(waits), len(waits.view.alarms)) == ([], 1)
    assert names(react(event(m.FreezeEnded), loops.but(waits.view, frozen_until=None))) == [
        "Train"
    ]


@pytest.mark.parametrize("stop", [{"frozen_until": NOW + DAY_S}, {"paused": True}])
def test_harm_ends_a_rollout_and_a_broken_champion_goes_back_in_freeze_and_pause(stop) -> None:
    assert names(react(verdict("worse"), view(Phase.ROLLOUT, **stop))) == ["Withdraw"]
    broke = event(m.ChampionBroke, version=4)
    assert names(react(broke, view(previous=3, **stop))) == ["Revert"]


def test_a_training_under_way_goes_on_in_a_freeze_up_to_its_judgement() -> None:
    frozen = {"frozen_until": NOW + DAY_S}
    trained = react(answer(m.Trained, run="r", ok=True), view(Phase.TRAINING, **frozen))
    assert names(trained) == ["Register"]
    assert names(react(answer(m.Registered, version=5), view(Phase.REGISTERING, **frozen))) == [
        "Judge"
    ]


def test_a_hand_moves_the_champion_in_a_freeze_too() -> None:
    moved = event(m.Promoted, version=7, previous=4, by="ann")
    assert react(moved, view(frozen_until=NOW + DAY_S)).view.champion == 7


def test_a_pause_before_a_promotion_is_done_holds_its_proof_and_voids_its_command() -> None:
    better = react(verdict("better"), view(Phase.ROLLOUT))
    command = better.commands[0]
    paused = react(event(m.Paused), better.view)
    assert (paused.view.phase, paused.view.candidate) == (Phase.ROLLOUT, 5)
    assert paused.view.command != command.id
    assert kinds(paused) == ["pause"]
    late = react(event(m.CommandFailed, command=command.id, error="not wanted"), paused.view)
    assert late == Reaction(view=paused.view)
    resumed = react(event(m.Resumed), paused.view)
    assert (names(resumed), resumed.commands[0].version) == (["Promote"], 5)
    assert resumed.commands[0].id != command.id


def test_a_pause_before_the_first_promotion_is_done_holds_its_judgement() -> None:
    judged = answer(m.Judged, version=5, passed=True)
    first = react(judged, view(Phase.JUDGING, champion=None))
    paused = react(event(m.Paused), first.view)
    assert (names(paused), paused.view.phase) == ([], Phase.JUDGING)
    assert names(react(event(m.Resumed), paused.view)) == ["Promote"]


def test_a_proof_that_waits_is_no_shelter_from_harm() -> None:
    held = react(verdict("better"), view(Phase.ROLLOUT, paused=True))
    assert names(held) == []
    harm = react(verdict("worse"), held.view)
    assert names(harm) == ["Withdraw"]
    home = react(event(m.RolledBack, command="l-0010", version=5, champion=4), harm.view)
    assert names(react(event(m.Resumed), home.view)) == []


def test_a_pause_may_send_the_challenger_home_first() -> None:
    asked = event(m.Paused, withdraw=True)
    reaction = react(asked, view(Phase.ROLLOUT))
    assert (names(reaction), kinds(reaction)) == (["Withdraw"], ["pause", "reject"])
    assert reaction.view.paused
    promoting = react(verdict("better"), view(Phase.ROLLOUT)).view
    assert names(react(asked, promoting)) == ["Withdraw"]
    assert names(react(asked, view(Phase.TRAINING))) == []


def test_time_never_goes_backwards() -> None:
    assert react(closed(at=NOW - DAY_S), view()).view.now == NOW
    assert react(closed(at=NOW + DAY_S), view()).view.now == NOW + DAY_S


def test_every_event_has_a_reaction() -> None:
    assert set(loop.REACTIONS) == set(m.AnyEvent.__args__)

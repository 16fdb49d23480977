"""The closed loop on one page: what follows from what.

``react(event, view, spec)`` is pure: it reads no clock, no store, no network. It returns the
next view, the commands to hand out, the decisions to write down and the alarms that ended.
``REACTIONS`` is the whole policy; ``engine`` stores all four in one transaction.

Promises (held by tests/loop over thousands of random histories):

1. The champion changes only after a passed gate and a rollout that proved it better. The
   first version needs the gate alone; an approver may move it by hand, with a reason.
2. At most one retraining at a time, and none inside the cool-down or beyond the budget. Where
   nothing serves yet there is nothing to protect: a first version may be tried again at once.
3. Every alarm ends in exactly one of promoted, rejected, rolled_back, dismissed.
4. A champion that breaks after its promotion goes back by itself, paused or not, whatever
   else is going on.
5. Once a pause is answered, or in a freeze, nothing begins: no check, training, rollout or
   promotion. What does harm still goes home, and what waits is written down.

A person's hand goes first. What it makes void (a rollout against another champion) the store
ends with the same move; ``over`` and ``version`` let rooms refuse commands that come too late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainspring.ground import messages as m
from mainspring.ground.loops import (
    Draft,
    Phase,
    Reaction,
    View,
    and_then,
    but,
    end,
    give,
    hold,
    rest,
    say,
    stopped,
)
from mainspring.ground.objects import LoopSpec
from mainspring.retraining import triggers

__all__ = ["REACTIONS", "Draft", "Phase", "Reaction", "View", "react"]


def react(event: m.AnyEvent, view: View, spec: LoopSpec) -> Reaction:
    """Return what follows from ``event``; the same arguments always give the same answer."""
    view = but(view, now=max(view.now, event.at))
    if view.promoted_at == 0.0:  # promoted before the first row told what time it is
        view = but(view, promoted_at=view.now)
    if _must_wait(event, view):
        return hold(view, event)
    reaction = REACTIONS[type(event)](event, view, spec)
    while freed := _next_held(reaction.view):
        waiting, view = freed
        reaction = and_then(reaction, REACTIONS[type(waiting)](waiting, view, spec))
    return reaction


def _must_wait(event: m.AnyEvent, view: View) -> bool:
    """Return whether the event is kept for later: safety and hands never wait for a resume."""
    if isinstance(event, m.ChampionBroke):  # a moment: the champion may be another one then
        return view.phase in (Phase.PROMOTING, Phase.WITHDRAWING, Phase.REVERTING)
    if isinstance(event, m.LoopStarted) and (event.champion or view.champion):
        return False  # it begins nothing: it tells who serves
    if view.phase is Phase.REVERTING:
        late = isinstance(event, m.CommandFailed) and event.command != view.command
        return late or isinstance(event, (*_MAKE_IT_ACT, m.Verdict))
    better = isinstance(event, m.Verdict) and event.verdict == "better"
    if view.frozen_until is not None and (better or isinstance(event, _BEGIN_SOMETHING)):
        return True
    return view.paused and (better or isinstance(event, _MAKE_IT_ACT))


def _next_held(view: View) -> tuple[m.AnyEvent, View] | None:
    """Return the oldest kept event that need not wait any more, and the view without it."""
    for place, text in enumerate(view.held):
        event = m.decode_event(text)
        if not _must_wait(event, view):
            return event, but(view, held=view.held[:place] + view.held[place + 1 :])
    return None


# ---------------------------------------------------------------- should there be a new version?


def _started(event: m.LoopStarted, view: View, spec: LoopSpec) -> Reaction:
    view = but(view, champion=event.champion if view.champion is None else view.champion)
    if view.champion is None and view.phase is Phase.IDLE:
        return _train(view, "first", "There is no champion yet.")
    return Reaction(view=view)


def _window_closed(event: m.WindowClosed, view: View, spec: LoopSpec) -> Reaction:
    known = {alarm.id for alarm in view.alarms}
    view = but(view, alarms=view.alarms + tuple(a for a in event.alarms if a.id not in known))
    view = but(view, rows=view.rows + event.rows, labels=max(view.labels, event.labels_seen))
    if view.labels_trained is None:  # what came before anybody counted is not new
        view = but(view, labels_trained=view.labels)
    noted = tuple(alarm for alarm in view.alarms if _wish(alarm, spec) == "note")
    start = end(view, noted, "dismissed", "The policy only notes alarms of this kind.")
    if view.command is None and view.phase is Phase.WITHDRAWING:
        return and_then(start, _withdraw(start.view, "Asked again."))
    if view.command is None and view.phase is Phase.REVERTING:
        return and_then(start, _revert(start.view, "Asked again."))
    return and_then(start, _consider(start.view, spec))


def _consider(view: View, spec: LoopSpec) -> Reaction:
    """Decide whether what is known calls for a retraining or for a look at the regret."""
    policy, resting = spec.retraining, view.phase is Phase.IDLE and view.champion is not None
    if not resting or stopped(view) or _cooling(view, spec):
        return Reaction(view=view)
    if hindrance := _hindrance(view, spec):
        return end(view, view.alarms, "dismissed", f"No retraining: {hindrance}.")
    urgent = [alarm for alarm in view.alarms if _wish(alarm, spec) == "retrain"]
    if urgent:
        return _train(view, f"alarm:{urgent[0].id}", f"Alarm: {triggers.told(urgent)}.")
    if asked := triggers.asked(view, policy):
        return _train(view, *asked)
    asking = view.alarms and triggers.may_check(view, policy)
    if not asking and not triggers.check_due(view, policy):
        return Reaction(view=view)
    told = triggers.told(view.alarms) or "the regular check"
    reason = f"Would a fresh version do better? Asked because of {told}."
    view, given = give(view, Phase.CHECKING, reason)
    view = but(view, checked_at=view.now, compared=True, labels_checked=view.labels)
    return Reaction(view=view, commands=(m.MeasureRegret(**given),))


def _wish(alarm: m.AlarmRef, spec: LoopSpec) -> str:
    return triggers.wish(alarm, spec.retraining)


def _regret(event: m.RegretMeasured, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    idle = rest(but(view, compared=event.compared))
    if not event.pays:
        return _let_be(idle, spec, event.reason, event.evidence)
    if hindrance := _hindrance(idle, spec):  # the loop was declared anew meanwhile
        return _decline(idle, f"loop:{view.loop}", f"{event.reason} But {hindrance}.")
    cause = f"alarm:{view.alarms[0].id}" if view.alarms else "regret"
    return _train(idle, cause, event.reason, event.evidence)


def _let_be(idle: View, spec: LoopSpec, reason: str, evidence: dict[str, Any]) -> Reaction:
    """Dismiss what only asked for a look; an urgent alarm that came meanwhile is still open."""
    asked = tuple(alarm for alarm in idle.alarms if _wish(alarm, spec) != "retrain")
    wait = say(idle, "wait", f"loop:{idle.loop}", reason, evidence)
    quiet = and_then(wait, end(idle, asked, "dismissed", reason))
    return and_then(quiet, _consider(quiet.view, spec))


def _requested(event: m.RetrainRequested, view: View, spec: LoopSpec) -> Reaction:
    asked, subject = f"{event.by} asked: {event.reason}", f"loop:{view.loop}"
    hindrance = _hindrance(view, spec)
    if hindrance and event.patient and triggers.will_pass(view, spec.retraining):
        view = but(view, wanted=(*(w for w in view.wanted if w != asked), asked))
        return say(view, "wait", subject, f"{asked} It is not forgotten, but {hindrance}.")
    if hindrance:
        told = f"{event.by} asked for a retraining ({event.reason}), but {hindrance}."
        return _decline(view, subject, told)
    return _train(view, f"request:{event.by}", asked)


def _hindrance(view: View, spec: LoopSpec) -> str | None:
    """Return why no retraining may begin now, if so."""
    if view.phase is not Phase.IDLE:
        return f"the loop is {view.phase}"
    if view.champion is None:
        return None
    if _cooling(view, spec):
        return "the cool-down is not over"
    return triggers.spent(view, spec.retraining)


def _cooling(view: View, spec: LoopSpec) -> bool:
    return triggers.cooling(view, spec.retraining)


# ---------------------------------------------------------------- from training to traffic


def _train(
    view: View, cause: str, reason: str, evidence: dict[str, Any] | None = None
) -> Reaction:
    view, given = give(view, Phase.TRAINING, reason)
    view = but(view, cause=cause, trained_at=view.now, retrainings=view.retrainings + 1)
    view = but(view, rows=0, labels_trained=view.labels, wanted=())  # all of it is answered
    command = m.Train(**given, cause=cause)
    return say(view, "retrain", f"loop:{view.loop}", reason, evidence, command)


def _trained(event: m.Trained, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    view = but(view, trained_s=view.trained_s + event.seconds)
    if not event.ok:
        return _reject(view, f"run:{event.run}", f"Training failed: {event.reason}")
    view, given = give(view, Phase.REGISTERING, "Training finished.")
    return Reaction(view=view, commands=(m.Register(**given, run=event.run, cause=view.cause),))


def _registered(event: m.Registered, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    view = but(view, candidate=event.version)
    view, given = give(view, Phase.JUDGING, "A new candidate.")
    return Reaction(view=view, commands=(m.Judge(**given, version=event.version),))


def _judged(event: m.Judged, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    if not event.passed:
        return _reject(view, f"{spec.model}/{event.version}", event.reason)
    if view.champion is None:
        view = but(view, proof=m.encode(event))
        return _promote(view, spec, f"The first version; {event.reason}", {})
    return _roll_out(view, spec, event.version, event.reason)


def _roll_out(view: View, spec: LoopSpec, version: int, reason: str) -> Reaction:
    view, given = give(but(view, candidate=version), Phase.ROLLOUT, reason)
    command = m.StartRollout(**given, version=version, over=view.champion)
    kind = str(spec.rollout.strategy)
    return say(view, kind, f"{spec.model}/{version}", reason, None, command)


def _overridden(event: m.Overridden, view: View, spec: LoopSpec) -> Reaction:
    if view.phase is not Phase.IDLE or view.champion in (None, event.version):
        told = f"the loop is {view.phase} with champion {view.champion}"
        reason = f"{event.by} asked for an override, but {told}."
        return _decline(view, f"{spec.model}/{event.version}", reason)
    reason = f"Let in by an override of {event.by}: {event.reason}"
    view = but(view, cause=f"override:{event.by}", overridden=True)
    return _roll_out(view, spec, event.version, reason)


def _verdict(event: m.Verdict, view: View, spec: LoopSpec) -> Reaction:
    if view.phase is not Phase.ROLLOUT or event.version != view.candidate:
        return Reaction(view=view)
    reason = event.reason
    if event.verdict == "better" and not view.overridden:
        return _promote(but(view, proof=m.encode(event)), spec, reason, event.evidence)
    if event.verdict == "better":
        reason += " But it came by an override, and only a passed gate makes a champion."
    outcome = "rolled_back" if event.verdict == "worse" else "rejected"
    return _turn_down(view, spec, outcome, reason, event.evidence)


def _promote(view: View, spec: LoopSpec, reason: str, evidence: dict[str, Any]) -> Reaction:
    version = view.candidate or 0
    view, given = give(view, Phase.PROMOTING, reason)
    command = m.Promote(**given, version=version, over=view.champion)
    return say(view, "promote", f"{spec.model}/{version}", reason, evidence, command)


def _turn_down(
    view: View, spec: LoopSpec, outcome: str, reason: str, evidence: dict[str, Any]
) -> Reaction:
    kind = "roll_back" if outcome == "rolled_back" else "reject"
    said = say(view, kind, f"{spec.model}/{view.candidate}", reason, evidence)
    return and_then(said, _withdraw(but(view, outcome=outcome), reason))


def _withdraw(view: View, reason: str) -> Reaction:
    view, given = give(view, Phase.WITHDRAWING, reason)
    command = m.Withdraw(**given, version=view.candidate or 0, outcome=view.outcome)
    return Reaction(view=view, commands=(command,))


# ---------------------------------------------------------------- when the champion moves


def _promoted(event: m.Promoted, view: View, spec: LoopSpec) -> Reaction:
    if event.command not in (None, view.command):
        return Reaction(view=view)
    moved = but(view, champion=event.version, previous=event.previous, promoted_at=view.now)
    if event.command is not None:
        return end(rest(moved), view.alarms, "promoted", event.reason)
    told = f"{event.by} by hand: {event.reason}"
    said = say(moved, "promote", f"{spec.model}/{event.version}", told)
    abandoned = "promoted" if event.version == view.candidate else "rejected"
    return and_then(said, _after_a_hand(moved, abandoned, "promoted", event.reason))


def _rolled_back(event: m.RolledBack, view: View, spec: LoopSpec) -> Reaction:
    if event.command not in (None, view.command):
        return Reaction(view=view)
    moved, withdrawn = view, event.command is not None and view.phase is Phase.WITHDRAWING
    if event.version == view.champion and not withdrawn:
        moved = but(view, champion=event.champion, previous=None, promoted_at=view.now)
    if event.command is not None and view.phase is Phase.REVERTING:
        return _go_on(moved, "rolled_back", event.reason)
    if event.command is not None:
        return end(rest(moved), view.alarms, view.outcome, event.reason)
    told = f"{event.by} by hand: {event.reason}"
    said = say(moved, "roll_back", f"{spec.model}/{event.version}", told)
    return and_then(said, _after_a_hand(moved, "rolled_back", "rolled_back", event.reason))


def _after_a_hand(moved: View, abandoned: str, answered: str, reason: str) -> Reaction:
    """Go on after a person moved the champion: ``abandoned`` is what became of a rollout."""
    if moved.phase is Phase.REVERTING:
        return _go_on(moved, answered, reason)
    if moved.phase is Phase.WITHDRAWING:
        mine = moved.champion == moved.candidate
        return Reaction(view=but(moved, outcome=abandoned) if mine else moved)
    if moved.phase is Phase.IDLE:
        return end(moved, moved.alarms, answered, reason)
    if moved.phase in (Phase.ROLLOUT, Phase.PROMOTING) or moved.champion == moved.candidate:
        return end(rest(moved), moved.alarms, abandoned, reason)
    return Reaction(view=moved)  # a candidate in the making meets the new champion


def _broke(event: m.ChampionBroke, view: View, spec: LoopSpec) -> Reaction:
    if event.version != view.champion or view.previous is None:
        return Reaction(view=view)
    if view.phase not in (Phase.IDLE, Phase.ROLLOUT):  # a rollout ends with its champion
        view = but(view, suspended=(view.phase, view.command or ""))
    said = say(view, "roll_back", f"{spec.model}/{event.version}", event.reason, event.evidence)
    return and_then(said, _revert(view, event.reason))


def _revert(view: View, reason: str) -> Reaction:
    view, given = give(view, Phase.REVERTING, reason)
    command = m.Revert(**given, version=view.champion or 0, to=view.previous or 0)
    return Reaction(view=view, commands=(command,))


def _go_on(view: View, outcome: str, reason: str) -> Reaction:
    """Take up again what the roll-back interrupted, or rest."""
    if view.suspended is None or view.champion == view.candidate:
        return end(rest(view), view.alarms, outcome, reason)
    phase, command = view.suspended
    return Reaction(view=but(view, phase=phase, command=command, suspended=None))


# ---------------------------------------------------------------- hands and failures


def _paused(event: m.Paused, view: View, spec: LoopSpec) -> Reaction:
    told = f"{event.by}: {event.reason}"
    view = but(view, paused=True)
    if view.phase is Phase.PROMOTING:
        view = _before_the_promotion(view)
    said = say(view, "pause", f"loop:{view.loop}", told)
    if event.withdraw and view.phase is Phase.ROLLOUT:
        return and_then(said, _turn_down(view, spec, "rejected", f"Sent home by {told}", {}))
    return said


def _before_the_promotion(view: View) -> View:
    """Go back to what the promotion rests on: its command is void, and the proof waits."""
    proof = m.decode_event(view.proof)
    view = but(view, held=(*view.held, view.proof))
    if isinstance(proof, m.Judged):
        return but(view, phase=Phase.JUDGING, command=proof.command)
    return but(view, phase=Phase.ROLLOUT, command=f"{view.command}:void")


def _resumed(event: m.Resumed, view: View, spec: LoopSpec) -> Reaction:
    view = but(view, paused=False)
    said = say(view, "resume", f"loop:{view.loop}", f"{event.by}: {event.reason}")
    return and_then(said, _consider(view, spec))


def _thawed(event: m.FreezeEnded, view: View, spec: LoopSpec) -> Reaction:
    return _consider(view, spec)


def _failed(event: m.CommandFailed, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    subject, reason = f"command:{event.command}", f"It could not be done: {event.error}"
    if view.candidate is not None:
        subject = f"{spec.model}/{view.candidate}"
    if view.phase in (Phase.WITHDRAWING, Phase.REVERTING):  # safety is never given up
        reason += " It is asked again when the next window closes."
        return say(but(view, command=None), "delay", subject, reason)
    if view.phase is Phase.PROMOTING and view.champion is not None:
        return _turn_down(view, spec, "rejected", reason, {})
    if view.phase is Phase.CHECKING:
        return _let_be(rest(but(view, compared=False)), spec, reason, {})
    return _reject(view, subject, reason)


def _reject(view: View, subject: str, reason: str) -> Reaction:
    said = say(view, "reject", subject, reason)
    return and_then(said, end(rest(view), view.alarms, "rejected", reason))


def _decline(view: View, subject: str, reason: str) -> Reaction:
    return say(view, "decline", subject, reason)


#: What makes the loop do something new; a paused loop keeps it for later.
_MAKE_IT_ACT = (
    m.LoopStarted,
    m.RegretMeasured,
    m.RetrainRequested,
    m.Trained,
    m.Registered,
    m.Judged,
    m.Overridden,
)

#: What would begin something; a freeze keeps it for later. A training under way goes on.
_BEGIN_SOMETHING = (
    m.LoopStarted,
    m.RegretMeasured,
    m.RetrainRequested,
    m.Judged,
    m.Overridden,
)

REACTIONS: dict[type, Callable[[Any, View, LoopSpec], Reaction]] = {
    m.LoopStarted: _started,
    m.WindowClosed: _window_closed,
    m.RegretMeasured: _regret,
    m.RetrainRequested: _requested,
    m.Trained: _trained,
    m.Registered: _registered,
    m.Judged: _judged,
    m.Overridden: _overridden,
    m.Verdict: _verdict,
    m.Promoted: _promoted,
    m.RolledBack: _rolled_back,
    m.ChampionBroke: _broke,
    m.Paused: _paused,
    m.Resumed: _resumed,
    m.FreezeEnded: _thawed,
    m.CommandFailed: _failed,
}

"""The closed loop on one page: what follows from what.

``react(event, view, spec)`` is pure: it reads no clock, no store, no network. It returns the
next view, the commands to hand out, the decisions to write down and the alarms that ended.
``REACTIONS`` is the whole policy; ``engine`` stores all four in one transaction.

Promises (held by tests/loop over thousands of random histories):

1. The champion changes only after a passed gate and a rollout that proved it better. The
   first version needs the gate alone; an approver may move it by hand, with a reason.
2. At most one retraining at a time, and none inside the cool-down.
3. Every alarm ends in exactly one of promoted, rejected, rolled_back, dismissed.
4. A champion that breaks after its promotion goes back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainspring.ground import messages as m
from mainspring.ground.loops import Draft, Phase, Reaction, View
from mainspring.ground.objects import LoopSpec

__all__ = ["REACTIONS", "Draft", "Phase", "Reaction", "View", "react"]


def react(event: m.AnyEvent, view: View, spec: LoopSpec) -> Reaction:
    """Return what follows from ``event``; the same arguments always give the same answer."""
    view = _with(view, now=max(view.now, event.at))
    if _must_wait(event, view):
        return Reaction(view=_with(view, held=(*view.held, m.encode(event))))
    reaction = REACTIONS[type(event)](event, view, spec)
    while reaction.view.held and not reaction.view.paused:
        first, *rest = reaction.view.held
        waiting = m.decode_event(first)
        if _must_wait(waiting, reaction.view):
            break
        freed = _with(reaction.view, held=tuple(rest))
        reaction = _and_then(reaction, REACTIONS[type(waiting)](waiting, freed, spec))
    return reaction


def _must_wait(event: m.AnyEvent, view: View) -> bool:
    """Return whether the event is kept for later: safety and hands never wait."""
    if isinstance(event, m.ChampionBroke):
        return view.phase not in (Phase.IDLE, Phase.ROLLOUT)
    better = isinstance(event, m.Verdict) and event.verdict == "better"
    return view.paused and (better or isinstance(event, _WAIT_WHILE_PAUSED))


def _started(event: m.LoopStarted, view: View, spec: LoopSpec) -> Reaction:
    view = _with(view, champion=event.champion or view.champion)
    if view.champion is None and view.phase is Phase.IDLE:
        return _train(view, "first", "There is no champion yet.")
    return Reaction(view=view)


def _window_closed(event: m.WindowClosed, view: View, spec: LoopSpec) -> Reaction:
    known = {alarm.id for alarm in view.alarms}
    fresh = tuple(alarm for alarm in event.alarms if alarm.id not in known)
    return _consider(_with(view, alarms=view.alarms + fresh), spec)


def _consider(view: View, spec: LoopSpec) -> Reaction:
    """Decide whether what is known calls for a retraining or for a look at the regret."""
    if view.paused or view.phase is not Phase.IDLE or view.champion is None:
        return Reaction(view=view)
    policy = spec.retraining
    wish = {"drift": policy.on_drift, "score_drift": policy.on_drift, "regret": "check"}
    wish["performance"] = policy.on_performance
    noted = tuple(a for a in view.alarms if wish.get(a.kind, "note") == "note")
    start = _end(view, noted, "dismissed", "The policy only notes alarms of this kind.")
    return _and_then(start, _weigh(start.view, spec, wish))


def _weigh(view: View, spec: LoopSpec, wish: Mapping[str, str]) -> Reaction:
    policy = spec.retraining
    if view.trained_at is not None and view.now - view.trained_at < policy.cooldown_s:
        return Reaction(view=view)
    if view.retrainings >= policy.budget:
        spent = f"The budget of {policy.budget} retrainings is spent; a person must raise it."
        return _end(view, view.alarms, "dismissed", spent)
    urgent = [a for a in view.alarms if wish[a.kind] == "retrain"]
    since = view.promoted_at if view.promoted_at is not None else view.now
    if urgent:
        told = ", ".join(f"{a.kind} of {a.subject}" for a in urgent)
        return _train(view, f"alarm:{urgent[0].id}", f"Alarm: {told}.")
    if policy.max_age_s is not None and view.now - since >= policy.max_age_s:
        days = (view.now - since) / 86_400
        return _train(view, "schedule", f"The champion is {days:.0f} days old.")
    last = view.checked_at if view.checked_at is not None else since
    due = policy.check_every_s is not None and view.now - last >= policy.check_every_s
    if view.alarms or due:
        told = ", ".join(f"{a.kind} of {a.subject}" for a in view.alarms) or "the regular check"
        return _measure(view, told)
    return Reaction(view=view)


def _measure(view: View, told: str) -> Reaction:
    view, given = _give(view, Phase.CHECKING)
    reason = f"Would a fresh version do better? Asked because of {told}."
    command = m.MeasureRegret(**given, reason=reason)
    return Reaction(view=_with(view, checked_at=view.now), commands=(command,))


def _regret(event: m.RegretMeasured, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    idle = _rest(view)
    if not event.pays:
        draft = Draft(
            kind="wait", subject=f"loop:{view.loop}", reason=event.reason, evidence=event.evidence
        )
        quiet = _end(idle, view.alarms, "dismissed", event.reason)
        return Reaction(view=quiet.view, decisions=(draft,), ended=quiet.ended)
    cause = f"alarm:{view.alarms[0].id}" if view.alarms else "regret"
    return _train(idle, cause, event.reason, event.evidence)


def _requested(event: m.RetrainRequested, view: View, spec: LoopSpec) -> Reaction:
    cooling = (
        view.trained_at is not None and view.now - view.trained_at < spec.retraining.cooldown_s
    )
    if view.phase is not Phase.IDLE or cooling:
        what = "the cool-down is not over" if cooling else f"the loop is {view.phase}"
        draft = Draft(
            kind="decline",
            subject=f"loop:{view.loop}",
            reason=f"{event.by} asked for a retraining ({event.reason}), but {what}.",
        )
        return Reaction(view=view, decisions=(draft,))
    return _train(view, f"request:{event.by}", f"{event.by} asked: {event.reason}")


def _train(
    view: View, cause: str, reason: str, evidence: dict[str, Any] | None = None
) -> Reaction:
    view, given = _give(view, Phase.TRAINING)
    view = _with(
        view, cause=cause, trained_at=view.now, retrainings=view.retrainings + 1, overridden=False
    )
    draft = Draft(
        kind="retrain", subject=f"loop:{view.loop}", reason=reason, evidence=evidence or {}
    )
    command = m.Train(**given, reason=reason, cause=cause)
    return Reaction(view=view, commands=(command,), decisions=(draft,))


def _trained(event: m.Trained, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    if not event.ok:
        return _reject(view, f"run:{event.run}", f"Training failed: {event.reason}")
    view, given = _give(view, Phase.REGISTERING)
    command = m.Register(**given, reason="Training finished.", run=event.run, cause=view.cause)
    return Reaction(view=view, commands=(command,))


def _registered(event: m.Registered, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    view, given = _give(_with(view, candidate=event.version), Phase.JUDGING)
    return Reaction(
        view=view,
        commands=(m.Judge(**given, reason="A new candidate.", version=event.version),),
    )


def _judged(event: m.Judged, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    subject = f"{spec.model}/{event.version}"
    if not event.passed:
        return _reject(view, subject, event.reason)
    if view.champion is None:
        return _promote(view, event.version, f"The first version; {event.reason}")
    return _roll_out(view, spec, event.version, event.reason)


def _roll_out(view: View, spec: LoopSpec, version: int, reason: str) -> Reaction:
    view, given = _give(_with(view, candidate=version), Phase.ROLLOUT)
    command = m.StartRollout(**given, reason=reason, version=version)
    draft = Draft(
        kind=str(spec.rollout.strategy), subject=f"{spec.model}/{version}", reason=reason
    )
    return Reaction(view=view, commands=(command,), decisions=(draft,))


def _overridden(event: m.Overridden, view: View, spec: LoopSpec) -> Reaction:
    subject = f"{spec.model}/{event.version}"
    if view.phase is not Phase.IDLE or view.champion in (None, event.version):
        draft = Draft(
            kind="decline",
            subject=subject,
            reason=f"{event.by} asked for an override, but the loop is {view.phase}"
            f" with champion {view.champion}.",
        )
        return Reaction(view=view, decisions=(draft,))
    cause = f"override:{event.by}"
    reason = f"Let in by an override of {event.by}: {event.reason}"
    return _roll_out(_with(view, cause=cause, overridden=True), spec, event.version, reason)


def _verdict(event: m.Verdict, view: View, spec: LoopSpec) -> Reaction:
    if view.phase is not Phase.ROLLOUT or event.version != view.candidate:
        return Reaction(view=view)
    if event.verdict == "better" and not view.overridden:
        return _promote(view, event.version, event.reason, event.evidence)
    if event.verdict == "worse":
        return _withdraw(view, event, "rolled_back", event.reason)
    reason = event.reason
    if event.verdict == "better":
        reason = f"{reason} But it came by an override, and only a passed gate makes a champion."
    return _withdraw(view, event, "rejected", reason)


def _promote(
    view: View, version: int, reason: str, evidence: dict[str, Any] | None = None
) -> Reaction:
    view, given = _give(view, Phase.PROMOTING)
    draft = Draft(
        kind="promote", subject=f"version:{version}", reason=reason, evidence=evidence or {}
    )
    command = m.Promote(**given, reason=reason, version=version)
    return Reaction(view=view, commands=(command,), decisions=(draft,))


def _withdraw(view: View, event: m.Verdict, outcome: str, reason: str) -> Reaction:
    view, given = _give(_with(view, outcome=outcome), Phase.WITHDRAWING)
    draft = Draft(
        kind="roll_back" if outcome == "rolled_back" else "reject",
        subject=f"version:{event.version}",
        reason=reason,
        evidence=event.evidence,
    )
    command = m.Withdraw(**given, reason=reason, version=event.version, outcome=outcome)
    return Reaction(view=view, commands=(command,), decisions=(draft,))


def _promoted(event: m.Promoted, view: View, spec: LoopSpec) -> Reaction:
    moved = _with(view, champion=event.version, previous=event.previous, promoted_at=view.now)
    if event.command is not None and event.command == view.command:
        return _end(_rest(moved), view.alarms, "promoted", event.reason)
    if event.command is not None:
        return Reaction(view=view)
    draft = Draft(
        kind="promote",
        subject=f"version:{event.version}",
        reason=f"{event.by} by hand: {event.reason}",
    )
    if view.phase is Phase.ROLLOUT:  # the store ended the rollout together with the move
        outcome = "promoted" if event.version == view.candidate else "rejected"
        ended = _end(_rest(moved), view.alarms, outcome, event.reason)
        return Reaction(view=ended.view, decisions=(draft,), ended=ended.ended)
    return Reaction(view=moved, decisions=(draft,))


def _rolled_back(event: m.RolledBack, view: View, spec: LoopSpec) -> Reaction:
    reverted = event.version == view.champion
    moved = view
    if reverted:
        moved = _with(view, champion=event.champion, previous=None, promoted_at=view.now)
    if event.command is not None:
        if event.command != view.command:
            return Reaction(view=view)
        return _end(_rest(moved), view.alarms, view.outcome, event.reason)
    draft = Draft(
        kind="roll_back",
        subject=f"version:{event.version}",
        reason=f"{event.by} by hand: {event.reason}",
    )
    if view.phase is Phase.ROLLOUT:
        ended = _end(_rest(moved), view.alarms, "rolled_back", event.reason)
        return Reaction(view=ended.view, decisions=(draft,), ended=ended.ended)
    return Reaction(view=moved, decisions=(draft,))


def _broke(event: m.ChampionBroke, view: View, spec: LoopSpec) -> Reaction:
    if event.version != view.champion or view.previous is None:
        return Reaction(view=view)
    view, given = _give(_with(view, outcome="rolled_back"), Phase.REVERTING)
    draft = Draft(
        kind="roll_back",
        subject=f"version:{event.version}",
        reason=event.reason,
        evidence=event.evidence,
    )
    command = m.Revert(**given, reason=event.reason, version=event.version, to=view.previous or 0)
    return Reaction(view=view, commands=(command,), decisions=(draft,))


def _paused(event: m.Paused, view: View, spec: LoopSpec) -> Reaction:
    draft = Draft(kind="pause", subject=f"loop:{view.loop}", reason=f"{event.by}: {event.reason}")
    return Reaction(view=_with(view, paused=True), decisions=(draft,))


def _resumed(event: m.Resumed, view: View, spec: LoopSpec) -> Reaction:
    draft = Draft(kind="resume", subject=f"loop:{view.loop}", reason=f"{event.by}: {event.reason}")
    return _and_then(
        Reaction(view=view, decisions=(draft,)), _consider(_with(view, paused=False), spec)
    )


def _failed(event: m.CommandFailed, view: View, spec: LoopSpec) -> Reaction:
    if event.command != view.command:
        return Reaction(view=view)
    return _reject(view, f"command:{event.command}", f"It could not be done: {event.error}")


def _reject(view: View, subject: str, reason: str) -> Reaction:
    draft = Draft(kind="reject", subject=subject, reason=reason)
    ended = _end(_rest(view), view.alarms, "rejected", reason)
    return Reaction(view=ended.view, decisions=(draft,), ended=ended.ended)


def _end(view: View, alarms: tuple[m.AlarmRef, ...], outcome: str, reason: str) -> Reaction:
    """End alarms with an outcome; a dismissal is a decision of its own."""
    ids = {alarm.id for alarm in alarms}
    drafts: tuple[Draft, ...] = ()
    if alarms and outcome == "dismissed":
        drafts = tuple(
            Draft(kind="dismiss", subject=f"alarm:{a.id}", reason=reason) for a in alarms
        )
    return Reaction(
        view=_with(view, alarms=tuple(a for a in view.alarms if a.id not in ids)),
        decisions=drafts,
        ended=tuple((alarm.id, outcome) for alarm in alarms),
    )


def _give(view: View, phase: Phase) -> tuple[View, dict[str, Any]]:
    """Return the view that awaits a new command, and what every command carries."""
    serial = view.serial + 1
    name = f"{view.loop}-{serial:04d}"
    moved = _with(view, phase=phase, command=name, serial=serial)
    return moved, {"id": name, "loop": view.loop, "at": view.now}


def _rest(view: View) -> View:
    """Return the view with nothing in flight."""
    return _with(view, phase=Phase.IDLE, command=None, candidate=None, cause="", overridden=False)


def _and_then(first: Reaction, second: Reaction) -> Reaction:
    return Reaction(
        view=second.view,
        commands=first.commands + second.commands,
        decisions=first.decisions + second.decisions,
        ended=first.ended + second.ended,
    )


def _with(view: View, **changes: Any) -> View:
    return msgspec.structs.replace(view, **changes)


_WAIT_WHILE_PAUSED = (
    m.LoopStarted,
    m.RegretMeasured,
    m.RetrainRequested,
    m.Trained,
    m.Registered,
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
    m.CommandFailed: _failed,
}

"""Say of a loop that is paused, frozen or cooling what is on hold, and what acts all the same."""

from __future__ import annotations

from mainspring.engine.reactor import LoopRow
from mainspring.ground import messages as m
from mainspring.ground.clock import iso
from mainspring.ground.loops import Phase, View
from mainspring.ground.objects import Rollout, Strategy
from mainspring.retraining import triggers


def on_hold(row: LoopRow, frozen_until: float | None) -> list[str]:
    """Return what waits and for what, a sentence each; nothing if nothing does."""
    view, until = row.view, _until(row.view, frozen_until)
    found = [f"{_kept(m.decode_event(text))} {until}" for text in view.held]
    found += [f"{one} It waits for the cool-down and a quiet loop." for one in view.wanted]
    return found + _alarms(row, frozen_until)


def still_acts(row: LoopRow, frozen_until: float | None, running: Rollout | None) -> list[str]:
    """Return what goes on though the loop is stopped, a sentence each; nothing if it is not."""
    view = row.view
    if not view.paused and frozen_until is None:
        return []
    found = _rollout(row, running) if running is not None else []
    under_way = _UNDER_WAY.get(view.phase)
    if under_way and not view.held:
        found.append(under_way.format(candidate=view.candidate, champion=view.champion))
    return [*found, "Windows are judged and alarms are raised as ever."]


_UNDER_WAY = {
    Phase.CHECKING: "The measurement of the regret goes on to its end.",
    Phase.TRAINING: "The training goes on to its end.",
    Phase.REGISTERING: "The new version is registered.",
    Phase.JUDGING: "The gate on version {candidate} goes on to its end.",
    Phase.WITHDRAWING: "Version {candidate} is being withdrawn.",
    Phase.REVERTING: "The champion goes back from version {champion}.",
}


def _rollout(row: LoopRow, running: Rollout) -> list[str]:
    champion, other = running.champion, running.challenger
    if running.purpose == "watch":
        return [
            f"Version {other} before it scores in the shadow: once champion {champion} is shown"
            " to be worse, it goes back by itself."
        ]
    shown = f"Version {other} scores every row in the shadow and answers nobody."
    if running.strategy in (Strategy.CANARY, Strategy.LINEAR):
        several = len((running.policy or row.spec.rollout).steps)
        step = f", step {running.step + 1} of {several}" if several else ""
        shown = f"Version {other} goes on answering {running.share:.0%} of the rows{step}."
    if running.strategy is Strategy.AB:
        shown = f"Its other versions go on answering {running.share:.0%} of the rows."
    if running.strategy is Strategy.BLUE_GREEN:
        shown = f"Version {other} goes on answering every row; {champion} stands by."
    return [
        shown,
        f"Once version {other} is shown to do harm it goes home by itself; version {champion}"
        f" stays champion of {row.spec.model} until somebody lets the loop act again.",
    ]


def _alarms(row: LoopRow, frozen_until: float | None) -> list[str]:
    view, policy = row.view, row.spec.retraining
    several = len(view.alarms)
    if not several:
        return []
    told = "1 alarm waits" if several == 1 else f"{several} alarms wait"
    if view.paused or frozen_until is not None:
        return [f"{told}: {triggers.told(view.alarms)}. {_until(view, frozen_until)}"]
    if triggers.cooling(view, policy) and view.trained_at is not None:
        ends = view.trained_at + policy.cooldown_s
        return [f"{told} for the end of the cool-down, {iso(ends)}."]
    if view.phase is Phase.IDLE and view.checked_at and not triggers.may_check(view, policy):
        ends = view.checked_at + policy.check_cooldown_s
        sooner = f", or for {policy.check_labels} new labels" if policy.check_labels else ""
        return [f"{told} for the next look at the regret, {iso(ends)}{sooner}."]
    return []


def _until(view: View, frozen_until: float | None) -> str:
    if view.paused:
        return "It waits until the loop is resumed."
    if frozen_until is not None:
        return f"It waits for the end of the freeze, {iso(frozen_until)}."
    return "It waits for a moment."


def _kept(event: m.AnyEvent) -> str:
    """Return what an event that is kept would lead to."""
    words = _KEPT.get(type(event), m.tag(event).replace("_", " ").capitalize() + ".")
    told = words if isinstance(words, str) else words[bool(getattr(event, _SAYS[type(event)]))]
    return told.format(**{name: getattr(event, name) for name in event.__struct_fields__})


#: A sentence for each event that may be kept; two where a field of it says yes or no.
_KEPT: dict[type, str | tuple[str, str]] = {
    m.LoopStarted: "The first version is to be trained.",
    m.RegretMeasured: (
        "Regret was measured: a new version is not known to pay.",
        "Regret was measured: a new version would pay.",
    ),
    m.RetrainRequested: "{by} asked for a new version: {reason}",
    m.Trained: (
        "The training failed.",
        "The training has ended; its version is to be registered.",
    ),
    m.Registered: "Version {version} is to be put through the gate.",
    m.Judged: (
        "The gate refused version {version}.",
        "Version {version} passed the gate and is to meet traffic.",
    ),
    m.Verdict: "Version {version} was shown to be better and is to be promoted.",
    m.Overridden: "The override of {by} is to let version {version} in.",
}
_SAYS = {m.RegretMeasured: "pays", m.Trained: "ok", m.Judged: "passed"}

"""The records of the loop, and the parts that ``mainspring.loop`` makes its reactions of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from mainspring.ground import messages as m
from mainspring.ground.clock import iso


class Phase(StrEnum):
    """What the loop is waiting for."""

    IDLE = "idle"
    CHECKING = "checking"  #: is a retraining worth it?
    TRAINING = "training"
    REGISTERING = "registering"
    JUDGING = "judging"
    ROLLOUT = "rollout"  #: the challenger meets traffic
    PROMOTING = "promoting"
    WITHDRAWING = "withdrawing"
    REVERTING = "reverting"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All that the loop remembers. Times are event time."""

    loop: str
    phase: Phase = Phase.IDLE
    champion: int | None = None
    previous: int | None = None  #: the champion before, while it may still return
    promoted_at: float | None = None
    candidate: int | None = None
    overridden: bool = False  #: the candidate meets traffic by an override, not by the gate
    command: str | None = None  #: the command whose answer is awaited
    suspended: tuple[Phase, str] | None = None  #: phase and command a roll-back interrupted
    cause: str = ""  #: why the candidate is being made
    alarms: tuple[m.AlarmRef, ...] = ()  #: raised and not yet ended
    outcome: str = "rolled_back"  #: how the alarms end once the candidate is withdrawn
    paused: bool = False
    frozen_until: float | None = None  #: a freeze is in force until then (wall time)
    held: tuple[str, ...] = ()  #: events that wait for a resume or for the loop to be idle
    trained_at: float | None = None  #: when the last retraining began
    checked_at: float | None = None
    compared: bool = True  #: the last check had enough labels to compare on
    proof: str = ""  #: the verdict that the promotion under way rests on
    wanted: tuple[str, ...] = ()  #: patient requests, in words; the next training answers them
    retrainings: int = 0
    trained_s: float = 0.0  #: seconds of training so far
    rows: int = 0  #: served since the last training began
    labels: int = 0  #: labels received so far
    labels_trained: int | None = None  #: of them when the last training began
    labels_checked: int = 0  #: of them when regret was measured last
    serial: int = 0  #: commands given so far
    now: float = 0.0


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as the loop words it; the engine adds id and wall time."""

    kind: str
    subject: str
    reason: str
    evidence: dict[str, Any] = {}


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from one event."""

    view: View
    commands: tuple[m.AnyCommand, ...] = ()
    decisions: tuple[Draft, ...] = ()
    ended: tuple[tuple[str, str], ...] = ()  #: (alarm id, outcome)


def say(
    view: View,
    kind: str,
    subject: str,
    reason: str,
    evidence: dict[str, Any] | None = None,
    *commands: m.AnyCommand,
) -> Reaction:
    """Return a reaction that writes one decision down."""
    draft = Draft(kind=kind, subject=subject, reason=reason, evidence=evidence or {})
    return Reaction(view=view, commands=commands, decisions=(draft,))


def stopped(view: View) -> str | None:
    """Return why nothing may begin, if so: safety and hands still act."""
    if view.paused:
        return "the loop is paused"
    if view.frozen_until is not None:
        return f"a freeze is in force until {iso(view.frozen_until)}"
    return None


def hold(view: View, event: m.AnyEvent) -> Reaction:
    """Return a reaction that keeps an event; what waits for more than a moment is said."""
    kept, why = but(view, held=(*view.held, m.encode(event))), stopped(view)
    if not why or view.phase in (Phase.PROMOTING, Phase.WITHDRAWING, Phase.REVERTING):
        return Reaction(view=kept)
    what = m.tag(event).replace("_", " ")
    return say(kept, "hold", f"loop:{view.loop}", f"What came is kept for later ({what}): {why}.")


def end(view: View, alarms: tuple[m.AlarmRef, ...], outcome: str, reason: str) -> Reaction:
    """Return a reaction that ends alarms; a dismissal is a decision of its own."""
    ids = [alarm.id for alarm in alarms]
    drafts = [Draft(kind="dismiss", subject=f"alarm:{one}", reason=reason) for one in ids]
    return Reaction(
        view=but(view, alarms=tuple(a for a in view.alarms if a.id not in ids)),
        decisions=tuple(drafts) if outcome == "dismissed" else (),
        ended=tuple((one, outcome) for one in ids),
    )


def and_then(first: Reaction, second: Reaction) -> Reaction:
    """Return two reactions as one; ``second`` began where ``first`` left the view."""
    return Reaction(
        view=second.view,
        commands=first.commands + second.commands,
        decisions=first.decisions + second.decisions,
        ended=first.ended + second.ended,
    )


def give(view: View, phase: Phase, reason: str) -> tuple[View, dict[str, Any]]:
    """Return the view that awaits a new command, and what every command carries."""
    serial = view.serial + 1
    name = f"{view.loop}-{serial:04d}"
    moved = but(view, phase=phase, command=name, serial=serial)
    return moved, {"id": name, "loop": view.loop, "at": view.now, "reason": reason}


def rest(view: View) -> View:
    """Return the view with nothing in flight."""
    none: dict[str, Any] = {"command": None, "candidate": None, "suspended": None}
    return but(view, phase=Phase.IDLE, cause="", proof="", overridden=False, **none)


def but(view: View, **changes: Any) -> View:
    """Return the view with some fields changed."""
    return msgspec.structs.replace(view, **changes)

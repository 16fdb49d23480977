"""What a loop remembers and what follows from one event: the records of ``mainspring.loop``."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from mainspring.ground import messages as m


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
    cause: str = ""  #: why the candidate is being made
    alarms: tuple[m.AlarmRef, ...] = ()  #: raised and not yet ended
    outcome: str = "rolled_back"  #: how the alarms end once the candidate is withdrawn
    paused: bool = False
    held: tuple[str, ...] = ()  #: events that wait for a resume or for the loop to be idle
    trained_at: float | None = None  #: when the last retraining began
    checked_at: float | None = None
    retrainings: int = 0
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

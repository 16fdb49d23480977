"""The events and commands of the loop: what was noticed, what is to be done.

An event is a fact with the event time ``at`` it belongs to. A command is a wish with its
reason; it is handed to its room at least once, and its effect is written together with the
events it answers with, in one transaction. ``command`` on an event names the command it
answers, so that a stale answer is known for what it is.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Something that happened."""

    loop: str
    at: float


class LoopStarted(Event, frozen=True, kw_only=True, tag="loop_started"):
    """A loop was declared, or declared anew. ``champion`` is who serves already."""

    champion: int | None = None


class AlarmRef(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm, as far as the loop needs to know it."""

    id: str
    kind: str
    subject: str


class WindowClosed(Event, frozen=True, kw_only=True, tag="window_closed"):
    """A window of traffic was judged, on its inputs or (later) on its labels."""

    window: str
    alarms: list[AlarmRef] = []
    labelled_rows: int = 0
    rows: int = 0  #: served in it; 0 when it is told of again
    labels_seen: int = 0  #: labels received so far, in all


class RegretMeasured(Event, frozen=True, kw_only=True, tag="regret_measured"):
    """A cheap fresh challenger was compared with the champion on the newest labelled rows."""

    command: str
    pays: bool
    reason: str
    evidence: dict[str, Any] = {}
    compared: bool = True  #: False: there was too little to compare on


class RetrainRequested(Event, frozen=True, kw_only=True, tag="retrain_requested"):
    """A person, a schedule, a data version or another program asked for a new version."""

    by: str
    reason: str
    patient: bool = False  #: what only time hinders is waited for, not declined


class Trained(Event, frozen=True, kw_only=True, tag="trained"):
    """The pipeline's run came to its end."""

    command: str
    run: str
    ok: bool
    reason: str = ""
    seconds: float = 0.0  #: how long its steps took, taken together


class Registered(Event, frozen=True, kw_only=True, tag="registered"):
    """The run's model is in the registry."""

    command: str
    version: int


class Judged(Event, frozen=True, kw_only=True, tag="judged"):
    """The gate has spoken."""

    command: str
    version: int
    passed: bool
    reason: str


class Verdict(Event, frozen=True, kw_only=True, tag="verdict"):
    """A rollout has decided itself: ``better``, ``worse`` or ``undecided`` at its end."""

    rollout: str
    version: int
    verdict: str
    reason: str
    evidence: dict[str, Any] = {}


class Promoted(Event, frozen=True, kw_only=True, tag="promoted"):
    """The champion alias moved to ``version``."""

    version: int
    previous: int | None
    command: str | None = None
    by: str = "loop"
    reason: str = ""


class RolledBack(Event, frozen=True, kw_only=True, tag="rolled_back"):
    """A challenger was withdrawn, or the champion alias went back to ``champion``."""

    version: int  #: the version that was withdrawn
    champion: int | None  #: who serves now
    command: str | None = None
    by: str = "loop"
    reason: str = ""


class ChampionBroke(Event, frozen=True, kw_only=True, tag="champion_broke"):
    """A freshly promoted champion does worse than the one before it."""

    version: int
    reason: str
    evidence: dict[str, Any] = {}


class Overridden(Event, frozen=True, kw_only=True, tag="overridden"):
    """An approver lets a refused version into a canary. Never past one."""

    version: int
    by: str
    reason: str


class Paused(Event, frozen=True, kw_only=True, tag="paused"):
    """A person stopped the loop from acting."""

    by: str
    reason: str
    withdraw: bool = False  #: a challenger in traffic is sent home first


class Resumed(Event, frozen=True, kw_only=True, tag="resumed"):
    """A person let the loop act again."""

    by: str
    reason: str


class FreezeEnded(Event, frozen=True, kw_only=True, tag="freeze_ended"):
    """A freeze is over, so that what waited for its end may go on."""


class CommandFailed(Event, frozen=True, kw_only=True, tag="command_failed"):
    """A command could not be carried out, however often it was tried."""

    command: str
    error: str


AnyEvent = (
    LoopStarted
    | WindowClosed
    | RegretMeasured
    | RetrainRequested
    | Trained
    | Registered
    | Judged
    | Verdict
    | Promoted
    | RolledBack
    | ChampionBroke
    | Overridden
    | Paused
    | Resumed
    | FreezeEnded
    | CommandFailed
)


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command"):
    """Something to be done, with its reason. ``id`` is given by the loop and unique."""

    id: str
    loop: str
    at: float
    reason: str


class MeasureRegret(Command, frozen=True, kw_only=True, tag="measure_regret"):
    """Compare the champion with a cheap fresh challenger on the newest labelled rows."""


class Train(Command, frozen=True, kw_only=True, tag="train"):
    """Assemble the data and run the pipeline."""

    cause: str


class Register(Command, frozen=True, kw_only=True, tag="register"):
    """Put the run's model into the registry as a candidate."""

    run: str
    cause: str


class Judge(Command, frozen=True, kw_only=True, tag="judge"):
    """Put a candidate through the gate."""

    version: int


class StartRollout(Command, frozen=True, kw_only=True, tag="start_rollout"):
    """Let a challenger meet traffic."""

    version: int
    over: int | None = None  #: the champion it is to be compared with; refused over another


class Promote(Command, frozen=True, kw_only=True, tag="promote"):
    """Move the champion alias to ``version``."""

    version: int
    over: int | None = None  #: the champion it was proved better than; refused over another


class Withdraw(Command, frozen=True, kw_only=True, tag="withdraw"):
    """End the rollout of ``version``; the champion stays."""

    version: int
    outcome: str = "rolled_back"  #: or rejected


class Revert(Command, frozen=True, kw_only=True, tag="revert"):
    """Move the champion alias back from ``version`` to ``to``; refused if another serves."""

    version: int
    to: int


AnyCommand = MeasureRegret | Train | Register | Judge | StartRollout | Promote | Withdraw | Revert


def tag(message: Event | Command) -> str:
    """Return the name of what kind of message it is, such as ``window_closed``."""
    return str(type(message).__struct_config__.tag)


def encode(message: Event | Command) -> str:
    """Return a message as JSON text."""
    return msgspec.json.encode(message).decode()


def decode_event(text: str | bytes) -> AnyEvent:
    """Return the event that JSON text holds."""
    event: AnyEvent = msgspec.json.decode(text, type=AnyEvent)
    return event

"""The records of alarming: rules, states, quiet times, channels, and what people are told."""

from __future__ import annotations

from typing import Any, Literal

from mainspring.ground.records import Record

StateName = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Missing = Literal["ignore", "breaching", "not_breaching", "insufficient"]
ChannelKind = Literal["log", "webhook", "mail", "slack", "apprise", "command"]


class AlarmRule(Record, frozen=True, kw_only=True):
    """What a person wants to be told of: a line, an expected band, or other rules joined.

    Exactly one of three: ``above`` and/or ``below`` over a ``series``, ``band`` over a
    ``series``, or ``when`` over other rules.
    """

    name: str
    endpoint: str
    series: str = ""  #: MONITOR[/FIGURE]:SUBJECT, such as drift:temp or performance/low:auc
    above: float | None = None  #: a window breaches beyond it
    below: float | None = None
    band: float | None = None  #: half-width of the expected band, in robust standard deviations
    season: int = 1  #: windows in a season: 7 where windows are days and weeks repeat
    history: int = 60  #: windows that the band is learnt from
    when: str = ""  #: such as "(hot or wet) and not planned"
    at_least: int = 1  #: N of the newest M windows must breach
    of: int = 1  #: M
    missing: Missing = "insufficient"  #: what a window without a value counts as
    suppressed_by: list[str] = []  #: rules, or series: while one is in ALARM nobody is paged
    cooldown_s: float = 0.0  #: after a page, wait that long before the next about this rule
    then: Literal["page", "retrain"] = "page"  #: retrain: its loop is asked for a new version too
    channels: list[str] = []  #: who is told; empty: every channel
    note: str = ""  #: what to do about it; stands in the page
    enabled: bool = True


class AlarmState(Record, frozen=True, kw_only=True):
    """How one watched series, or one rule, stands."""

    id: str
    endpoint: str
    kind: str  #: the monitor, or rule, channel, log
    subject: str  #: what it is about; a rule's name
    state: StateName
    reason: str
    since: float  #: event time at which it came to be so
    at: float  #: event time up to which it is judged
    window: str = ""  #: the window that was judged last
    value: float | None = None
    alarm: str | None = None  #: the alarm that stands for it, while in ALARM and afterwards
    group: str | None = None  #: while in ALARM: what it is told together with
    acknowledged: Acknowledgement | None = None
    told_at: float | None = None  #: wall time of the last page that told of it


class Acknowledgement(Record, frozen=True, kw_only=True):
    """Somebody has seen an alarm: it pages no more, until then or until it is over."""

    by: str
    reason: str
    at: float  #: wall time
    until: float | None = None  #: wall time; None: until it is over


class StateChange(Record, frozen=True, kw_only=True):
    """One change of a state."""

    state: str  #: the state's id
    endpoint: str
    kind: str
    subject: str
    old: StateName | None  #: None: it was judged for the first time
    new: StateName
    at: float  #: event time
    made: float  #: wall time
    reason: str
    window: str = ""


class AlarmGroup(Record, frozen=True, kw_only=True):
    """Alarms that share a cause: one page, however many they are."""

    id: str
    endpoint: str
    cause: str  #: what they share, such as version:7, columns, missing, source:weather
    headline: str
    opened: float  #: event time
    closed: float | None = None
    window: str = ""  #: the first window
    told: Literal["", "ALARM", "OK"] = ""  #: what people were told last
    told_at: float | None = None  #: wall time
    members: list[str] = []  #: ids of states that are or were part of it


class Quiet(Record, frozen=True, kw_only=True):
    """A time in which nobody is paged: maintenance, once or again and again, or one rule's rest.

    States are computed all the same. Either ``starts`` and ``ends``, or ``cron``, ``duration_s``
    and ``tz``.
    """

    id: str
    reason: str
    by: str
    endpoint: str = ""  #: of which endpoint; empty: of all
    subject: str = ""  #: a rule, or a series such as drift:temp; empty: all of the endpoint
    starts: float | None = None
    ends: float | None = None
    cron: str = ""
    duration_s: float = 0.0
    tz: str = "UTC"


class Channel(Record, frozen=True, kw_only=True):
    """A way to tell people. Its secret is kept apart and never shown."""

    name: str
    kind: ChannelKind
    target: dict[str, Any] = {}  #: where to: url, host, to, command; nothing secret
    endpoints: list[str] = []  #: only alarms of these; empty: of all
    per_hour: int = 30  #: messages; what is more is told together
    active: bool = True
    has_secret: bool = False
    created: float = 0.0


class Message(Record, frozen=True, kw_only=True):
    """What a channel is asked to tell: one page, or several that had to wait."""

    id: str  #: the same at every try, so that a receiver can drop what it has
    event: Literal[
        "ALARM", "OK", "TEST", "NOTICE"
    ]  #: NOTICE: nothing is wrong, something is planned
    title: str
    lines: list[str]
    at: float  #: wall time
    endpoint: str = ""
    data: dict[str, Any] = {}  #: the same for programs

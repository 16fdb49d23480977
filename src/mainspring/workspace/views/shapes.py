"""The shapes of what is shown: what pages, API and command line all read."""

from __future__ import annotations

from typing import Any, Literal

from mainspring.experiments.artifacts import Artifact
from mainspring.experiments.comparison import Curve
from mainspring.experiments.datasets import Use
from mainspring.experiments.logged import LoggedModel
from mainspring.ground.loops import View
from mainspring.ground.objects import (
    Alarm,
    Card,
    Decision,
    Deprecation,
    GateResult,
    Halt,
    LoopSpec,
    Record,
    Rollout,
    Routing,
    Run,
    RunStatus,
    StepRecord,
    Version,
    Window,
)

# ---------------------------------------------------------------- loops


class LoopStatus(Record, frozen=True, kw_only=True):
    """One loop as it stands."""

    name: str
    version: int  #: of the declaration
    declared: float
    model: str
    endpoint: str
    phase: str
    words: str  #: what the loop is doing, as a sentence
    paused: bool
    champion: int | None
    candidate: int | None
    open_alarms: int
    versions: int
    windows: int  #: judged so far
    retrainings: int
    rollout: Rollout | None
    last_decision: Decision | None
    view: View
    spec: LoopSpec
    frozen_until: float | None = None  #: wall time: a freeze is in force until then
    on_hold: list[str] = []  #: what waits and for what, a sentence each
    still_acts: list[str] = []  #: what goes on though the loop is paused or frozen


class NotRetrained(Record, frozen=True, kw_only=True):
    """Why a loop trained nothing since a moment of its own time."""

    loop: str
    since: float
    trained: int  #: trainings begun since
    reason: str
    on_hold: list[str]
    counts: dict[str, int]  #: decisions since by kind
    decisions: list[Decision]  #: those that led to no training, newest first


class Settled(Record, frozen=True, kw_only=True):
    """Whether everything a loop has been told has been worked off."""

    settled: bool
    phase: str
    waiting: list[str] = []  #: what is still to be done, in words
    now: float = 0.0  #: the loop's own time
    watermark: float | None = None  #: event time up to which all traffic has been dealt with
    labels: int = 0  #: the last label batch that has been dealt with


class Link(Record, frozen=True, kw_only=True):
    """Something a decision speaks of, and where it is shown."""

    kind: str
    id: str
    href: str


class TimelineEntry(Record, frozen=True, kw_only=True):
    """One decision of a loop, with what it speaks of."""

    decision: Decision
    links: list[Link]


class DecisionPage(Record, frozen=True, kw_only=True):
    """Some decisions, newest first."""

    decisions: list[Decision]
    cursor: str | None = None


# ---------------------------------------------------------------- endpoints and monitoring


class CaptureUse(Record, frozen=True, kw_only=True):
    """What an endpoint's captured traffic takes of its budget, and what had to go for it."""

    bytes: int = 0
    budget_bytes: int = 0
    dropped_rows: int = 0
    dropped_bytes: int = 0
    damaged_rows: int = 0  #: whose bytes are not what was written; their files lie aside


class EndpointWorker(Record, frozen=True, kw_only=True):
    """One worker process of an endpoint, as it tells of itself."""

    pid: int
    started: float
    url: str  #: its own, on loopback; the endpoint's is answered by any of them
    requests: int
    in_flight: int
    connections: int
    rss_mb: float | None
    cpu: float | None  #: share of one core lately
    lag_ms: float | None  #: how late its event loop came lately, the worst


class WorkersChange(Record, frozen=True, kw_only=True):
    """A change of how many workers an endpoint has, and why."""

    at: float
    before: int
    after: int
    why: str


class EndpointBoard(Record, frozen=True, kw_only=True):
    """One endpoint: what it should serve, and what its processes say of themselves."""

    name: str
    model: str
    loop: str | None
    created: float
    #: idle: no worker runs, and the next request starts one; fed: it answers elsewhere
    state: Literal["up", "idle", "down", "fed"]
    url: str | None  #: where it answers, on loopback
    routing: Routing
    rollout: Rollout | None
    open_alarms: int
    #: the account of all its processes together: versions, requests, latency, errors
    serving: dict[str, Any] = {}
    captures: CaptureUse = CaptureUse()
    workers: list[EndpointWorker] = []  #: that answer now, the oldest first
    workers_wanted: int | None = None  #: by target tracking; None: it has no processes of its own
    workers_changes: list[WorkersChange] = []  #: the newest, the last one last


class Labelled(Record, frozen=True, kw_only=True):
    """What became of a table of labels."""

    endpoint: str
    labels: int  #: different ids
    kept: int  #: the first label of their prediction
    changed: int  #: say otherwise than before; they count from now on
    repeated: int  #: say what was known; not kept again
    doubled: int  #: given more than once in the table; the last one counts
    unknown: int  #: of the labels, those without a captured row by now; they wait for it
    not_recorded: int  #: of the unknown, those whose row was left out by sampling
    batches: list[int] = []  #: the batches that were kept


class SeriesPoint(Record, frozen=True, kw_only=True):
    """One window of a series."""

    window: str
    start: float
    end: float
    rows: int
    version: int | None
    values: dict[str, Any]  #: what was found: distance, radius, smallest visible, verdict...


class Series(Record, frozen=True, kw_only=True):
    """One thing over time, oldest first."""

    name: str  #: the column or the metric
    points: list[SeriesPoint]


class Boards(Record, frozen=True, kw_only=True):
    """Everything that a board's charts are drawn from."""

    drift: list[Series]
    quality: list[Series]
    windows: list[Window]


# ---------------------------------------------------------------- runs


class Below(Record, frozen=True, kw_only=True):
    """A run that a step of another one started, and how far it is."""

    step: str  #: that started it: of the outermost run, or OUTER/STEP of one that is below it
    run: str
    steps: list[StepRecord]


class RunDetail(Record, frozen=True, kw_only=True):
    """One run with its steps and what came of it."""

    run: Run
    steps: list[StepRecord]  #: all that were wired; of what grew at most 2,000
    states: dict[str, int]  #: how many of all its steps are in each state
    versions: list[str]  #: "model/number" of each version it made
    notes: list[str] = []  #: what was logged and could not be taken, in words
    below: list[Below] = []  #: the runs that its steps started, and theirs; if asked for


class Measured(Record, frozen=True, kw_only=True):
    """How one metric of a run went."""

    key: str
    last: float | str | None  #: "nan", "inf" and "-inf" by their names
    low: float | None  #: of the finite values
    low_step: int | None
    high: float | None
    high_step: int | None
    points: int | None  #: null where only the last value was looked at


class RunAbout(Record, frozen=True, kw_only=True):
    """One run with all that belongs to it."""

    run: Run
    metrics: list[Measured]
    artifacts: list[Artifact]  #: by path, the first thousand
    artifact_count: int
    children: list[Run]  #: the newest hundred
    child_count: int
    inputs: list[Use]  #: datasets it read
    models: list[LoggedModel]  #: that it made
    steps: list[StepRecord]  #: all that were wired; of what grew at most 2,000
    states: dict[str, int]  #: how many of all its steps are in each state
    versions: list[str]  #: "model/number" of each version it made
    notes: list[str]  #: what was logged and could not be taken, in words


class RunPage(Record, frozen=True, kw_only=True):
    """Some runs, in the order asked for."""

    runs: list[Run]  #: with the chosen columns alone, if columns were chosen
    cursor: str | None = None
    total: int | None = None  #: how many runs meet the filter, where that was asked for
    more: bool = False  #: whether there are more than total says


class FoundRun(Record, frozen=True, kw_only=True):
    """One found run, with the chosen columns alone, if columns were chosen."""

    id: str
    experiment: str
    name: str
    status: RunStatus
    started: float
    ended: float | None
    pipeline: str | None
    parent: str | None
    cause: str | None
    params: dict[str, str]
    metrics: dict[str, float | str]  #: the latest value by key; "nan", "inf", "-inf" are texts
    tags: dict[str, str]
    halt: Halt | None  #: of one that runs: why it does not go on


class FoundPage(Record, frozen=True, kw_only=True):
    """Some runs, in the order asked for, as JSON can hold them."""

    runs: list[FoundRun]
    cursor: str | None  #: hand it in for the next page; null at the end
    total: int | None  #: how many runs meet the filter, where that was asked for
    more: bool  #: whether there are more than total says


class ColumnCount(Record, frozen=True, kw_only=True):
    """A metric, param or tag that some runs have."""

    column: str  #: as a filter names it: metrics.auc, params.`odd key`
    key: str
    runs: int  #: how many of the runs that were looked at have it


class RunColumns(Record, frozen=True, kw_only=True):
    """Which columns runs have; those that most of the runs looked at have come first."""

    attributes: list[str]
    metrics: list[ColumnCount]
    params: list[ColumnCount]
    tags: list[ColumnCount]
    looked_at: int  #: how many of the newest runs were looked at


class Curves(Record, frozen=True, kw_only=True):
    """Several curves, in the order asked for."""

    curves: list[Curve]


class MetricPoint(Record, frozen=True, kw_only=True):
    """One value of a metric; NaN is null in JSON."""

    value: float
    step: int
    time: float


class MetricHistory(Record, frozen=True, kw_only=True):
    """The values of one metric in the order they were logged."""

    key: str
    points: list[MetricPoint]
    after: int | None  #: hand it in for the next page; null at the end


# ---------------------------------------------------------------- models


class ModelRow(Record, frozen=True, kw_only=True):
    """One line of the list of models."""

    name: str
    title: str = ""  #: what clients of other tools call it, where that is not its name
    created: float
    newest: int
    champion: int | None


class Move(Record, frozen=True, kw_only=True):
    """One move of an alias."""

    alias: str
    number: int | None
    previous: int | None
    reason: str
    at: float  #: event time where a loop moved it, else wall time
    by: str
    made: float | None = None  #: wall time; None: moved by a release that did not keep it


class StageMove(Record, frozen=True, kw_only=True):
    """One move of a version from a stage to another."""

    number: int
    stage: str
    previous: str
    at: float
    by: str


class ModelDetail(Record, frozen=True, kw_only=True):
    """One model: its versions, newest first, its aliases, and how they moved."""

    name: str
    title: str = ""
    description: str = ""
    guarded: list[str] = []  #: aliases that ask for a passed gate
    champion: int | None
    aliases: dict[str, int]
    versions: list[Version]
    verdicts: dict[str, bool]  #: number -> whether its newest gate passed; absent: not judged
    standings: dict[str, str] = {}  #: number -> how its newest gate stands today, in words
    history: list[Move]
    stages: list[StageMove] = []  #: newest first, as ``history``
    deprecations: list[Deprecation] = []  #: of the model, and of its versions


class VersionDetail(Record, frozen=True, kw_only=True):
    """One version: what it is, what the gate found, who let it in."""

    version: Version
    aliases: list[str]
    gates: list[GateResult]
    overrides: list[Decision]
    approvals: list[Decision] = []  #: newest first; kind approve or refuse
    standing: str = ""  #: how its newest gate stands today, in words
    card: Card | None
    card_missing: list[str]  #: what a person should still write
    deprecation: Deprecation | None = None  #: its own, else its model's


class WhyLink(Record, frozen=True, kw_only=True):
    """One link of the chain from a version back to its causes."""

    what: str
    name: str
    text: str
    detail: dict[str, Any] = {}


class Why(Record, frozen=True, kw_only=True):
    """Why a version is what it is: from the effect back to the cause."""

    version: str
    links: list[WhyLink]
    lines: list[str]  #: the same, for a terminal
    missing: list[str]


# ---------------------------------------------------------------- the house


class AuditRow(Record, frozen=True, kw_only=True):
    """One line of the audit log."""

    seq: int
    at: float
    who: str
    action: str
    subject: str
    detail: dict[str, Any]
    reason: str
    hash: str


class AuditVerdict(Record, frozen=True, kw_only=True):
    """Whether the chain of the audit log is whole."""

    rows: int
    ok: bool
    first_bad: int | None
    reason: str


class SystemStatus(Record, frozen=True, kw_only=True):
    """The whole house at a glance."""

    version: str
    home: str
    database: str  #: sqlite or postgresql
    at: float
    loops: list[LoopStatus]
    endpoints: list[EndpointBoard]
    open_alarms: list[Alarm]
    runs: dict[str, int]  #: running runs and those of the newest 50 that failed
    engine: Literal["up", "down"]
    troubles: dict[str, str] = {}  #: what went wrong in the engine outside of tasks, by where

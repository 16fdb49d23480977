"""The records: what a run, a version, a window, a decision is. The data dictionary.

All are frozen. Times are UTC seconds. ``MOVES`` says which state follows which.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from mainspring.ground.cards import Assumption as Assumption
from mainspring.ground.cards import Card as Card
from mainspring.ground.cards import DataSheet as DataSheet
from mainspring.ground.deprecations import Deprecation as Deprecation
from mainspring.ground.display import run_page
from mainspring.ground.evidence import Evidence as Evidence
from mainspring.ground.gates import CheckResult as CheckResult
from mainspring.ground.gates import Gate as Gate
from mainspring.ground.gates import GateResult as GateResult
from mainspring.ground.monitors import Alarm as Alarm
from mainspring.ground.monitors import CustomMonitor as CustomMonitor
from mainspring.ground.monitors import Facet as Facet
from mainspring.ground.monitors import Finding as Finding
from mainspring.ground.monitors import Forecast as Forecast
from mainspring.ground.monitors import MonitorPolicy as MonitorPolicy
from mainspring.ground.monitors import Ranking as Ranking
from mainspring.ground.monitors import Tally as Tally
from mainspring.ground.monitors import Window as Window
from mainspring.ground.profiles import ColumnProfile as ColumnProfile
from mainspring.ground.profiles import Profile as Profile
from mainspring.ground.records import DAY_S as DAY_S
from mainspring.ground.records import Record as Record
from mainspring.ground.rollouts import Arm as Arm
from mainspring.ground.rollouts import Rollout as Rollout
from mainspring.ground.rollouts import RolloutPolicy as RolloutPolicy
from mainspring.ground.rollouts import Step as Step
from mainspring.ground.rollouts import Strategy as Strategy
from mainspring.ground.serving import EndpointLimits as EndpointLimits
from mainspring.ground.serving import EndpointOptions as EndpointOptions
from mainspring.ground.serving import Scaling as Scaling
from mainspring.ground.training import RowsPolicy as RowsPolicy

Kind = Literal["binary", "multiclass", "regression"]


# ---------------------------------------------------------------- data


class Column(Record, frozen=True, kw_only=True):
    """One raw column of a signature."""

    name: str
    type: Literal["float", "int", "str", "bool"]
    nullable: bool = True
    categories: list[str] | None = None  #: known values of a str column, at most 1,000


class Signature(Record, frozen=True, kw_only=True):
    """What a version takes and gives."""

    columns: list[Column]
    kind: Kind
    target: str
    classes: list[str] = []  #: labels in the order of the scores; binary: [negative, positive]
    time: str | None = None  #: the column that holds event time, if any; it is not an input
    scale: float = 1.0  #: regression only: the error at which the bounded loss is 1


# ---------------------------------------------------------------- runs


class RunStatus(StrEnum):
    """How far a run is."""

    RUNNING = "running"  #: started, or waiting for a worker
    FINISHED = "finished"  #: every step done
    FAILED = "failed"  #: a step raised or a check refused
    CANCELLED = "cancelled"  #: somebody stopped it
    CRASHED = "crashed"  #: its process died without ending it


class HaltState(StrEnum):
    """Why a run that has not ended does not go on."""

    WAITING = "waiting"  #: for a person, news from outside, or a time
    INTERRUPTED = "interrupted"  #: something is left to do, and nobody who lives does it


class StepState(StrEnum):
    """How far a step of a run is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"  #: same code, inputs, params and environment as before
    FAILED = "failed"
    SKIPPED = "skipped"  #: something before it failed


class Halt(Record, frozen=True, kw_only=True):
    """Why a run does not go on just now, and what lets it go on."""

    state: HaltState
    kind: str = ""  #: what it waits for: an approval, an event, a callback, or a time ("wait")
    run: str = ""  #: whose step waits, or is left to do: its own, or that of a run it started
    step: str = ""  #: the one that has waited longest
    name: str = ""  #: of the approval or the event
    message: str = ""  #: what the person is asked
    since: float | None = None  #: UTC seconds
    until: float | None = None  #: UTC seconds; None: for as long as it takes
    command: str = ""  #: what lets it go on, to be typed; empty where only time does
    more: int = 0  #: further steps that wait


class Run(Record, frozen=True, kw_only=True):
    """One tracked piece of work: a script's run or a pipeline's."""

    id: str
    experiment: str
    name: str
    status: RunStatus
    started: float
    ended: float | None = None
    pipeline: str | None = None
    parent: str | None = None
    cause: str | None = None  #: "kind:id" of what asked for it, such as a loop's command
    params: dict[str, str] = {}
    metrics: dict[str, float] = {}  #: the latest value by key
    tags: dict[str, str] = {}
    halt: Halt | None = None  #: of one that runs: why it does not go on; looked at, never kept

    @property
    def standing(self) -> str:
        """Return its status in a word: what halts it, where something does."""
        return str(self.halt.state if self.halt else self.status)

    def _repr_html_(self) -> str:
        return run_page(self).html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("Run(...)" if cycle else run_page(self).text())


class StepRecord(Record, frozen=True, kw_only=True):
    """What one step of one run did."""

    run: str
    step: str
    state: StepState
    key: str | None = None  #: digest of code + inputs + params + environment
    why: str = ""  #: why it ran or was reused, in words
    parts: dict[str, str] = {}  #: digest of each part of the key
    needs: list[str] = []  #: names of the steps before it
    inputs: dict[str, str] = {}  #: argument -> digest
    output: str | None = None  #: digest of what it returned
    output_type: str | None = None
    reused_from: str | None = None  #: the run that computed it
    started: float | None = None
    ended: float | None = None
    attempt: int = 0
    error: str = ""
    trace: str = ""
    log: str | None = None  #: digest of its stdout and stderr
    wall_s: float = 0.0
    cpu_s: float = 0.0
    kind: str = "step"  #: or of a controller: map, when, iterate, catch, wait, ...
    within: str | None = None  #: the controller that planted it while the run went on
    handled: bool = False  #: it was not taken, or its failure was caught or tolerated
    reads: list[str] = []  #: files that it opened and that are no part of its key


# ---------------------------------------------------------------- versions, gate, decisions


class Version(Record, frozen=True, kw_only=True):
    """One trained model in the registry: ``model/number``."""

    model: str
    number: int
    run: str | None
    package: str  #: digest of the package's manifest
    signature: Signature
    card: Card | None
    metrics: dict[str, float]
    created: float
    by: str
    cause: str | None = None  #: "alarm:...", "schedule", "request:...": what asked for it
    data: dict[str, str] = {}  #: name -> digest of the data it saw
    code: str = ""  #: digest of the pipeline's code
    trained_until: float | None = None  #: event time of the newest row it learnt from
    command: str | None = None  #: the loop's command that made it; unique, so it is made once
    source: str | None = None  #: where a client of another tool said its files are
    link: str | None = None  #: where that client said its run can be seen
    logged: str | None = None  #: the logged model it was registered from
    origin: str | None = None  #: digest of the files as they came; ``package`` was made of them


class Decision(Record, frozen=True, kw_only=True):
    """One written reason. The timeline of a loop is its decisions in order."""

    id: str
    at: float  #: event time of the loop
    made: float  #: wall time
    kind: (
        str  #: what was done: retrain, canary, promote, reject, roll_back, dismiss, override, ...
    )
    subject: str  #: "model/number", "loop:name", "alarm:id"
    reason: str
    by: str
    loop: str | None = None
    cause: str | None = None
    evidence: dict[str, Any] = {}


# ---------------------------------------------------------------- serving


class RoutedArm(Record, frozen=True, kw_only=True):
    """One of several versions that answer by weight."""

    version: int
    package: str
    weight: float


class Routing(Record, frozen=True, kw_only=True):
    """What an endpoint must serve right now; derived, never stored."""

    endpoint: str
    model: str
    champion: int | None
    champion_package: str | None
    challenger: int | None = None
    challenger_package: str | None = None
    strategy: Strategy | None = None
    share: float = 0.0
    rollout: str | None = None
    watch: bool = False  #: the challenger is the champion before, and answers where this one fails
    slowdown: float | None = None  #: so many times the other's time on the same rows is slow
    arms: list[RoutedArm] = []  #: of an A/B rollout; then there is no challenger
    sticky: str | None = None  #: the column whose value says which arm answers
    deprecation: Deprecation | None = None  #: of the endpoint, its model or its champion
    options: EndpointOptions = EndpointOptions()


# ---------------------------------------------------------------- what a Loop declares


#: What is done about an alarm: measure regret, train at once, or write it down.
Wish = Literal["check", "retrain", "note"]


class Freeze(Record, frozen=True, kw_only=True):
    """A stretch that comes back, in which the loop begins nothing. The wall clock counts."""

    cron: str  #: five fields: when it begins
    for_s: float  #: how long it lasts
    tz: str = "UTC"
    why: str = ""


class RetrainingPolicy(Record, frozen=True, kw_only=True):
    """When a new version is trained, and on what."""

    on_drift: Wish = "check"
    on_performance: Wish = "retrain"
    on: dict[str, Wish] = {}  #: alarm kind, or "kind:subject", -> what to do; over the two above
    every_rows: int | None = None  #: retrain once so many rows were served since the last time
    every_labels: int | None = None  #: the same of labels received
    on_data: list[str] = []  #: datasets whose new version asks for a retraining
    check_every_s: float | None = 7 * DAY_S  #: regret is measured at least that often
    check_cooldown_s: float = 7 * DAY_S  #: and for an alarm not again within that time ...
    check_labels: int | None = None  #: ... unless so many labels came since
    max_age_s: float | None = None  #: retrain a champion older than this
    max_age_measured: bool = False  #: or than the limit of the newest staleness curve
    schedule: str | None = None  #: cron, five fields: ask for a retraining at these times
    schedule_tz: str = "UTC"  #: whose wall clock the schedule follows
    cooldown_s: float = 14 * DAY_S
    budget: int = 50  #: retrainings in all; then a person must raise it
    budget_s: float | None = None  #: seconds of training in all
    freeze: list[Freeze] = []  #: when nothing begins; safety still acts
    history_s: float | None = None  #: only the newest rows; None: all there are
    max_rows: int = 200_000
    holdout_s: float = 7 * DAY_S  #: newest labelled rows kept for the gate, never trained on
    value_per_loss: float = 1.0  #: worth of one unit of bounded loss on one prediction
    cost: float = 0.0  #: of one retraining, in the same unit
    rows: RowsPolicy = RowsPolicy()  #: what it learns from


class LoopSpec(Record, frozen=True, kw_only=True):
    """One loop as declared: immutable; an edit makes a new loop version."""

    name: str
    model: str
    pipeline: str  #: "module:function"
    endpoint: str
    target: str
    kind: Kind
    time: str | None = None
    positive: str | None = None  #: binary: the class whose probability is the score
    gate: Gate = Gate()
    rollout: RolloutPolicy = RolloutPolicy()
    monitor: MonitorPolicy = MonitorPolicy()
    retraining: RetrainingPolicy = RetrainingPolicy()
    params: dict[str, Any] = {}
    card: Card | None = None
    fed: bool = False  #: its endpoint answers elsewhere, and its predictions are fed
    root: str = ""  #: folder of the project
    code: str = ""  #: digest of the project file when declared


#: Which state may follow which; the store refuses any other move.
MOVES: dict[str, dict[str, frozenset[str]]] = {
    "run": {
        "running": frozenset({"finished", "failed", "cancelled", "crashed"}),
        "failed": frozenset({"running"}),  # a resumed run
        "crashed": frozenset({"running"}),
        "cancelled": frozenset({"running"}),
        "finished": frozenset(),
    },
    "rollout": {
        "running": frozenset({"promoted", "rolled_back", "rejected", "ended"}),
        "ended": frozenset(),
        "promoted": frozenset(),
        "rolled_back": frozenset(),
        "rejected": frozenset(),
    },
    "task": {
        "waiting": frozenset({"ready", "skipped", "cancelled"}),
        "ready": frozenset({"leased", "cancelled", "done"}),  # done: what it stood for was told
        "leased": frozenset({"done", "ready", "waiting", "failed", "cancelled"}),
        "done": frozenset({"waiting"}),  # only an `always` task, when what it waits for runs again
        "failed": frozenset({"ready", "waiting"}),  # a person asks for another try
        "skipped": frozenset({"waiting", "ready"}),
        "cancelled": frozenset({"ready", "waiting"}),
    },
}

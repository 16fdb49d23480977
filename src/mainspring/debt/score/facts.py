"""What the ML Test Score looks at: everything that really ran for one model, and when.

The caller gathers it from the rooms. Every ``at`` is wall time in UTC seconds, None where it is
not known; what has no known time proves nothing, for it could not age.
"""

from __future__ import annotations

from typing import Any

from mainspring.ground.objects import DAY_S, Evidence, Finding, Record

#: How long evidence counts.
MAX_AGE_S = 30 * DAY_S


class Check(Record, frozen=True, kw_only=True):
    """One check of a gate."""

    name: str
    passed: bool
    found: str
    evidence: dict[str, Any] = {}


class Judged(Record, frozen=True, kw_only=True):
    """The newest gate of a version."""

    id: str
    passed: bool
    at: float | None
    checks: list[Check] = []
    worst_slice: float | None = None  #: the mean loss that its gate allows no slice


class Made(Record, frozen=True, kw_only=True):
    """One version: where it comes from, what it costs to compute, how good it was and is."""

    number: int
    created: float
    by: str
    run: str | None = None
    params: dict[str, float] = {}  #: the numeric ones of its run
    commit: str = ""
    branch: str = ""
    dirty: bool = False
    feature_steps: list[str] = []  #: steps of its run that the fitted model was made from
    train_steps: list[str] = []  #: the step that fitted it
    columns: list[str] = []
    gate: Judged | None = None
    train_s: float | None = None  #: wall time of its run
    latency_ms: float | None = None  #: 95th percentile for one row, as its gate measured it
    memory_bytes: float | None = None  #: as its load test measured it
    offline: float | None = None  #: mean bounded loss on held-out rows, 0 to 1
    online: float | None = None  #: mean bounded loss by late labels, 0 to 1
    online_rows: int = 0


class Move(Record, frozen=True, kw_only=True):
    """One move of the champion alias."""

    number: int
    previous: int | None
    at: float | None
    gate: str | None = None  #: id of a gate that the version had passed by then
    back: bool = False  #: it went back to a version that had been champion
    rollout: str = ""  #: how it met traffic before: shadow or canary, "" if it did not
    decision: str | None = None  #: id of the decision that says why


class Seen(Record, frozen=True, kw_only=True):
    """One window of an endpoint's traffic, as monitors judged it."""

    id: str
    page: str  #: where it can be looked at
    at: float | None  #: when its newest row came
    rows: int
    version: int | None
    drift: int = 0  #: columns whose drift was judged
    quality: int = 0  #: checks of quality that were made
    found: list[Finding] = []
    performance: dict[str, Any] | None = None  #: None until its labels are mature


class Tuned(Record, frozen=True, kw_only=True):
    """One search over params that ended."""

    run: str
    at: float
    params: list[str]
    trials: int


class Arrived(Record, frozen=True, kw_only=True):
    """One input column: from the first run that had it to the first champion that uses it."""

    column: str
    seconds: float


class Finite(Record, frozen=True, kw_only=True):
    """How many of the figures of training and of the answers of serving are no finite numbers."""

    trained: int  #: metrics of the champion's run that were looked at
    trained_bad: int
    served: int  #: the newest answers that were looked at
    served_bad: int
    at: float | None
    page: str = ""  #: where the answers can be looked at


class SliceBias(Record, frozen=True, kw_only=True):
    """What was said and what came on average, in one slice of one labelled window."""

    window: str
    slice: str  #: "all rows", or the slice's name
    said: float
    came: float
    rows: int
    biased: bool  #: surely, and by more than does not matter


class Schema(Record, frozen=True, kw_only=True):
    """What the champion's package expects of its inputs: types, ranges, known values."""

    digest: str  #: of the package
    columns: int
    declared: bool = False  #: as a contract; else it is what the training rows were like
    broken: list[str] = []  #: in which ways the training rows broke a contract


class Told(Record, frozen=True, kw_only=True):
    """A channel over which people are told of alarms."""

    name: str


class Facts(Record, frozen=True, kw_only=True):
    """Everything the 28 tests look at. Lists begin with the newest."""

    model: str
    now: float
    max_age_s: float = MAX_AGE_S
    champion: int | None = None
    versions: list[Made] = []
    moves: list[Move] = []
    windows: list[Seen] = []
    tunings: list[Tuned] = []
    channels: list[Told] = []
    arrived: list[Arrived] = []
    biases: list[SliceBias] = []
    schema: Schema | None = None
    finite: Finite | None = None
    #: On the champion, its pipeline, the model, its endpoints; where code matters, on its code.
    evidence: list[Evidence] = []

    @property
    def serving(self) -> Made | None:
        """Return the champion, if there is one."""
        return next((one for one in self.versions if one.number == self.champion), None)

    def of(self, *kinds: str) -> list[Evidence]:
        """Return the evidence of some kinds, the newest first."""
        found = [one for one in self.evidence if one.kind in kinds]
        return sorted(found, key=lambda one: -one.at)

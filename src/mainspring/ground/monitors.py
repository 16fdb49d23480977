"""The records of monitoring: what was found in a window, what is alarming, what is watched for."""

from __future__ import annotations

from typing import Any, Literal

from mainspring.ground.records import DAY_S, Record

AlarmKind = Literal[
    "drift",
    "score_drift",
    "joint",
    "quality",
    "traffic",
    "performance",
    "estimate",
    "calibration",
    "concept",
    "bias",
    "attribution",
    "skew",
    "age",
    "slice",
    "custom",
    "regret",
    "rule",  # a person's own rule
    "channel",  # a channel that cannot be reached
    "log",  # a pattern in the logs
    "capture",  # captured rows that were lost or are damaged
]
Verdict = Literal["quiet", "notice", "alarm", "too few rows", "not judged"]


class Finding(Record, frozen=True, kw_only=True):
    """One figure that a monitor took of one window, and what it says.

    Every series, alarm rule, chart and page of monitoring is made of these.
    """

    monitor: str  #: which monitor; the kind of the alarm it deserves
    subject: str  #: the column, metric, facet or slice
    value: float | None  #: None: it could not be computed, and ``why`` says so
    low: float | None = None  #: interval, 95 % unless ``detail`` says otherwise
    high: float | None = None
    baseline: float | None = None  #: the same figure at training
    line: float | None = None  #: from where on it matters
    radius: float | None = None  #: what chance alone reaches
    smallest: float | None = None  #: the least shift this window could have alarmed on
    rows: int = 0
    verdict: Verdict = "quiet"
    why: str = ""
    detail: dict[str, Any] = {}  #: plain JSON; also what a monitor hands to its next window


class Alarm(Record, frozen=True, kw_only=True):
    """Something a monitor is sure of. It ends in exactly one outcome."""

    id: str
    endpoint: str
    kind: AlarmKind
    subject: str  #: the column, metric or check
    reason: str
    raised: float  #: event time
    window: str
    evidence: dict[str, Any] = {}
    outcome: Literal["promoted", "rejected", "rolled_back", "dismissed"] | None = None
    decision: str | None = None


class Window(Record, frozen=True, kw_only=True):
    """What was found in one stretch of traffic."""

    id: str
    endpoint: str
    start: float
    end: float
    rows: int
    version: int | None  #: the champion most rows were answered by
    drift: list[
        dict[str, Any]
    ] = []  #: one row a column: distance, radius, smallest visible, verdict
    quality: list[dict[str, Any]] = []
    traffic: dict[str, Any] = {}
    performance: dict[str, Any] | None = None  #: set once its labels are mature
    found: list[Finding] = []  #: what every other monitor found
    labelled: int = 0
    side: int | None = None  #: not None: the part of a window that this version answered


class Ranking(Record, frozen=True, kw_only=True):
    """Rows are answers to queries, and their order is what counts."""

    query: str  #: the column that says which query a row answers
    top: int = 10  #: how many answers are shown
    tolerance: float = 0.02  #: fall of NDCG that is alarming


class Forecast(Record, frozen=True, kw_only=True):
    """Rows are forecasts; all columns are among those captured."""

    horizon: str | None = None  #: the column that says how far ahead
    lower: str | None = None  #: the ends of the range that should hold the truth
    upper: str | None = None
    coverage: float = 0.9  #: how often it should
    naive: str | None = None  #: the naive forecast, such as the last known value
    tolerance: float = 0.05  #: fall of the coverage that is alarming


class Pair(Record, frozen=True, kw_only=True):
    """What one process counted of a version beside the one it is held against.

    In a challenge that is the challenger, in a watch the new champion, in an A/B rollout each arm
    but the champion's. Requests are counted where the other scored: what both fail is no fault.
    """

    tried: int = 0  #: requests that it was to score
    failed: int = 0  #: of these: it raised, or gave scores that are none
    odd: int = 0  #: of those: scores not finite, or of another shape
    timed: int = 0  #: requests of which the times of both are known
    slow: int = 0  #: of these: slower than the other by the factor that is allowed
    mine: dict[int, int] = {}  #: bucket of :data:`LATENCY_EDGES_S` -> its scorings
    theirs: dict[int, int] = {}  #: the other's, of the same requests
    rows: int = 0  #: that both scored
    agreed: int = 0  #: of these: the same label (regression: within 5 % of the scale)
    moved: int = 0  #: rows on which the other's score was not that of the row before
    stuck: int = 0  #: of these: this one's was
    #: Twentieth of the score difference, downwards (0: below 0.05, ...), -> rows.
    shifts: dict[int, int] = {}


class Tally(Record, frozen=True, kw_only=True):
    """What one process of an endpoint counted of one version in one minute of event time."""

    minute: float  #: its start in UTC seconds
    version: int | None  #: None: nobody was loaded to answer
    requests: int = 0  #: of a champion: for predictions; of a challenger: scorings
    refused: int = 0  #: answered with 4xx: the caller's doing
    errors: int = 0  #: answered with 5xx, or a challenger that failed
    #: Number of the bucket of :data:`LATENCY_EDGES_S` -> requests that were answered.
    latencies: dict[int, int] = {}
    rollout: str | None = None  #: only of pairs: in which
    pair: Pair | None = None  #: how it did beside the other there


#: Upper ends of the latency buckets in seconds, each 1.3 times the one before: 20 us to 60 s.
LATENCY_EDGES_S = tuple(20e-6 * 1.3**step for step in range(58))


class Facet(Record, frozen=True, kw_only=True):
    """Who is compared with whom, and what is good to get."""

    column: str
    disadvantaged: list[str] = []  #: values; empty: each value against all others
    below: float | None = None  #: of a number: the disadvantaged are the rows below
    above: float | None = None  #: or above
    positive: str | None = None  #: the class that is good to get; binary: the positive one
    positive_above: float | None = None  #: regression: values above are good to get
    group: str | None = None  #: the column within whose values disparity is measured too
    allowed: dict[str, tuple[float, float]] = {}  #: metric -> range, instead of the usual one


class CustomMonitor(Record, frozen=True, kw_only=True):
    """A function of the project that looks at every window."""

    target: str  #: "module:function"
    timeout_s: float = 60.0
    on: Literal["inputs", "labels"] = "inputs"  #: what it is shown: all rows, or labelled ones
    code: str = ""  #: digest of the function's code when declared


class MonitorPolicy(Record, frozen=True, kw_only=True):
    """How traffic is cut and what is alarming."""

    window_s: float = 7 * DAY_S
    window_rows: int | None = None  #: cut by so many rows in the order of event time instead
    by_batch: bool = False  #: each fed batch is a window, at the moment it was fed
    season_s: float | None = None  #: what comes again: a day, a week; windows of a phase are alike
    season_phases: int = 0  #: parts of a season, 0: as many as it has windows
    grace_s: float = 0.0  #: rows may be that late
    label_delay_s: float = 3 * DAY_S  #: a window's labels are mature that long after its end
    alpha: float = 0.001  #: chance of a false alarm per window, however many columns
    material: float = 0.05  #: distance below which a certain drift does not matter
    material_score: float = 0.03
    material_joint: float = 0.1  #: change of a rank correlation below which it does not matter
    relevant: float = 0.01  #: least share of the model's response
    loss_tolerance: float = 0.01  #: rise of the mean bounded loss that is alarming
    min_rows: int = 200
    raise_after: dict[str, tuple[int, int]] = {}  #: monitor -> (N, M): N of the newest M windows
    sources: dict[str, list[str]] = {}  #: columns that come from one place, by its name
    label_share: float | None = None  #: learn the delay: windows wait for this share of labels
    reopened: int = 12  #: the newest judged windows that late labels may still change
    run_length: float = 20_000.0  #: labels between false alarms of the e-detector, at least
    slices: list[str] = []  #: columns, or conditions in SQL, whose rows are watched apart
    search_slices: bool = True  #: look for slices that nobody declared
    ranking: Ranking | None = None
    forecast: Forecast | None = None
    bias: list[Facet] = []
    attribution_line: float = 0.9  #: below it the ranking of what the model listens to has moved
    max_error_rate: float | None = None  #: of a version's requests, 0 to 1
    max_p99_ms: float | None = None  #: of a version's requests
    skew_rate: float = 0.001  #: of the rows, that may be served otherwise than the model says
    max_age_s: float | None = None  #: of the champion's newest training row
    custom: list[CustomMonitor] = []

"""What was measured on one candidate: plain figures, as the child that measured them tells.

Each says in ``why`` why nothing could be measured, where that is so; its figures are then
None or empty, never 0.
"""

from __future__ import annotations

from mainspring.ground.records import Record


class SliceFigures(Record, frozen=True, kw_only=True):
    """What is lost in one slice of the fresh rows, alone and beside the champion.

    ``low`` and ``high`` hold each figure with the chance that was left to this slice.
    """

    name: str
    rows: int
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    champion_loss: float | None = None
    difference: float | None = None  #: candidate - champion
    difference_low: float | None = None
    difference_high: float | None = None
    by_block: bool = False
    found: bool = False  #: by a search, and judged on the half that was not searched
    why: str = ""


class SlicesMeasured(Record, frozen=True, kw_only=True):
    """All slices that were declared, and the worst that a search found."""

    slices: list[SliceFigures] = []
    looked: int = 0  #: slices that the search looked through
    alpha: float = 0.05  #: the chance of refusing for a slice that is not bad, in all
    unread: list[str] = []  #: declared slices that cannot be read on these rows, and why
    why: str = ""


class CalibrationMeasured(Record, frozen=True, kw_only=True):
    """How far probabilities are from what came, on the fresh rows; 95 % intervals."""

    rows: int = 0
    ece: float | None = None
    ece_low: float | None = None
    ece_high: float | None = None
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    bins: list[tuple[int, float, float]] = []  #: rows, said, came
    why: str = ""
    slope_why: str = ""


class LoadRound(Record, frozen=True, kw_only=True):
    """One round of a load test."""

    requests: int
    errors: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class LoadMeasured(Record, frozen=True, kw_only=True):
    """How a version answers over HTTP, in a process of its own on this machine.

    The figures are of the calmest round, the one with the lowest 95th percentile; ``rounds``
    holds all, so that the noise can be seen. Times are the client's.
    """

    connections: int = 0
    requests: int = 0  #: in the calmest round
    errors: int = 0  #: answers that were none, in all rounds
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    rps: float | None = None
    memory_mb: float | None = None  #: most that the process held, so far as the system tells
    cold_start_s: float | None = None
    rounds: list[LoadRound] = []
    form: str = ""  #: onnx or native
    why: str = ""


class LoadStep(Record, frozen=True, kw_only=True):
    """One step of a search for capacity."""

    connections: int
    rate: float | None  #: asked for a second; None: as soon as the answer before was there
    requests: int
    refused: int
    errors: int
    rps: float  #: answered
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_us: float | None  #: of the server, a request


class BatchStep(Record, frozen=True, kw_only=True):
    """How long so many rows at once take."""

    rows: int
    ms: float
    rows_per_s: float


class CapacityMeasured(Record, frozen=True, kw_only=True):
    """How much one worker of a version can answer on this machine, and what that asks for."""

    closed: list[LoadStep] = []
    opened: list[LoadStep] = []
    batches: list[BatchStep] = []
    knee_connections: int = 0  #: more bring no more answers, only waiting
    peak_rps: float = 0.0
    saturated_p99_ms: float = 0.0  #: at the peak
    cpu_us: float | None = None  #: of the server, a request, at its best
    bears_rps: float = 0.0  #: what one worker should have at most
    workers: int | None = None  #: for the rate that is expected
    in_flight: float = 0.0  #: requests under way that a worker should have
    batch_rows: int = 1  #: at once
    errors: int = 0
    memory_mb: float | None = None
    form: str = ""
    why: str = ""


class Probe(Record, frozen=True, kw_only=True):
    """One way in which rows were changed, and what became of the answers."""

    kind: str  #: missing, out of range, unseen, noise, extreme
    column: str  #: blank: every column at once
    rows: int
    flipped: int | None = None  #: rows with another answer; regression: that moved
    moved: int | None = None  #: rows whose score moved by more than epsilon
    not_finite: int = 0
    error: str = ""
    refused: bool = False  #: its own contract keeps such rows from it


class RobustnessMeasured(Record, frozen=True, kw_only=True):
    """What a version did with changed rows."""

    rows: int = 0
    probes: list[Probe] = []
    untried: list[str] = []  #: columns beyond those that are tried
    why: str = ""


class BaselineFigures(Record, frozen=True, kw_only=True):
    """What a simpler model loses on the fresh rows, and the candidate beside it."""

    name: str  #: constant, linear, tree, champion
    loss: float | None = None
    difference: float | None = None  #: candidate - this one
    low: float | None = None
    high: float | None = None
    learnt: int | None = None  #: rows it learnt from
    where: str = ""  #: what these rows were
    why: str = ""


class BaselinesMeasured(Record, frozen=True, kw_only=True):
    """Simpler models beside the candidate, on the same fresh rows."""

    rows: int = 0
    candidate_loss: float | None = None
    models: list[BaselineFigures] = []
    why: str = ""


class BiasFigures(Record, frozen=True, kw_only=True):
    """Two facets compared, by figures on the rows a version was measured on."""

    subject: str  #: such as "sex = F"
    outside: list[str] = []  #: figures surely outside of what is allowed, in words
    judged: bool = True
    found: str = ""


class BiasMeasured(Record, frozen=True, kw_only=True):
    """All comparisons that were asked for; the whole report is an object."""

    comparisons: list[BiasFigures] = []
    rows: int = 0
    report: str = ""  #: digest of the report
    why: str = ""


class ColumnWeight(Record, frozen=True, kw_only=True):
    """What one column is to a version: shuffled among the rows, how far the answers move."""

    column: str
    share: float  #: of the whole movement of the score, 0 to 1
    loss: float | None = None  #: by how much the mean loss rises
    loss_low: float | None = None
    loss_high: float | None = None


class AttributionMeasured(Record, frozen=True, kw_only=True):
    """What a version listens to, the heaviest column first."""

    rows: int = 0
    columns: list[ColumnWeight] = []
    labelled: bool = False
    why: str = ""


class Measured(Record, frozen=True, kw_only=True):
    """Everything beyond losses, latency and contract that was measured on a candidate."""

    slices: SlicesMeasured | None = None
    calibration: CalibrationMeasured | None = None
    load: LoadMeasured | None = None
    robustness: RobustnessMeasured | None = None
    baselines: BaselinesMeasured | None = None
    bias: BiasMeasured | None = None
    attribution: AttributionMeasured | None = None
    fresh_until: float | None = None  #: event time of the newest fresh row

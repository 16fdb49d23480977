"""What a gate bounds in more than one number: load, calibration, robustness."""

from __future__ import annotations

from mainspring.ground.records import Record


class LoadLimits(Record, frozen=True, kw_only=True):
    """A load test of a version as it would be served, and what it may show at most."""

    max_p99_ms: float | None = None  #: 99th percentile of one row over HTTP, as the client sees it
    max_p95_ms: float | None = None
    max_memory_mb: float | None = None  #: most memory its process held
    max_cold_start_s: float | None = None  #: from the start of its process to the first answer
    least_rps: float | None = None  #: answers a second
    connections: int = 4  #: that ask at once
    requests: int = 200  #: of one row, in each round
    round_s: float = 0.3  #: after so long a round ends, however many were answered
    rounds: int = 3  #: the calmest counts: a busy machine only ever adds


class CapacityAsked(Record, frozen=True, kw_only=True):
    """How the capacity of a version is looked for, and what it is to be enough for."""

    rate: float | None = None  #: requests a second that are expected
    p99_ms: float | None = None  #: that is wanted under this rate, as the client sees it
    connections: int = 256  #: that ask at once, at most
    step_s: float = 0.6  #: each step


class CalibrationBounds(Record, frozen=True, kw_only=True):
    """How far probabilities may be from what came."""

    max_ece: float | None = None  #: expected calibration error, 0 to 1
    slope: tuple[float, float] | None = None  #: allowed; 1 is calibrated, less is too sure


class RobustnessLimits(Record, frozen=True, kw_only=True):
    """What a version must bear: missing values, numbers out of range, small changes."""

    rows: int = 100  #: training rows that are changed
    columns: int = 20  #: that are tried, those the version listens to most
    noise: float = 0.01  #: a small change, in standard deviations of the column
    epsilon: float = 0.1  #: a score that moved by more has moved; regression: of the scale
    max_moved: float | None = 0.25  #: share of rows that small changes may move or flip
    max_flipped: float | None = None  #: share that one missing or strange value may flip
    extreme: bool = False  #: numbers that JSON permits and few models bear (1e300) count too

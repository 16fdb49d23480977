"""What a gate asks of a version, and what it found."""

from __future__ import annotations

from typing import Any, Literal

from mainspring.ground.limits import CalibrationBounds, LoadLimits, RobustnessLimits
from mainspring.ground.monitors import Facet
from mainspring.ground.records import DAY_S, Record

#: The check that a person answers.
APPROVAL = "approval"


class Accepted(Record, frozen=True, kw_only=True):
    """Somebody's word that a known flaw may stay for a time."""

    reason: str
    until: float  #: UTC seconds, by the wall clock; then it counts again


class Gate(Record, frozen=True, kw_only=True):
    """The checks a candidate must pass."""

    at_least: dict[str, float] = {}  #: metric -> lowest value allowed
    at_most: dict[str, float] = {}  #: metric -> highest value allowed
    max_latency_ms: float = 100.0  #: 95th percentile for one row, measured
    tolerance: float = (
        0.0  #: mean bounded loss by which a candidate may be worse than the champion
    )
    needs_card: bool = True
    security: bool = True  #: its files were scanned, and nothing was found against them
    advisories: str = ""  #: file of the project, or digest of an object; blank: not asked for
    advisories_from: Literal["low", "moderate", "high", "critical"] = "high"
    accepted: dict[str, Accepted] = {}  #: advisories by id
    reproduced: bool = False  #: its run gives the same when it is done again
    tests: bool = False  #: the project's own tests passed on exactly the code that made it
    tests_share: float = 0.0  #: of the lines of its steps that those tests ran, at least
    proof_age_s: float = 30 * DAY_S  #: what was tried longer ago does not count any more
    valid_s: float = 30 * DAY_S  #: how long a result holds, by the wall clock
    approval: bool = False  #: another person than the author must approve
    card_requires: list[str] = []  #: fields of the card beyond purpose, owner and limitations
    better: bool = False  #: it must be shown to be better than the champion, by ``margin``
    margin: float = 0.0  #: mean bounded loss by which it must be better
    few_rows: Literal["pass", "refuse"] = "pass"  #: when too few rows can show anything
    slices: list[str] = []  #: columns, or conditions in SQL, that are judged apart
    search_slices: bool = True  #: look for bad slices that nobody declared
    slice_tolerance: float = 0.05  #: mean loss by which a slice may be worse than the champion's
    worst_slice: float | None = None  #: mean loss that no slice may surely exceed
    calibration: CalibrationBounds | None = None
    trained_within_s: float | None = None  #: of the fresh rows, by event time
    load: LoadLimits | None = None  #: None: no load test
    bias: list[Facet] = []  #: facets whose figures must lie within their allowed ranges
    robustness: RobustnessLimits | None = RobustnessLimits()  #: None: not tried
    baselines: bool = True  #: it must not surely be worse than a constant
    simpler: Literal["tell", "refuse"] = "tell"  #: what becomes of one that is no better
    leaks: Literal["tell", "refuse"] = "tell"  #: what becomes of one whose training rows leak
    max_feedback_share: float | None = None  #: of its rows, labelled because of its own score


class CheckResult(Record, frozen=True, kw_only=True):
    """What one check of the gate found."""

    name: str
    passed: bool
    found: str  #: what was measured, in words with figures
    wanted: str
    evidence: dict[str, Any] = {}
    opens: list[str] = []  #: what can be opened: see :class:`mainspring.ground.evidence.Evidence`


class GateResult(Record, frozen=True, kw_only=True):
    """All checks on one version. Passed only if every check passed."""

    id: str
    model: str
    number: int
    passed: bool
    checks: list[CheckResult]
    at: float  #: event time of the loop, else wall time
    by: str
    made: float | None = None  #: wall time of the measuring; the store dates what it keeps
    until: float | None = None  #: wall time until when it holds; the store fills it in
    gate: Gate | None = None  #: what was asked for, as it was declared
    rows: str | None = None  #: digest of the labelled rows it was judged on

    def fresh(self, now: float) -> bool:
        """Return whether it still holds at a wall time; ``until`` itself is over."""
        return self.until is None or now < self.until

    @property
    def waits(self) -> bool:
        """Whether nothing is missing but an approval by another person."""
        missing = [check for check in self.checks if not check.passed]
        refused = any(check.evidence.get("refused") for check in missing)
        return [check.name for check in missing] == [APPROVAL] and not refused

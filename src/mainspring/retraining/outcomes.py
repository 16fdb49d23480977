"""The records of a simulation: what each policy did, what that was worth, and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

#: Told the share done, 0 to 1, and what is being done.
Progress = Callable[[float, str], None]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something a policy did."""

    period: int  #: the period it happened in, counted from the first of the table
    at: float  #: event time
    what: str  #: trained, promoted, rejected, rolled_back, reverted
    reason: str


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one policy fared on the periods after the first training."""

    policy: str
    retrainings: int  #: versions trained after the first
    promotions: int
    rollbacks: int = 0  #: challengers withdrawn as harmful, and champions that went back
    checks: int = 0  #: how often regret was measured
    alarms: dict[str, int] = {}  #: raised, by kind
    quality: list[float | None]  #: the headline metric by period; None where it is undefined
    mean: float | None  #: the headline metric, mean over periods
    loss: float  #: mean bounded loss over all rows
    gain: float  #: loss of never training again - this loss, a row
    gain_low: float  #: 95 % interval of the gain, periods being independent
    gain_high: float
    cost: float = 0.0  #: of all retrainings, in the policy's unit
    worth: float = 0.0  #: gain times rows times the worth of a unit of loss
    net: float = 0.0  #: worth - cost
    minutes: float | None = None  #: of computing, where it is known what one retraining takes
    happenings: list[Happening] = []


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the replay: the figures for a table and the lines for a plot."""

    kind: str
    metric: str
    higher_is_better: bool
    rows: int
    dropped: int
    columns: list[str]
    trained_on: int  #: rows of the first training
    begin: float  #: when the first period after it begins
    period_s: float  #: how long a period lasts
    window_s: float  #: how long a monitor's window lasts; a period holds one or several
    delay_s: float  #: how long after its row a label is known
    periods: list[str]  #: the start of every period after it
    period_rows: list[int]
    policies: list[PolicyResult]
    notices: list[str]

    def records(self) -> list[dict[str, Any]]:
        """Return one row a policy, for a table."""
        shares = self.shares()
        rows = []
        for found in self.policies:
            row: dict[str, Any] = {
                "policy": found.policy,
                self.metric: found.mean,
                "loss": found.loss,
                "gain": found.gain,
                "low": found.gain_low,
                "high": found.gain_high,
                "of every period's": shares[found.policy],
                "retrained": found.retrainings,
                "promoted": found.promotions,
                "back": found.rollbacks,
                "alarms": sum(found.alarms.values()),
            }
            if any(one.cost for one in self.policies):
                row |= {"cost": found.cost, "net": found.net}
            if found.minutes is not None:
                row["minutes"] = found.minutes
            rows.append(row)
        return rows

    def plot(self) -> dict[str, list[float | None]]:
        """Return the headline metric by period, one line a policy."""
        return {found.policy: found.quality for found in self.policies}

    def shares(self) -> dict[str, float | None]:
        """Return what part of the gain of retraining every period each policy kept.

        None where retraining every period was not replayed, or gained nothing.
        """
        every = self.of("every-period", "periodic")
        if every is None or every.gain <= 0:
            return {one.policy: None for one in self.policies}
        return {one.policy: one.gain / every.gain for one in self.policies}

    def of(self, *names: str) -> PolicyResult | None:
        """Return the first result by one of these names, changed or not, None if there is none."""
        return next((p for p in self.policies if p.policy.partition(",")[0] in names), None)

    @property
    def sentence(self) -> str:
        """Return what follows, in one sentence."""
        loop, every = self.of("declared", "default", "loop"), self.of("every-period", "periodic")
        loop = loop or next((one for one in self.policies if one.retrainings), None)
        if loop is None:
            return f"{_times(len(self.policies), 'policy', 'policies')} met {self.rows} rows."
        called = "The loop" if loop.policy in ("declared", "default", "loop") else loop.policy
        trained = _times(loop.retrainings, "retraining", "retrainings")
        band = f"95 % interval {loop.gain_low:+.4f} to {loop.gain_high:+.4f}"
        if loop.gain_low > 0:
            told = (
                f"{called} would have lost {loop.gain:.4f} less a row than a model never trained "
                f"again ({band}), with {trained}"
            )
        else:
            whose = f"{called[0].lower()}{called[1:]}'s"
            told = (
                f"On this table retraining is not shown to help: {whose} gain over a model never "
                f"trained again is {loop.gain:+.4f} a row ({band}), with {trained}"
            )
        if every is None or every is loop:
            return told + "."
        return f"{told}; training every period gains {every.gain:+.4f} with {every.retrainings}."


def best(results: Sequence[PolicyResult]) -> PolicyResult:
    """Return the policy with the greatest net worth; of equal ones the one that trained least.

    Raises:
        ValueError: if there is none.
    """
    return max(results, key=lambda one: (one.net, -one.retrainings))


def _times(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def unheard(share: float, what: str) -> None:
    """Tell nobody."""

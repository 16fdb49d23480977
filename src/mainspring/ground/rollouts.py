"""What a rollout is: how versions meet traffic, in which steps, and what ends it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from mainspring.ground.records import DAY_S, Record


class Strategy(StrEnum):
    """How a new version meets traffic."""

    SHADOW = "shadow"  #: scores copies, answers nobody
    CANARY = "canary"  #: answers a share of the rows, fixed or in steps
    LINEAR = "linear"  #: answers a share that grows by the same step every interval
    BLUE_GREEN = "blue_green"  #: answers everybody at once, the old one stands by
    AB = "ab"  #: several versions answer by weight, each row one of them


class Step(Record, frozen=True, kw_only=True):
    """One share of a rollout, and what must hold before the next."""

    share: float  #: of the rows the challenger answers, 0 to 1
    min_period_s: float = 0.0  #: of event time
    rows: int = 0  #: scored by both within the step
    labels: int = 0  #: of rows scored by both, since the rollout began


class Arm(Record, frozen=True, kw_only=True):
    """A version of an A/B rollout and its part of the rows; weights need not sum to 1."""

    version: int
    weight: float


class RolloutPolicy(Record, frozen=True, kw_only=True):
    """How a passed candidate meets traffic and what decides."""

    strategy: Strategy = Strategy.CANARY
    share: float = 0.2
    steps: list[Step] = []  #: canary, linear: over ``share``, one after the other
    bake_s: float = 0.0  #: after the last share is reached: nothing is promoted before it is over
    alpha: float = 0.05  #: chance of promoting one that is not better (by margin)
    harm_alpha: float = 0.01  #: chance of rolling back one that is not worse
    margin: float = 0.0  #: mean bounded loss that counts as equal, for both tests
    min_period_s: float = 0.0
    max_period_s: float = 28 * DAY_S  #: then an undecided rollout ends in a rejection
    watch_s: float = 14 * DAY_S  #: the previous champion is kept ready that long after a promotion
    fdr: float | None = None  #: of promotions over all loops of the home that declare one
    guard: bool = True  #: the guard rails that need no labels
    max_errors: float = 0.01  #: share of its scorings that a challenger may fail
    slow_ms: float | None = None  #: a scoring that takes longer is slow; None: nothing is
    max_slow: float = 0.05  #: share of its scorings that may be slow
    slowdown: float | None = 3.0  #: so many times the other's time on the same rows is slow
    max_shift: float | None = None  #: mean difference of scores, 0 to 1; None: as the gate saw


class Rollout(Record, frozen=True, kw_only=True):
    """A challenger meeting traffic beside the champion of one endpoint."""

    id: str
    endpoint: str
    model: str
    champion: int
    challenger: int  #: of an A/B rollout: the first version that is not the champion
    strategy: Strategy
    share: float  #: of the rows the challenger answers, 0 to 1
    state: Literal["running", "promoted", "rolled_back", "rejected", "ended"]
    started: float  #: event time
    purpose: Literal["challenge", "watch"] = "challenge"
    #: watch: after a promotion the champion before it scores in the shadow, ready to return
    ended: float | None = None
    better: list[float] = []  #: log-wealths of the promotion test
    worse: list[float] = []  #: log-wealths of the harm test
    rows: int = 0  #: paired, labelled rows seen
    cursor: int = 0  #: the last label batch taken into account
    by: str | None = None  #: who began it by hand; None: its loop
    policy: RolloutPolicy | None = None  #: its own; None: that of its loop
    ends: Literal["hand", "proven", "baked"] = "hand"  #: what promotes, of one begun by hand
    step: int = 0  #: of the policy's steps, from 0
    stepped: float | None = None  #: event time at which its share was reached
    step_rows: int = 0  #: rows that both had scored by then
    arms: list[Arm] = []  #: of an A/B rollout, the champion's among them
    sticky: str | None = None  #: the column whose value says which arm answers
    tests: dict[str, list[float]] = {}  #: of an A/B rollout: "7>8" -> state of "7 is better"

    @property
    def hand(self) -> bool:
        """Return whether a person began it, so that no loop decides it."""
        return self.by is not None

"""The shapes of series: what monitors found, point by point, and the newest of each."""

from __future__ import annotations

from mainspring.ground.monitors import Finding, Verdict, Window
from mainspring.ground.records import Record


class FindingPoint(Record, frozen=True, kw_only=True):
    """One figure of a series, with the window it was taken of."""

    window: str
    start: float  #: event time, UTC seconds
    end: float
    version: int | None
    rows: int
    value: float | None  #: None: ``why`` says why there is none
    low: float | None
    high: float | None
    baseline: float | None
    line: float | None
    radius: float | None
    smallest: float | None
    verdict: Verdict
    why: str


class FindingSeries(Record, frozen=True, kw_only=True):
    """What one monitor found of one subject, oldest first."""

    monitor: str
    subject: str
    points: list[FindingPoint]


class Newest(Record, frozen=True, kw_only=True):
    """The newest figure of a series, and how many are not told."""

    finding: Finding
    end: float  #: of the window it was taken of
    version: int | None


class Watched(Record, frozen=True, kw_only=True):
    """Where an endpoint stands by its newest figures."""

    endpoint: str
    window: Window | None  #: the newest
    newest: list[Newest]
    open_alarms: dict[str, int]  #: by kind

"""What a monitor is given of one window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import (
    CustomMonitor,
    Finding,
    MonitorPolicy,
    Profile,
    Signature,
    Tally,
    Window,
)
from mainspring.ground.ports import Outcome
from mainspring.monitoring.labels import Joined

Floats = npt.NDArray[np.float64]
Score = Callable[[pl.DataFrame], Floats]

#: Windows before this one that a monitor may look back on.
LOOKS_BACK = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """The same raw rows through the path of training and the path of serving."""

    trained: pl.DataFrame  #: features as training computes them
    served: pl.DataFrame  #: features as serving computes them
    scores: Floats | None = None  #: of the estimator itself, shape (rows, k); None: not asked for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """What a window is looked at with that is not in its rows."""

    trained_until: float | None = None  #: event time of the newest row the version learnt from
    tallies: Sequence[Tally] = ()  #: what the endpoint's processes counted inside the span
    #: Raw rows through both paths; with True the estimator scores them too, in a child process.
    paths: Callable[[pl.DataFrame, bool], Paths] | None = None
    #: Runs a custom monitor on the rows it looks at, in a child process.
    custom: Callable[[CustomMonitor, pl.DataFrame], Outcome] | None = None


NOTHING_BESIDE = Beside()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """One window as a monitor sees it: its rows, and what they are to be compared with.

    ``frame`` holds the captured rows inside ``span``: ``_id``, ``_time``, ``_version``,
    ``_score``, ``_other_version``, ``_other_score`` and the raw columns. ``joined`` are those
    of them whose label is known, with ``_y``; None as long as labels are not mature.

    ``reference`` holds up to 20,000 rows that the version was measured on (it did not learn from
    them, unless it was given no others), with ``_score`` (a number, or a list of one
    probability a class) and ``_y``: None for versions made before they were kept.
    ``score`` is the version's own model, raw rows in, scores of shape (rows, k) out; it is
    loaded when first called.
    """

    frame: pl.DataFrame
    baseline: Profile
    signature: Signature
    policy: MonitorPolicy
    span: tuple[float, float]
    endpoint: str
    version: int | None
    window: str  #: its id
    joined: Joined | None = None
    earlier: Sequence[Window] = ()  #: newest first
    reference: pl.DataFrame | None = None
    score: Score | None = None
    beside: Beside = NOTHING_BESIDE


Monitor = Callable[[Sight], list[Finding]]

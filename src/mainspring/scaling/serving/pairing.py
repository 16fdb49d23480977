"""Count how a version does beside the one it is held against, request by request.

What callers feel, and what its answers look like, is known long before any label. The counts go
to the tallies, where the guard rails of :mod:`mainspring.retraining.guardrails` read them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.monitors import LATENCY_EDGES_S, Pair
from mainspring.ground.objects import Signature

Floats = npt.NDArray[np.float64]

#: Nobody feels less: a scoring is slow only if it takes so much longer, too.
SLACK_S = 0.002
#: Scores closer than this are the same.
_SAME = 1e-9
#: Labels of a regression agree within this part of the scale.
_CLOSE = 0.05
TWENTIETHS = 20


@dataclass(slots=True)
class PairCounts:
    """The twin of :class:`Pair` that can be added to."""

    tried: int = 0
    failed: int = 0
    odd: int = 0
    timed: int = 0
    slow: int = 0
    mine: dict[int, int] = field(default_factory=dict)
    theirs: dict[int, int] = field(default_factory=dict)
    rows: int = 0
    agreed: int = 0
    moved: int = 0
    stuck: int = 0
    shifts: dict[int, int] = field(default_factory=dict)

    def add(self, other: PairCounts | Pair) -> None:
        """Add what somebody else counted."""
        for name in Pair.__struct_fields__:
            theirs = getattr(other, name)
            if isinstance(theirs, dict):
                mine = getattr(self, name)
                for key, count in theirs.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(self, name, getattr(self, name) + theirs)

    def record(self) -> Pair:
        """Return the counts as they are written down."""
        return Pair(**{name: getattr(self, name) for name in Pair.__struct_fields__})


class Pairing:
    """Compares the scores and the times of two versions on the same rows.

    It remembers the last pair of scores of each version, so that a challenger that always says
    the same is seen in requests of one row, too.
    """

    def __init__(self) -> None:
        self._last: dict[int, tuple[Floats, Floats]] = {}

    def failed(self, *, odd: bool) -> PairCounts:
        """Return what a request counts that the version failed; ``odd``: by its scores."""
        return PairCounts(tried=1, failed=1, odd=int(odd))

    def times(self, mine_s: float, theirs_s: float, slowdown: float | None) -> PairCounts:
        """Return what the times of one request count."""
        slow = slowdown is not None and mine_s > slowdown * theirs_s + SLACK_S
        return PairCounts(
            tried=1,
            timed=1,
            slow=int(slow),
            mine={bisect_left(LATENCY_EDGES_S, mine_s): 1},
            theirs={bisect_left(LATENCY_EDGES_S, theirs_s): 1},
        )

    def scores(
        self, version: int, mine: Floats, theirs: Floats, signature: Signature
    ) -> PairCounts:
        """Return what the scores of one request count, both of shape (rows, k) and finite."""
        before = self._last.get(version)
        if before is not None and before[0].shape[1:] == mine.shape[1:]:
            moved, stuck = _moves(
                np.concatenate((before[0], mine)), np.concatenate((before[1], theirs))
            )
        else:
            moved, stuck = _moves(mine, theirs)
        self._last[version] = mine[-1:], theirs[-1:]
        apart = difference(mine, theirs, signature)
        places, counts = np.unique(
            np.minimum((apart * TWENTIETHS).astype(np.int64), TWENTIETHS - 1), return_counts=True
        )
        return PairCounts(
            rows=len(mine),
            agreed=_agreed(mine, theirs, signature),
            moved=moved,
            stuck=stuck,
            shifts=dict(zip(places.tolist(), counts.tolist(), strict=True)),
        )


def difference(mine: Floats, theirs: Floats, signature: Signature) -> Floats:
    """Return how far two answers to each row are apart, 0 to 1, shape (rows,).

    The root of the bounded loss of one against the other: of probabilities the difference
    (several classes: the root of half the summed squares), of values the difference in units of
    the scale, clipped at 1. So it never exceeds the sum of the roots of both their losses.
    """
    apart = mine - theirs
    with np.errstate(over="ignore"):
        if signature.kind == "regression":
            far = np.abs(apart[:, 0]) / (signature.scale or 1.0)
        elif mine.shape[1] == 1:
            far = np.abs(apart[:, 0])
        else:
            far = np.sqrt((apart**2).sum(axis=1) / 2)
    return np.asarray(np.minimum(far, 1.0), dtype=np.float64)


def _agreed(mine: Floats, theirs: Floats, signature: Signature) -> int:
    if signature.kind == "regression":
        apart: npt.NDArray[Any] = difference(mine, theirs, signature) <= _CLOSE
    elif mine.shape[1] == 1:
        apart = (mine[:, 0] >= 0.5) == (theirs[:, 0] >= 0.5)
    else:
        apart = mine.argmax(axis=1) == theirs.argmax(axis=1)
    return int(apart.sum())


def _moves(mine: Floats, theirs: Floats) -> tuple[int, int]:
    """Return on how many rows the other's score moved, and on how many of these mine did not."""
    moved = np.abs(np.diff(theirs, axis=0)).max(axis=1, initial=0.0) > _SAME
    stuck = np.abs(np.diff(mine, axis=0)).max(axis=1, initial=0.0) <= _SAME
    return int(moved.sum()), int((moved & stuck).sum())

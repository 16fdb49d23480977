"""SageMaker Model Monitor's rule of drift, written from its documents: a distance above 0.1.

L-infinity: the largest gap between cumulative distributions of a number, between the shares of a
category. Completeness is let fall to nothing below the baseline, as its suggested constraints do
with a threshold of the completeness seen; here a fall of 0.1 as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from worlds import NUMBERS, TEXTS, Table

VERSION = "0.1"
LINE = 0.1


def start(reference: Table) -> Callable[[Table], bool]:
    def pages(window: Table) -> bool:
        return any(
            _gap(np.asarray(reference[name]), np.asarray(window[name])) > LINE
            for name in [*NUMBERS, "score"]
        ) or any(_share_gap(reference[name], window[name]) > LINE for name in TEXTS)

    return pages


def _gap(before: np.ndarray, now: np.ndarray) -> float:
    first, second = np.sort(before[~np.isnan(before)]), np.sort(now[~np.isnan(now)])
    at = np.concatenate((first, second))
    gaps = np.searchsorted(first, at, side="right") / first.size
    gaps = gaps - np.searchsorted(second, at, side="right") / second.size
    return float(np.abs(gaps).max())


def _share_gap(before: list[str], now: list[str]) -> float:
    first, second = Counter(before), Counter(now)
    return max(
        abs(first[name] / len(before) - second[name] / len(now)) for name in first.keys() | second
    )

"""Share the chance of a false alarm in a window among everything that may raise one.

``MonitorPolicy.alpha`` is promised for all monitors together: whatever number of columns, pairs,
slices and facets there are, at most one window in 1/alpha holds a false alarm of any. So each
family is given its share here, once, and spends no more: the shares sum to 1. Two fifths are
for inputs, three tenths for what labels show, a quarter for traffic, the rest for bias and age.
A custom monitor and a rule of a person's own are outside: their chances are not ours to know.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

Family = Literal[
    "drift",
    "quality",
    "joint",
    "performance",
    "ranking",
    "forecast",
    "concept",
    "calibration",
    "slice",
    "volume",
    "errors",
    "latency",
    "bias",
    "age",
]

#: Drift is of columns and of the score; with a declared season its half goes to the phase and its
#: half to the season as a whole. What has the most things to test is given the most.
SHARES = MappingProxyType(
    {
        "drift": 0.2,
        "quality": 0.1,
        "joint": 0.1,
        "performance": 0.08,
        "ranking": 0.03,
        "forecast": 0.03,
        "concept": 0.1,  # its delay hangs on it most
        "calibration": 0.03,
        "slice": 0.03,
        "volume": 0.15,  # its band has heavy tails, and widens fast where little is to be spent
        "errors": 0.05,
        "latency": 0.04,
        "bias": 0.05,
        "age": 0.01,
    }
)


def alpha_of(family: Family, alpha: float) -> float:
    """Return the chance of a false alarm that a family of monitors may spend in a window.

    >>> round(sum(alpha_of(family, 0.001) for family in SHARES), 12)
    0.001
    """
    return SHARES[family] * alpha

"""Share the chance of a false alarm in a window among the monitors that look at its inputs.

``MonitorPolicy.alpha`` is promised for all of them together: whatever number of columns, pairs
and checks there are, at most one window in 1/alpha holds a false alarm of any. So each family
is given its share here, once, and spends no more: the shares sum to 1.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

Family = Literal["drift", "quality", "joint"]

#: Drift is of columns and of the score; with a declared season its half goes to the phase and its
#: half to the season as a whole. What has the most things to test is given the most.
SHARES = MappingProxyType({"drift": 0.5, "quality": 0.25, "joint": 0.25})


def alpha_of(family: Family, alpha: float) -> float:
    """Return the chance of a false alarm that a family of monitors may spend in a window.

    >>> sum(alpha_of(family, 0.001) for family in ("drift", "quality", "joint"))
    0.001
    """
    return SHARES[family] * alpha

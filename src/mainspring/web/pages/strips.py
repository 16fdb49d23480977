"""Draw how the values of a metric lie, as a strip of marks, on the server."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _EDGE = 150.0, 18.0, 4.0


def strip(values: Sequence[float], *, best_high: bool | None) -> Markup | None:
    """Return a mark for each value from left to right, the best in colour; None for one."""
    if len(values) < 2 or min(values) == max(values):
        return None
    low, span = min(values), max(values) - min(values)
    if not math.isfinite(span):
        return None
    marks = "".join(f"M{_x(value, low, span):.1f} 4v10" for value in values)
    best = ""
    if best_high is not None:
        at = _x(max(values) if best_high else min(values), low, span)
        best = f'<path class="best" d="M{at:.1f} 2v14"/>'
    return Markup(  # noqa: S704  figures of ours alone
        f'<svg class="strip" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}"'
        f' height="{_HEIGHT:.0f}" aria-hidden="true"><path class="base"'
        f' d="M{_EDGE:.0f} 9h{_WIDTH - 2 * _EDGE:.0f}"/><path d="{marks}"/>{best}</svg>'
    )


def _x(value: float, low: float, span: float) -> float:
    return _EDGE + (_WIDTH - 2 * _EDGE) * (value - low) / span

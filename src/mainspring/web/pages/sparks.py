"""Draw a small curve on the server, as SVG: the shape of a thing, without axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _EDGE = 160.0, 36.0, 3.0


def curve(values: Sequence[float]) -> Markup | None:
    """Return a curve through values, the newest marked; None for fewer than two."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    if not math.isfinite(span):
        return None
    step = (_WIDTH - 2 * _EDGE) / (len(values) - 1)
    spots = [
        (_EDGE + n * step, _EDGE + (_HEIGHT - 2 * _EDGE) * (1 - (value - low) / span))
        for n, value in enumerate(values)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    x, y = spots[-1]
    return Markup(  # noqa: S704  figures of ours alone
        f'<svg class="spark" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" aria-hidden="true"'
        f' preserveAspectRatio="none"><polyline points="{path}"/>'
        f'<path d="M{x:.1f} {y:.1f}h0"/></svg>'  # a dot that stays round when stretched
    )

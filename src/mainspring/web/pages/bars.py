"""Draw how the values of a column lie, as a small histogram, on the server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

_WIDTH, _HEIGHT = 120.0, 28.0
_BARS = 24


def histogram(
    low: float | None, high: float | None, edges: Sequence[float], counts: Sequence[int]
) -> Markup | None:
    """Return bars of one width, from the lowest to the highest value.

    ``edges`` are the right edges of the bins, ascending; ``counts`` has one more. The rows of a
    bin are spread over the bars that it covers. None if there is nothing to draw: no value, or
    one alone.
    """
    if low is None or high is None or not counts or not math.isfinite(high - low) or high <= low:
        return None
    held = [0.0] * _BARS
    wide = (high - low) / _BARS
    ends = [low, *(min(max(edge, low), high) for edge in edges), high]
    for (left, right), count in zip(pairwise(ends), counts, strict=False):
        first = min(int((left - low) / wide), _BARS - 1)
        last = min(int((right - low) / wide), _BARS - 1)
        if first == last:
            held[first] += count
            continue
        for n in range(first, last + 1):
            inside = min(right, low + (n + 1) * wide) - max(left, low + n * wide)
            held[n] += count * max(inside, 0.0) / (right - left)
    most = max(held)
    if not most > 0:
        return None
    step = _WIDTH / _BARS
    path = []
    for n, rows in enumerate(held):
        tall = (_HEIGHT - 1) * rows / most
        path.append(f"M{n * step:.2f} {_HEIGHT:.0f}v{-tall:.2f}h{step - 1:.2f}v{tall:.2f}z")
    return Markup(  # noqa: S704  figures of ours alone
        f'<svg class="bars" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}"'
        f' height="{_HEIGHT:.0f}" aria-hidden="true" fill="currentColor" fill-opacity="0.55">'
        f'<path d="{"".join(path)}"/></svg>'
    )

"""Draw how the values of a column lie, as a small histogram, on the server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

_WIDTH, _HEIGHT = 120.0, 28.0


def histogram(
    low: float | None, high: float | None, edges: Sequence[float], counts: Sequence[int]
) -> Markup | None:
    """Return bars whose area is the number of rows, from the lowest to the highest value.

    ``edges`` are the right edges of the bins, ascending; ``counts`` has one more. None if there
    is nothing to draw: no value, or one alone.
    """
    if low is None or high is None or not counts or not math.isfinite(high - low) or high <= low:
        return None
    inner = [edge for edge in edges if low < edge < high]
    first = sum(edge <= low for edge in edges)
    borders = [low, *inner, high]
    held = list(counts[first : first + len(borders) - 1])
    held[0] += sum(counts[:first])  # the lowest value may stand on an edge
    spans = list(pairwise(borders))
    dense = [count / (right - left) for (left, right), count in zip(spans, held, strict=False)]
    if not max(dense):
        return None
    scale = _WIDTH / (high - low)
    path = []
    for (left, right), density in zip(spans, dense, strict=False):
        tall = (_HEIGHT - 1) * density / max(dense)
        at, wide = (left - low) * scale, (right - left) * scale
        path.append(f"M{at:.2f} {_HEIGHT:.0f}v{-tall:.2f}h{wide:.2f}v{tall:.2f}z")
    return Markup(  # noqa: S704  figures of ours alone
        f'<svg class="bars" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}"'
        f' height="{_HEIGHT:.0f}" aria-hidden="true" fill="currentColor" fill-opacity="0.55">'
        f'<path d="{"".join(path)}"/></svg>'
    )

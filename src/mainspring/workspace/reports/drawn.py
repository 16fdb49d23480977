"""Draw a distribution small: as SVG that needs no script, and as a line of letters."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mainspring.ground.words import share
from mainspring.workspace.reports.distributions import Distribution

_BLOCKS = " ▁▂▃▄▅▆▇█"
BEFORE, NOW = "#8a94a6", "#2f6fd0"
_WIDTH, _HEIGHT = 168.0, 40.0


def svg(found: Distribution, *, classes: bool = False) -> str:
    """Return two samples laid over each other: the baseline filled, the other as bars before it.

    ``classes`` leaves the colours to a style sheet. Every bar says its shares when pointed at;
    names are escaped.
    """
    count = len(found.names)
    top = max([*found.before, *found.now], default=0.0) or 1.0
    step = _WIDTH / max(count, 1)
    old = 'class="then"' if classes else f'fill="{BEFORE}" fill-opacity="0.55"'
    new = 'class="now"' if classes else f'fill="{NOW}" fill-opacity="0.9"'
    marks: list[str] = []
    for place in range(count):
        first, second = found.before[place], found.now[place]
        now = f", now {share(second)}" if not found.alone else ""
        told = escape(f"{found.names[place]}: {share(first)}{now}", quote=True)
        left = place * step
        marks.append(
            f"<g><title>{told}</title>"
            f"{_bar(left, step * 0.96, first / top, old)}"
            f"{_bar(left + step * 0.28, step * 0.4, second / top, new)}</g>"
        )
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="{_WIDTH:.0f}"'
        f' height="{_HEIGHT:.0f}" role="img" aria-label="{escape(_said(found), quote=True)}">'
        f"{''.join(marks)}</svg>"
    )


def letters(found: Distribution) -> str:
    """Return baseline and table as two runs of blocks: the shape, where no picture can be.

    >>> letters(Distribution(kind="number", names=["1", "2"], before=[0.5, 0.5], now=[0.0, 1.0]))
    '▄▄ → ·█'
    """
    top = max([*found.before, *found.now], default=0.0) or 1.0
    if found.alone:
        return _run(found.before, top)
    return f"{_run(found.before, top)} → {_run(found.now, top)}"


def _run(shares: Sequence[float], top: float) -> str:
    shown = [_BLOCKS[round(value / top * 8)] if value > 0 else "·" for value in shares]
    return "".join(one if one != " " else "▁" for one in shown)


def _bar(left: float, width: float, height: float, look: str) -> str:
    tall = height * (_HEIGHT - 2)
    if tall <= 0:
        return ""
    return (
        f'<rect x="{left:.2f}" y="{_HEIGHT - max(tall, 0.8):.2f}" width="{width:.2f}"'
        f' height="{max(tall, 0.8):.2f}" {look}/>'
    )


def _said(found: Distribution) -> str:
    far = max(
        range(len(found.names)), key=lambda at: abs(found.now[at] - found.before[at]), default=None
    )
    if far is None:
        return "nothing to draw"
    if found.alone:
        return f"How values lie; most often {found.names[far]}, {share(found.before[far])}"
    told = f"{found.names[far]}: from {share(found.before[far])} to {share(found.now[far])}"
    return f"Distribution before and now; most moved {told}"

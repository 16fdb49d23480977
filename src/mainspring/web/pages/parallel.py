"""Draw runs as lines across one axis a param or metric (parallel coordinates), as SVG of ours.

It is whole without a script: a line lights up under the mouse and names its run. The script
adds brushing: a stretch drawn along an axis leaves only the runs that pass through it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from markupsafe import Markup, escape

from mainspring.web.pages import words
from mainspring.web.pages.axes import Axis, Cell, axis_of, number_in

SHADES = 7  #: of the ramp by which lines are coloured, from the lowest value to the highest
_TOP, _TALL, _LOW = 46.0, 260.0, 40.0  # above the axes, the axes, below them
_WIDE, _NARROWEST, _SIDE = 1236.0, 118.0, 86.0  # the picture, between axes at least, beside them
_LETTER = 7.3  # pixels a letter of a title takes
_FEW = 6  # lines: each thicker
_WORD = 13  # letters of a tick that fit


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be drawn."""

    run: str
    name: str
    colour: str  #: of a class: r0 to r6 along the ramp, v0 to v5 for few runs, none


def shades(values: Sequence[Cell], *, highest: bool | None = True) -> list[int | None]:
    """Return how good each value is among them, in steps of the ramp.

    If less is better, the lowest has the last step.

    >>> shades([0.0, 0.5, 1.0, None]), shades([0.0, 1.0], highest=False)
    ([0, 3, 6, None], [6, 0])
    """
    numbers = [number_in(value) for value in values]
    # By place among the others, not by size: one run far off would leave the rest one colour.
    known = sorted({n for n in numbers if n is not None and math.isfinite(n)})
    last = max(len(known) - 1, 1)
    place = {number: round(n / last * (SHADES - 1)) for n, number in enumerate(known)}
    if highest is False:
        place = {number: SHADES - 1 - shade for number, shade in place.items()}
    return [None if number is None else place.get(number) for number in numbers]


def draw(lines: Sequence[Line], columns: Mapping[str, Sequence[Cell]]) -> Markup:
    """Return the picture; ``columns`` gives one value a line, by the title of the axis."""
    axes = {title: axis_of(values) for title, values in columns.items()}
    gaps = max(1, len(axes) - 1)
    across = max(_NARROWEST, (_WIDE - 2 * _SIDE) / gaps)
    width = 2 * _SIDE + across * gaps
    height = _TOP + _TALL + _LOW
    # Those without a value go first and the best last, so that they lie on top.
    order = sorted(range(len(lines)), key=lambda n: lines[n].colour)
    few = " few" if len(lines) <= _FEW else ""
    parts = [
        f'<svg class="parallel{few}" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        f' height="{height:.0f}" role="img"'
        f' aria-label="{len(lines)} runs across {len(axes)} axes">',
        '<g class="lines">',
        *(_line(lines[n], n, list(axes.values()), columns, across) for n in order),
        "</g>",
        *(_axis(title, axis, n, across) for n, (title, axis) in enumerate(axes.items())),
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704  every text was escaped


def _x(number: int, across: float) -> float:
    return _SIDE + number * across


def _y(at: float | None) -> float:
    return _TOP + _TALL + 22 if at is None else _TOP + _TALL * (1 - at)


def _line(
    line: Line,
    number: int,
    axes: Sequence[Axis],
    columns: Mapping[str, Sequence[Cell]],
    across: float,
) -> str:
    spots = [(_x(n, across), _y(axis.places[number])) for n, axis in enumerate(axes)]
    path = "M" + "L".join(f"{x:.0f} {y:.1f}" for x, y in spots)
    if len(spots) == 1:
        path += f"h{across / 3:.0f}"
    told = "; ".join(
        f"{title} {words.figure(values[number]) or 'none'}"[:80]
        for title, values in list(columns.items())[:12]
    )
    places = " ".join(f"{y:.1f}" for _, y in spots)
    run = escape(line.run)
    return (
        f'<a href="/runs/{run}" class="line {line.colour}" data-run="{run}"'
        f' data-at="{places}" data-told="{escape(told)}" data-name="{escape(line.name)}"'
        f' tabindex="-1"><title>{escape(line.name)}: {escape(told)}</title>'
        f'<path class="wide" d="{path}"/><path class="thin" d="{path}"/></a>'
    )


def _axis(title: str, axis: Axis, number: int, across: float) -> str:
    x, most = _x(number, across), int(across / _LETTER)
    sign = " (log)" if axis.kind == "log" else ""
    marks = "".join(
        f'<text class="tick" x="{x - 7:.0f}" y="{_y(tick.at) + 4:.1f}">'
        f"{escape(_short(tick.word, _WORD))}<title>{escape(tick.word)}</title></text>"
        f'<path class="notch" d="M{x - 4:.0f} {_y(tick.at):.1f}h4"/>'
        for tick in axis.ticks
    )
    none = (
        f'<text class="tick" x="{x - 7:.0f}" y="{_y(None) + 4:.1f}">none</text>'
        if any(at is None for at in axis.places)
        else ""
    )
    return (
        f'<g class="axis" data-axis="{number}"><title>{escape(title)}{sign}</title>'
        f'<text class="name" x="{x:.0f}" y="22">{escape(_short(title, most))}</text>'
        f'<path class="rule" d="M{x:.0f} {_TOP:.0f}v{_TALL:.0f}"/>{marks}{none}'
        f'<rect class="grip" x="{x - 12:.0f}" y="{_TOP - 8:.0f}" width="24"'
        f' height="{_TALL + 16:.0f}"/><rect class="brush" x="{x - 8:.0f}" y="0" width="16"'
        ' height="0"/></g>'
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"

"""Draw when the steps of a run were at work, as SVG: what ran side by side, and what waited."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from mainspring.ground.objects import StepRecord
from mainspring.ground.words import lasting
from mainspring.pipelines.boxes import look_of
from mainspring.pipelines.picture import Box, plain

_LEFT, _WIDE, _RIGHT = 190, 760, 16  # of the names, of the time, and the margin
_TOP, _ROW, _THIN, _GAP = 26, 20, 9, 6  # heights
_MOST_ROWS = 150
_MOST_LINES = 40  # of what is folded into one row
_MOST_BARS = 200  # of a row that are drawn one by one
_STEADY_S = 5.0  # what still runs grows so much at a time: a picture is not new every second
_LETTERS = 24
_LEAST = 2.0  # width of a bar


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One step's time at work; times are UTC seconds."""

    step: str
    state: str
    start: float
    end: float
    ready: float  #: when all it needed was there
    line: int = 0  #: of its row
    others: int = 0  #: steps beside this one that are drawn as the same bar


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside one name: one bar, or those of several steps in as few lines as go."""

    name: str
    bars: list[Bar]
    lines: int  #: as many ran side by side
    hidden: int = 0  #: bars that are not drawn


def rows(boxes: Sequence[Box], steps: Sequence[StepRecord], now: float) -> list[Row]:
    """Return the rows of a picture, in the order in which work on them began."""
    known = {one.step: one for one in steps}
    bars = {one.step: bar for one in steps if (bar := _bar(one, known, now)) is not None}
    found = []
    for box in boxes:
        mine = [bars[name] for name in box.members or [box.name] if name in bars]
        if mine:
            found.append(_row(box.name, mine))
    return sorted(found, key=lambda row: min(bar.start for bar in row.bars))


def _bar(step: StepRecord, known: Mapping[str, StepRecord], now: float) -> Bar | None:
    start = step.started if step.started is not None else step.ended
    if start is None:
        return None
    end = step.ended
    if end is None:
        end = math.ceil(now / _STEADY_S) * _STEADY_S
    needs = [known[need].ended for need in step.needs if need in known]
    if (
        step.within is not None and step.within in known
    ):  # it was not there before its controller began
        needs.append(known[step.within].started)
    before = [one for one in needs if one is not None]
    ready = min(max(before), start) if before else start
    return Bar(step=step.step, state=look_of(step), start=start, end=max(end, start), ready=ready)


def _row(name: str, bars: Sequence[Bar]) -> Row:
    """Put bars into lines so that none lies on another."""
    free: list[float] = []  # when each line is free again
    placed = []
    hidden = 0
    for bar in sorted(bars, key=lambda one: (one.start, one.end)):
        line = next((n for n, at in enumerate(free) if at <= bar.start), len(free))
        if line >= _MOST_LINES:
            hidden += 1
            continue
        free[line : line + 1] = [bar.end]
        placed.append(msgspec.structs.replace(bar, line=line))
    return Row(name=name, bars=placed, lines=len(free), hidden=hidden)


def svg(found: Sequence[Row], link: Callable[[str], str] | None = None) -> str:
    """Return the picture; empty if nothing has begun. With ``link`` bars lead to their steps."""
    shown = found[:_MOST_ROWS]
    if not shown:
        return ""
    bars = [bar for row in shown for bar in row.bars]
    first, last = min(bar.ready for bar in bars), max(bar.end for bar in bars)
    span = max(last - first, 0.001)
    heights = [max(_ROW, row.lines * _THIN) + _GAP for row in shown]
    right, bottom = _LEFT + _WIDE + _RIGHT, _TOP + sum(heights) + _GAP
    role = "img" if link is None else "group"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}" width="{right}"'
        f' height="{bottom}" role="{role}" class="graph gantt">'
        f"<title>{plain(_summary(bars, span))}</title>",
        *_ticks(span, bottom),
    ]
    y = _TOP
    for row, height in zip(shown, heights, strict=True):
        label = row.name if len(row.name) <= _LETTERS else f"{row.name[: _LETTERS - 1]}…"
        parts.append(
            f'<text x="8" y="{y + 14}" font-family="system-ui, sans-serif" font-size="12">'
            f"<title>{plain(row.name)}</title>{plain(label)}</text>"
        )
        for bar in _joined(row.bars, span / _WIDE):
            drawn = _drawn(bar, y, row.lines, first, _WIDE / span)
            if link is not None:
                address = plain(link(bar.step))
                drawn = f'<a href="{address}" data-soft="graph" tabindex="-1">{drawn}</a>'
            parts.append(drawn)
        y += height
    return "".join([*parts, "</svg>"])


def _joined(bars: Sequence[Bar], near: float) -> list[Bar]:
    """Return bars; of many, those of one line and state that lie closer than a point are one."""
    if len(bars) <= _MOST_BARS:
        return list(bars)
    found: dict[int, list[Bar]] = {}
    for bar in bars:
        line = found.setdefault(bar.line, [])
        last = line[-1] if line else None
        if (
            last is not None
            and bar.state == last.state
            and bar.start - last.end < near
            and bar.end - bar.start < near
        ):
            others = last.others + 1
            line[-1] = msgspec.structs.replace(last, end=max(last.end, bar.end), others=others)
        else:
            line.append(bar)
    return [bar for line in found.values() for bar in line]


def _drawn(bar: Bar, top: int, lines: int, first: float, scale: float) -> str:
    tall = _ROW - 4 if lines == 1 else _THIN - 2
    y = top + (0 if lines == 1 else bar.line * _THIN)
    x = _LEFT + (bar.start - first) * scale
    wide = max((bar.end - bar.start) * scale, _LEAST)
    waited = bar.start - bar.ready
    told = f"{bar.step}: {bar.state}, {lasting(bar.end - bar.start) or '0 s'}"
    if bar.others:
        told += f", with {bar.others:,} more steps"
    wait = ""
    if lines == 1 and waited * scale > _LEAST:
        told += f"; it began {lasting(waited)} after all it needed was there"
        middle = y + tall / 2
        wait = (
            f'<path d="M{_LEFT + (bar.ready - first) * scale:.1f} {middle:.1f}H{x:.1f}"'
            ' stroke-dasharray="2 3" fill="none" stroke="#868e96"/>'
        )
    return (
        f'<g class="step {plain(bar.state)}"><title>{plain(told)}</title>{wait}'
        f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{tall}" rx="2"'
        ' fill="#d0ebff" stroke="#1971c2"/></g>'
    )


def _ticks(span: float, bottom: int) -> list[str]:
    """Return upright lines at round times since the beginning, and what they are."""
    rough = span / 6
    power = 10.0 ** math.floor(math.log10(rough))
    sixty = (60, 120, 300, 600, 1200, 3600, 7200, 21_600, 86_400)
    steps = [power * one for one in (1, 2, 5, 10)] if rough < 30 else [*sixty, rough]
    step = min((one for one in steps if one >= rough), default=rough)
    found = []
    for n in range(int(span / step) + 1):
        x = _LEFT + _WIDE * n * step / span
        found.append(
            f'<path d="M{x:.1f} {_TOP - 4}V{bottom - 4}" stroke="#adb5bd" class="tick"/>'
            f'<text x="{x + 3:.1f}" y="14" font-family="system-ui, sans-serif" font-size="11"'
            f' class="kind">{plain(lasting(n * step) if n else "0")}</text>'
        )
    return found


def _summary(bars: Sequence[Bar], span: float) -> str:
    work = sum(bar.end - bar.start for bar in bars if bar.state != "asks")
    return f"{len(bars)} steps over {lasting(span)}, at work for {lasting(work) or '0 s'} together"

"""Draw a graph of steps as SVG, on the server, without a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import msgspec

_WIDTH, _HEIGHT = 176, 50  # of a box
_ACROSS, _DOWN, _EDGE = 56, 20, 16  # gaps between columns and rows, and the margin
_LETTERS, _SMALL = 20, 28  # letters of its two lines that fit into a box

#: State -> (fill, stroke, mark). The mark says the state without colour.
_LOOK = {
    "waiting": ("#f1f3f5", "#868e96", "○"),
    "running": ("#e7f5ff", "#1971c2", "▶"),
    "done": ("#ebfbee", "#2f9e44", "✓"),
    "reused": ("#e6fcf5", "#0c8599", "↺"),
    "failed": ("#fff5f5", "#c92a2a", "✕"),
    "skipped": ("#f8f9fa", "#adb5bd", "-"),
    "asks": ("#fff4e6", "#e8590c", "?"),
}


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a picture, or several that are drawn as one."""

    name: str
    state: str
    needs: list[str]  #: names of the boxes before it
    detail: str = ""  #: how long it took, or how many of its steps are done
    members: list[str] = []  #: names of the steps that are folded into it
    several: bool = False  #: it stands for steps of one name, not for one that planted them

    def but(self, **changes: Any) -> Box:
        """Return the box with some of its fields changed."""
        return msgspec.structs.replace(self, **changes)


def drawn(
    boxes: Sequence[Box],
    link: Callable[[Box], str] | None = None,
    chosen: str | None = None,
    *,
    soft: bool = True,
) -> str:
    """Return a picture of boxes in columns, each to the right of all it needs.

    With ``link`` every box is a link to the address it returns; the ``chosen`` one is marked.
    ``soft`` links change a part of the page that they stand on.
    """
    spots = _spots({one.name: one.needs for one in boxes})
    right = max((x for x, _ in spots.values()), default=0) + _WIDTH + _EDGE
    bottom = max((y for _, y in spots.values()), default=0) + _HEIGHT + _EDGE
    role = "img" if link is None else "group"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}"'
        f' width="{right}" height="{bottom}" role="{role}" class="graph">',
        f"<title>{plain(_summary(boxes))}</title>",
    ]
    for one in boxes:
        needs = [need for need in one.needs if need in spots]
        parts += [_line(spots[need], spots[one.name], need, one.name) for need in needs]
    softly = ' data-soft="graph"' if soft else ""
    for one in boxes:
        box = _box(one, spots[one.name])
        if link is not None:
            here = ' aria-current="true"' if one.name == chosen else ""
            box = (
                f'<a href="{plain(link(one))}" id="box-{plain(one.name)}"{softly}'
                f' aria-label="{plain(_told(one))}"{here}>{box}</a>'
            )
        parts.append(box)
    return "".join([*parts, "</svg>"])


def layers(nodes: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the steps in columns: each in the first column after all it needs.

    >>> layers({"load": [], "train": ["load"], "score": ["train", "load"]})
    [['load'], ['train'], ['score']]
    """
    depth: dict[str, int] = {}
    after: dict[str, list[str]] = {}
    missing = {}
    for name, needs in nodes.items():
        known = {need for need in needs if need in nodes}
        missing[name] = len(known)
        for need in known:
            after.setdefault(need, []).append(name)
    free = [name for name in nodes if not missing[name]]
    while len(depth) < len(nodes):
        # A circle cannot be traced, but would be drawn.
        for name in free or [name for name in nodes if name not in depth]:
            before = [depth[need] for need in nodes[name] if need in depth]
            depth[name] = max(before, default=-1) + 1
        done, free = free, []
        for name in done:
            for one in after.get(name, ()):
                missing[one] -= 1
                if not missing[one]:
                    free.append(one)
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in nodes:
        columns[depth[name]].append(name)
    return columns


def _spots(nodes: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Return the top left corner of every box; columns are centred on one another."""
    columns = layers(nodes)
    tallest = max((len(column) for column in columns), default=0)
    order: dict[str, float] = {}
    spots = {}
    for number, column in enumerate(columns):
        middle = {n: _middle([order[need] for need in nodes[n] if need in order]) for n in column}
        column.sort(key=middle.__getitem__)  # near what it needs, so that fewer lines cross
        above = (tallest - len(column)) * (_HEIGHT + _DOWN) // 2
        for row, name in enumerate(column):
            order[name] = row + (tallest - len(column)) / 2
            x = _EDGE + number * (_WIDTH + _ACROSS)
            spots[name] = (x, _EDGE + above + row * (_HEIGHT + _DOWN))
    return spots


def _middle(rows: Sequence[float]) -> float:
    return sum(rows) / len(rows) if rows else 0.0


def _box(one: Box, spot: tuple[int, int]) -> str:
    x, y = spot
    fill, stroke, mark = _LOOK.get(one.state, _LOOK["waiting"])
    label = f"{one.name} ×{len(one.members)}" if one.several else one.name  # noqa: RUF001
    shown = label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"
    dash = ' stroke-dasharray="4 3"' if one.state in ("waiting", "skipped") else ""
    font = 'font-family="system-ui, sans-serif"'
    behind = (
        f'<rect x="{x + 4}" y="{y + 4}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"'
        f' fill="{fill}" stroke="{stroke}" stroke-width="1" class="behind"/>'
        if one.members
        else ""
    )
    told = one.detail if len(one.detail) <= _SMALL else f"{one.detail[: _SMALL - 1]}…"
    detail = (
        f'<text x="{x + 12}" y="{y + 40}" {font} font-size="11" fill="#495057" class="kind">'
        f"{plain(told)}</text>"
        if told
        else ""
    )
    return (
        f'<g class="step {plain(one.state)}"><title>{plain(_told(one))}</title>{behind}'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}"'
        f' stroke="{stroke}" stroke-width="1.5"{dash}/>'
        f'<text x="{x + 12}" y="{y + (23 if told else 30)}" {font} font-size="13"'
        f' fill="#212529"><tspan fill="{stroke}">{mark}</tspan> {plain(shown)}</text>{detail}</g>'
    )


def _told(one: Box) -> str:
    """Return what a box is, for who cannot see it or points at it."""
    state = "waits for somebody" if one.state == "asks" else one.state
    return f"{one.name}: {state}" + (f", {one.detail}" if one.detail else "")


def _line(start: tuple[int, int], end: tuple[int, int], need: str, name: str) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}" fill="none" stroke="#adb5bd"'
        f' stroke-width="1.5"><title>{plain(need)} to {plain(name)}</title></path>'
    )


def _summary(boxes: Sequence[Box]) -> str:
    counts: dict[str, int] = {}
    for one in boxes:
        counts[one.state] = counts.get(one.state, 0) + 1
    told = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"{len(boxes)} steps: {told}" if boxes else "No steps"


def plain(text: str) -> str:
    """Return text safe in XML: escaped, and without the control characters it forbids."""
    kept = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else "�" for c in text)
    return escape(kept.replace("\ufffe", "�").replace("\uffff", "�"), quote=True)

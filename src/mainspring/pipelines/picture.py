"""Draw a graph of steps as SVG, on the server, without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mainspring.ground.objects import StepRecord, StepState

_WIDTH, _HEIGHT = 168, 44  # of a box
_ACROSS, _DOWN, _EDGE = 56, 20, 16  # gaps between columns and rows, and the margin
_LETTERS = 20  # that fit into a box
_MOST_DRAWN = 8  # steps of one controller; more are one box

#: State -> (fill, stroke, mark). The mark says the state without colour.
_LOOK = {
    "waiting": ("#f1f3f5", "#868e96", "○"),
    "running": ("#e7f5ff", "#1971c2", "▶"),
    "done": ("#ebfbee", "#2f9e44", "✓"),
    "reused": ("#e6fcf5", "#0c8599", "↺"),
    "failed": ("#fff5f5", "#c92a2a", "✕"),
    "skipped": ("#f8f9fa", "#adb5bd", "-"),
}


def svg(nodes: Mapping[str, Sequence[str]], states: Mapping[str, str] | None = None) -> str:
    """Return a picture of steps in columns, each to the right of all it needs.

    ``nodes`` gives the needs of each step by name, ``states`` how far each is. Every box and
    line carries a title, which browsers show and screen readers read.
    """
    states = states or {}
    spots = _spots(nodes)
    right = max((x for x, _ in spots.values()), default=0) + _WIDTH + _EDGE
    bottom = max((y for _, y in spots.values()), default=0) + _HEIGHT + _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}"'
        f' width="{right}" height="{bottom}" role="img" class="graph">',
        f"<title>{_text(_summary(nodes, states))}</title>",
    ]
    for name, needs in nodes.items():
        parts += [_line(spots[need], spots[name], need, name) for need in needs if need in spots]
    parts += [_box(name, spots[name], str(states.get(name, "waiting"))) for name in nodes]
    return "".join([*parts, "</svg>"])


def drawn(steps: Sequence[StepRecord]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the needs and the states of a run's steps as they are drawn.

    What a controller planted stands between what it needs and the controller, which gathers it;
    more than a few are one box with the controller, that says how many of them have ended well.
    """
    planted: dict[str, list[StepRecord]] = {}
    for one in steps:
        if one.within is not None:
            planted.setdefault(one.within, []).append(one)
    many = {name for name, inner in planted.items() if len(inner) > _MOST_DRAWN}
    hidden: set[str] = set()
    for one in steps:  # a controller stands before what it planted
        if one.within is not None and (one.within in many or one.within in hidden):
            hidden.add(one.step)
    called = {name: _folded(name, planted[name]) for name in many}
    own = {one.step: one.needs for one in steps}
    nodes, states = {}, {}
    for one in steps:
        if one.step in hidden:
            continue
        needs = [*one.needs]
        if not needs and one.within is not None:
            needs = [*own.get(one.within, [])]
        if one.step not in many:
            needs += [child.step for child in planted.get(one.step, [])]
        name = called.get(one.step, one.step)
        nodes[name] = [called.get(need, need) for need in dict.fromkeys(needs)]
        states[name] = str(one.state)
    return nodes, states


def _folded(name: str, inner: Sequence[StepRecord]) -> str:
    good = sum(one.state in (StepState.DONE, StepState.REUSED) for one in inner)
    return f"{name}: {good} of {len(inner)}"


def layers(nodes: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the steps in columns: each in the first column after all it needs.

    >>> layers({"load": [], "train": ["load"], "score": ["train", "load"]})
    [['load'], ['train'], ['score']]
    """
    depth: dict[str, int] = {}
    waiting = dict(nodes)
    while waiting:
        free = [n for n, needs in waiting.items() if not any(need in waiting for need in needs)]
        for name in free or list(waiting):  # a circle cannot be traced, but would be drawn
            needs = [depth[need] for need in nodes[name] if need in depth]
            depth[name] = max(needs, default=-1) + 1
        for name in free or list(waiting):
            del waiting[name]
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


def _box(name: str, spot: tuple[int, int], state: str) -> str:
    x, y = spot
    fill, stroke, mark = _LOOK.get(state, _LOOK["waiting"])
    shown = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
    dash = ' stroke-dasharray="4 3"' if state in ("waiting", "skipped") else ""
    return (
        f'<g class="step {_text(state)}"><title>{_text(name)}: {_text(state)}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}"'
        f' stroke="{stroke}" stroke-width="1.5"{dash}/>'
        f'<text x="{x + 12}" y="{y + 27}" font-family="system-ui, sans-serif" font-size="13"'
        f' fill="#212529"><tspan fill="{stroke}">{mark}</tspan> {_text(shown)}</text></g>'
    )


def _line(start: tuple[int, int], end: tuple[int, int], need: str, name: str) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}" fill="none" stroke="#adb5bd"'
        f' stroke-width="1.5"><title>{_text(need)} to {_text(name)}</title></path>'
    )


def _summary(nodes: Mapping[str, Sequence[str]], states: Mapping[str, str]) -> str:
    counts: dict[str, int] = {}
    for name in nodes:
        state = str(states.get(name, "waiting"))
        counts[state] = counts.get(state, 0) + 1
    told = ", ".join(f"{number} {state}" for state, number in counts.items())
    return f"{len(nodes)} steps: {told}" if nodes else "No steps"


def _text(text: str) -> str:
    """Return text safe in XML: escaped, and without the control characters it forbids."""
    kept = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else "�" for c in text)
    return escape(kept.replace("\ufffe", "�").replace("\uffff", "�"), quote=True)

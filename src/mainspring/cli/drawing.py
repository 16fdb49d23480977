"""Draw the steps of a run as rows: state, how long, how far a map is, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mainspring.cli import render

if TYPE_CHECKING:
    from mainspring.pipelines.picture import Box

_MARKS = {
    "waiting": "·", "running": "▶", "done": "✓", "reused": "↺",
    "failed": "✗", "skipped": "-", "asks": "?",
}  # fmt: skip
_FIRST = ("failed", "running", "asks", "waiting", "done", "reused", "skipped")
_BAR = 16  #: columns of a bar
_NAME = 40  # letters of a name
_WORDS = 12  # columns that words need to say something


def table(
    steps: Sequence[dict[str, Any]],
    boxes: Sequence[Box],
    now: float,
    room: int | None,
    *,
    width: int = 100,
) -> Group:
    """Return what is drawn of a run's steps in so many rows; None: all, with where time went.

    Where there are more rows than room, those that are at work come first, and the rest is
    counted.
    """
    known = {one["step"]: one for one in steps}
    shown = list(boxes)
    if room is not None and len(shown) > room:
        chosen = sorted(shown, key=lambda one: _FIRST.index(one.state))[: room - 1]
        shown = [one for one in shown if one in chosen]
    most = max((_seconds(one, known, now) for one in boxes), default=0.0)
    rows = [_row(one, known, now, most if room is None else None) for one in shown]
    parts: list[Any] = [_columns(rows, width, whole=room is None)]
    if len(shown) < len(boxes):
        parts.append(Text(f"and {len(boxes) - len(shown)} more steps", style="dim"))
    return Group(*parts)


def _columns(rows: list[list[Any]], width: int, *, whole: bool) -> Table:
    """Return rows as a table; the words at their ends get what is left of the width."""
    drawn = Table(box=None, show_header=False, padding=(0, 1, 0, 0), expand=False)
    fixed = [max((one[n].cell_len for one in rows), default=0) for n in range(3)]
    bars = _BAR if any(not isinstance(one[3], Text) or one[3].cell_len for one in rows) else 0
    left = width - sum(fixed) - bars - 5
    for each in (*fixed, bars):
        drawn.add_column(no_wrap=True, min_width=each)
    for one in rows:
        if not whole and one[4].cell_len > left:
            one[4].truncate(max(left, 0), overflow="ellipsis")
        drawn.add_row(*(one if left >= _WORDS else one[:3]))
    return drawn


def _row(box: Box, known: dict[str, dict[str, Any]], now: float, most: float | None) -> list[Any]:
    own = known[box.name]
    colour = render.COLOURS.get(box.state, "yellow")
    name = render.plain(box.name)
    seconds = _seconds(box, known, now)
    lasted = "" if box.state in ("waiting", "reused", "skipped") else f"{seconds:.2f} s"
    return [
        Text(f"{_MARKS.get(box.state, ' ')} {_cut(name)}", style=colour),
        Text("waits" if box.state == "asks" else box.state, style=colour),
        Text(lasted, justify="right"),
        _bar(box, known, seconds, most),
        Text(render.plain(_note(own, box)), style="dim"),
    ]


def _bar(
    box: Box, known: dict[str, dict[str, Any]], seconds: float, most: float | None
) -> ProgressBar | Text:
    """Return how far a map is while it runs; at the end how much of the time a step took."""
    if most is not None:
        filled = round(_BAR * seconds / most) if most else 0
        return Text("━" * filled, style="blue")
    if not box.members:
        return Text("")
    ended = sum(known[name]["ended"] is not None for name in box.members)
    return ProgressBar(total=len(box.members), completed=ended, width=_BAR)


def _seconds(box: Box, known: dict[str, dict[str, Any]], now: float) -> float:
    """Return how long a step took, or how long all that is folded into it was at work."""
    several = [known[name] for name in box.members] or [known[box.name]]
    return sum(
        max(float((one["ended"] or now) - one["started"]), 0.0)
        for one in several
        if one["started"] is not None and one["state"] != "reused"
    )


def _note(own: dict[str, Any], box: Box) -> str:
    if own["state"] == "failed":
        return str(own["error"]).partition("\n")[0]
    again = f"try {own['attempt']}. " if own["attempt"] > 1 else ""
    return f"{again}{box.detail if box.members else own['why']}"


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"

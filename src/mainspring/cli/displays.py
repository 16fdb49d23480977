"""Show how far a run is: a live table on a terminal, lines in a pipe, objects for programs."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from mainspring.cli import render

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.pipelines.picture import Box

Steps = list[dict[str, Any]]

EACH = 20  #: items of a map up to which each has lines of its own in a pipe
_TENTHS = 10  #: of a larger map: a line whenever so many of its parts more are done
_ITEM = re.compile(r"(.+?)\[\d+\]")
_GOOD = ("done", "reused")
_ENDED = (*_GOOD, "failed", "skipped")


def of(*, quiet: bool, as_lines: bool) -> Display:
    """Return the display that fits who looks: nobody, a program, a terminal or a pipe."""
    if quiet:
        return Display()
    if as_lines:
        return Objects()
    return Terminal() if sys.stdout.isatty() else Lines()


class Display:
    """Shows nothing on the way, but says what must be said on stderr."""

    prints = False  #: it shows what steps print

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *what: object) -> None:
        pass

    def show(self, steps: Steps) -> None:
        """Show how the steps stand now."""

    def printed(self, step: str, text: str) -> None:
        """Show a line that a step printed."""

    def say(self, text: str) -> None:
        """Say something about the run as a whole."""
        sys.stderr.write(render.plain(f"{text}\n"))
        sys.stderr.flush()


class Objects(Display):
    """Writes one JSON object a line."""

    prints = True

    def __init__(self) -> None:
        self._told: dict[str, tuple[Any, ...]] = {}

    def show(self, steps: Steps) -> None:
        """Write an object for each step that moved: its state, its try, why, and seconds."""
        for one in steps:
            now = one["state"], one["attempt"], one["why"]
            if now == self._told.get(one["step"], ("waiting", 0, "")):
                continue
            self._told[one["step"]] = now
            kept = ("run", "step", "state", "kind", "attempt", "why", "started", "ended", "error")
            write({"event": "step", **{name: one[name] for name in kept}, "seconds": took(one)})

    def printed(self, step: str, text: str) -> None:
        """Write an object for a line that a step printed."""
        write({"event": "printed", "step": step, "text": text})


def write(found: dict[str, Any]) -> None:
    """Write one object as a line, at once."""
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Lines(Display):
    """Writes a line for each step that moved, and one for each that was printed."""

    prints = True

    def __init__(self) -> None:
        self._told: dict[str, tuple[Any, ...]] = {}
        self._parts: dict[str, int] = {}

    def show(self, steps: Steps) -> None:
        """Write what moved; of a large map only how far it is, and what failed."""
        whole = Counter(item[1] for one in steps if (item := _ITEM.match(one["step"])))
        large = {name for name, count in whole.items() if count > EACH}
        for one in steps:
            item = _ITEM.match(one["step"])
            if item and item[1] in large and one["state"] != "failed":
                continue
            now = one["state"], one["attempt"]
            if one["state"] != "waiting" and now != self._told.get(one["step"]):
                fresh = one["step"] not in self._told  # a quick one is done when it is first seen
                self._told[one["step"]] = now
                _line(one["step"], one["state"], _note(one, fresh=fresh))
        for name in sorted(large):
            self._map(name, [one for one in steps if one["step"].startswith(f"{name}[")])
        sys.stdout.flush()

    def _map(self, name: str, items: Steps) -> None:
        ended = sum(one["state"] in _ENDED for one in items)
        part = ended * _TENTHS // len(items)
        if part > self._parts.get(name, 0):
            self._parts[name] = part
            _line(name, f"{ended:,} of {len(items):,}", "")

    def printed(self, step: str, text: str) -> None:
        """Write what a step printed behind its name."""
        sys.stdout.write(render.plain(f"{step} | {text}\n"))


def _line(step: str, state: str, note: str) -> None:
    sys.stdout.write(render.plain(f"{step:<24} {state:<8} {note}".rstrip()) + "\n")


def _note(one: dict[str, Any], *, fresh: bool) -> str:
    """Return what is said of a step beside its state; ``fresh``: nothing was said of it yet."""
    if one["state"] == "done":
        lasted = f"{one['wall_s'] or took(one):.2f} s"
        unsaid = fresh or one["kind"] in ("approval", "event", "callback")
        return f"{lasted}, {one['why']}" if unsaid else lasted
    if one["state"] == "failed":
        return str(one["error"]).partition("\n")[0]
    again = f"try {one['attempt']}. " if one["attempt"] > 1 else ""
    return f"{again}{one['why']}"


def took(one: dict[str, Any]) -> float:
    """Return the seconds from a step's start to its end; 0 of one that has not ended."""
    if one["started"] is None or one["ended"] is None or one["state"] == "reused":
        return 0.0
    return max(float(one["ended"] - one["started"]), 0.0)


class Terminal(Display):
    """Draws a table that lives at the bottom of a terminal; what steps print runs by above."""

    prints = True

    def __init__(self) -> None:
        from rich.live import Live

        self._steps: Steps = []
        self._boxes: list[Box] = []
        self._over = False
        self._console = render.console()
        self._live = Live(console=self._console, refresh_per_second=5, get_renderable=self._drawn)

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._over = True  # the last picture stays, with every row
        self._live.stop()

    def show(self, steps: Steps) -> None:
        """Keep the steps for the next picture."""
        import msgspec

        from mainspring.ground.objects import StepRecord
        from mainspring.pipelines.boxes import boxes

        self._steps = steps
        self._boxes = boxes(msgspec.convert(steps, list[StepRecord]), _now())

    def printed(self, step: str, text: str) -> None:
        """Show a line above the table, behind the name of its step."""
        from rich.text import Text

        line = Text(f"{render.plain(step)} | ", style="cyan").append(render.plain(text), "default")
        self._console.print(line, soft_wrap=True)

    def say(self, text: str) -> None:
        """Say something above the table."""
        self._console.print(render.plain(text), style="yellow", soft_wrap=True)

    def _drawn(self) -> RenderableType:
        from mainspring.cli.drawing import table

        room = None if self._over else max(self._console.height - 3, 4)
        return table(self._steps, self._boxes, _now(), room, width=self._console.width)


def _now() -> float:
    return time.time()  # noqa: TID251  the machine's clock, as people see it

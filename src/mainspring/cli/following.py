"""Follow a run to its end: its steps, what they print, and what Ctrl-C asks for.

A run of the home is carried out here meanwhile; one of a server is only looked at. What is seen
is shown by one of the displays of :mod:`mainspring.cli.displays`.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from mainspring.cli import displays
from mainspring.cli.displays import Display, Steps
from mainspring.cli.logs import Newest, asker
from mainspring.cli.options import Everywhere
from mainspring.cli.remote import Local, Remote
from mainspring.ground.errors import BadInputError, ConflictError

if TYPE_CHECKING:
    from types import FrameType

POLL_S = 0.3
SOON_S = 60.0  #: what a run waits for longer than that, its follower does not wait for
PRINTED = 300  #: lines of the steps' output in one look; the rest of them is in the logs
LOOK_S = 0.1  #: between two looks at a run that is carried out here
_GROUP = Group("Shown on the way", sort_key=90)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class View:
    """What is shown while a run is followed."""

    quiet: Annotated[
        bool,
        Parameter(name=["--quiet", "-q"], negative=(), help="Nothing; only what came of it."),
    ] = False
    json_lines: Annotated[
        bool,
        Parameter(
            negative=(), help="One JSON object a line: a step that moved, a line printed, the end."
        ),
    ] = False

    def check(self, options: Everywhere) -> None:
        """Raise a BadInputError if two ways to show a run are asked for at once."""
        asked = [
            name
            for name, given in (
                ("--json", options.json),
                ("--json-lines", self.json_lines),
                ("--quiet", self.quiet),
            )
            if given
        ]
        if len(asked) > 1:
            raise BadInputError(
                f"{' and '.join(asked)} exclude each other.",
                field=asked[-1].strip("-"),
                hint="Give one of them.",
            )


PLAIN = View()


class Stopped(Exception):  # noqa: N818  it is no error: somebody asked for it
    """A run was followed until Ctrl-C was pressed; ``detail`` is how it stands."""

    def __init__(self, detail: dict[str, Any]) -> None:
        super().__init__()
        self.detail = detail


class Interrupts:
    """Takes the first Ctrl-C as a wish; the second leaves at once, as Ctrl-C ever does."""

    def __init__(self) -> None:
        self.wished = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take Ctrl-C within a block; only the main thread is ever told of it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _pressed(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.wished:
            raise KeyboardInterrupt
        self.wished = True


def followed(
    house: Local | Remote, name: str, options: Everywhere, view: View = PLAIN
) -> dict[str, Any]:
    """Return a run's detail at its end, or where it waits, showing its steps on the way.

    Ctrl-C asks the run to stop and waits until it has; pressed again it leaves at once.

    Raises:
        Stopped: if the run was stopped by Ctrl-C.
        KeyboardInterrupt: if it was pressed twice.
    """
    display = displays.of(quiet=view.quiet or options.json, as_lines=view.json_lines)
    interrupts = Interrupts()
    watched = _Watched(house, name, display, interrupts, options)
    follow = _far if isinstance(house, Remote) else _here
    with display, interrupts.taken(), _failures_told_once():
        try:
            detail = follow(house, watched)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            if interrupts.wished:
                display.say(f"left; {name} goes on with: mainspring resume {name}")
            raise
    if interrupts.wished and detail["run"]["status"] in ("cancelled", "running"):
        raise Stopped(detail)
    return detail


class _Watched:
    """A run that is looked at: shows what is new, and passes a wish to stop on, once."""

    def __init__(
        self,
        house: Local | Remote,
        name: str,
        display: Display,
        interrupts: Interrupts,
        options: Everywhere,
    ) -> None:
        self.name = name
        self._house = house
        self._display = display
        self._interrupts = interrupts
        ask = asker(options, {"run": name, "level": "info"}) if display.prints else None
        self._lines = Newest(ask, back="5s") if ask is not None else None
        self._asked = False
        self._looked = 0.0
        self._ended = 0  # steps
        self._told_more = False

    def show(self, steps: Steps) -> None:
        """Show the steps, after all that those printed which have ended by now."""
        ended = sum(one["ended"] is not None for one in steps)
        self.printed(final=ended != self._ended)
        self._ended = ended
        self._display.show(steps)

    def printed(self, *, final: bool = False) -> None:
        """Show what the steps printed since the last look; looks come every 0.3 s at most."""
        now = time.monotonic()
        if self._lines is None or (now - self._looked < POLL_S and not final):
            return
        self._looked = now
        found = [one for one in self._lines.look(PRINTED) if one["process"] == "steps"]
        for line in found:
            self._display.printed(line["step"] or "", line["event"])
        if len(found) >= PRINTED and not self._told_more:
            self._told_more = True
            self._display.say(f"more was printed: mainspring logs --run {self.name}")

    def stop_if_wished(self) -> None:
        """Ask the run to stop if Ctrl-C was pressed and it was not asked before."""
        if not self._interrupts.wished or self._asked:
            return
        self._asked = True
        self._display.say("stopping the run; Ctrl-C again leaves at once")
        try:
            self._house.call("runs.cancel", run=self.name)
        except ConflictError:  # it came to its end meanwhile
            return


def _here(house: Local, watched: _Watched) -> dict[str, Any]:
    import msgspec

    from mainspring.ground.permissions import Permission
    from mainspring.workspace import engines, running

    ws = house.workspace
    told: list[Any] = []
    seen: int | None = None

    def look(*, final: bool = False) -> None:
        nonlocal told, seen
        watched.printed(final=final)
        if (moved := ws.store.changed()) == seen:
            return
        seen = moved
        _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, watched.name))
        if steps != told:
            watched.show(msgspec.to_builtins(steps))
        told = steps

    with engines.driving(engines.make_engine(ws, "worker", scanning=False), watched.name) as ended:
        due = 0.0
        while not ended.wait(LOOK_S):
            watched.stop_if_wished()
            if time.monotonic() < due:
                continue
            began = time.thread_time()
            look()
            # A look at thousands of steps takes long: it must not slow down their work.
            due = time.monotonic() + engines.LOOKING * (time.thread_time() - began)
    look(final=True)
    detail: dict[str, Any] = house.call("runs.get", run=watched.name)
    return detail


def _far(house: Remote, watched: _Watched) -> dict[str, Any]:
    seen: Steps = []
    while True:
        watched.stop_if_wished()
        detail: dict[str, Any] = house.call("runs.get", run=watched.name)
        over = detail["run"]["status"] != "running"
        watched.printed(final=over)
        watched.show(detail["steps"])
        if over or (detail["steps"] == seen and _only_waits(house, detail)):
            return detail
        seen = detail["steps"]
        time.sleep(POLL_S)


def _only_waits(house: Remote, detail: dict[str, Any]) -> bool:
    """Return whether no step of a run works, and one waits for news or for more than a minute."""
    working = [one for one in detail["steps"] if one["state"] == "running"]
    waits = [one for one in working if one["kind"] in ("approval", "event", "callback", "wait")]
    if not waits or any(one["kind"] in ("step", "run", "dynamic") for one in working):
        return False
    found = house.call("waits.list", run=detail["run"]["id"])
    soon = time.time() + SOON_S  # noqa: TID251  the machine's clock, as people see it
    return bool(found) and all((one["expires"] or soon) >= soon for one in found)


@contextmanager
def _failures_told_once() -> Iterator[None]:
    """Keep the warning that a step failed off the terminal: how it failed is told at the end."""
    shown = logging.lastResort
    if shown is None:
        yield
        return
    shown.addFilter(_is_other)
    try:
        yield
    finally:
        shown.removeFilter(_is_other)


def _is_other(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("step failed")

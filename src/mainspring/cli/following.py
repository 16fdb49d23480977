"""Follow a run to its end: its steps, what they print, and what Ctrl-C asks for.

A run of the home is carried out here meanwhile; one of a server is only looked at. What is seen
is shown by one of the displays of :mod:`mainspring.cli.displays`.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from mainspring.cli import displays, subruns
from mainspring.cli.displays import Display, Steps
from mainspring.cli.logs import Newest, printed
from mainspring.cli.options import Everywhere
from mainspring.cli.patience import Patient
from mainspring.cli.remote import Local, Remote
from mainspring.ground.errors import BadInputError, ConflictError

if TYPE_CHECKING:
    from types import FrameType

POLL_S = 0.3
SOON_S = 60.0  #: what a run waits for longer than that, its follower does not wait for
PRINTED = 300  #: lines of the steps' output in one look; the rest of them is in the logs
IDLE_S = 3.0  #: after so long without a step at work it is asked whether an engine is up
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
    house: Local | Remote,
    name: str,
    options: Everywhere,
    view: View = PLAIN,
    *,
    ours: bool = True,
) -> dict[str, Any]:
    """Return a run's detail at its end, or where it waits, showing its steps on the way.

    A run that is ``ours`` was begun by this command: one of a home is carried out here, and
    Ctrl-C asks it to stop and waits until it has; pressed again it leaves at once. One that is
    not is only looked at, and Ctrl-C leaves it alone.

    Raises:
        Stopped: if the run was stopped by Ctrl-C.
        KeyboardInterrupt: if it was pressed twice, or the run is not ours.
    """
    display = displays.of(quiet=view.quiet or options.json, as_lines=view.json_lines)
    interrupts = Interrupts()
    # What others began is shown from its beginning.
    since = None if ours else house.call("runs.get", run=name)["run"]["started"]
    watched = _Watched(house, name, display, interrupts, since)
    with display, interrupts.taken() if ours else nullcontext(), _failures_told_once():
        try:
            local = house if ours and isinstance(house, Local) else None
            detail = _far(watched) if local is None else _here(local, watched)
        except KeyboardInterrupt:
            display.say(watched.left() if ours else f"left; {name} goes on")
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
        since: float | None,
    ) -> None:
        self.name = name
        self.patient = Patient(house, display.say, self._heard)
        self._house = house
        self._display = display
        self._interrupts = interrupts
        ask = printed(self.patient, name)
        self._lines = Newest(ask, back=5.0, since=since) if display.prints else None
        self._places: dict[str, str] = {name: ""}
        self._held: list[dict[str, Any]] = []  # lines of runs whose place is not known yet
        self._asked = False
        self._told_wish = False
        self._looked = 0.0
        self._ended = 0  # steps
        self._told_more = False

    def show(self, steps: Steps, below: Sequence[dict[str, Any]], *, final: bool = False) -> None:
        """Show the steps, after all that those printed which have ended by now."""
        self._places |= subruns.places(below)
        every = subruns.laid(steps, below)
        ended = sum(one["ended"] is not None for one in every)
        self.printed(final=final or ended != self._ended)
        self._ended = ended
        self._display.show(every)

    def printed(self, *, final: bool = False) -> None:
        """Show what the steps printed since the last look; looks come every 0.3 s at most."""
        now = time.monotonic()
        if self._lines is None or (now - self._looked < POLL_S and not final):
            return
        found = self._lines.look(PRINTED)
        self._looked = time.monotonic()
        several = [*self._held, *found]
        self._held = []
        for line in several:
            place = self._places.get(line["run"])
            if place is None and not final:
                self._held.append(line)
                continue
            self._display.printed(f"{place or ''}{line['step'] or ''}", line["event"])
        if len(found) >= PRINTED and not self._told_more:
            self._told_more = True
            self._display.say(f"more was printed: mainspring logs --run {self.name}")

    def say_if_idle(self, steps: Steps) -> None:
        """Say that nobody carries the run out, if no step has begun and no engine is up."""
        if any(one["started"] is not None for one in steps):
            return
        if self.patient.call("system.status")["engine"] != "up":
            self._display.say("no engine is at work there; the run begins when mainspring up runs")

    def stop_if_wished(self) -> None:
        """Ask the run to stop if Ctrl-C was pressed and it was not asked before."""
        if not self._interrupts.wished or self._asked:
            return
        self._heard()
        with suppress(ConflictError):  # it came to its end meanwhile
            self.patient.call("runs.cancel", run=self.name)
        self._asked = True

    def left(self) -> str:
        """Say what becomes of a run whose follower leaves at once."""
        if isinstance(self._house, Local):
            return f"left; {self.name} goes on with: mainspring resume {self.name}"
        if self._asked:
            return f"left; the server stops {self.name}"
        return f"left; {self.name} goes on there; end it with: mainspring cancel {self.name}"

    def _heard(self) -> None:
        """Say, once, that Ctrl-C was understood."""
        if self._interrupts.wished and not self._told_wish:
            self._told_wish = True
            self._display.say("stopping the run; Ctrl-C again leaves at once")


def _here(house: Local, watched: _Watched) -> dict[str, Any]:
    import msgspec

    from mainspring.ground.permissions import Permission
    from mainspring.ground.ports import Tx
    from mainspring.workspace import engines, running
    from mainspring.workspace.views.runs import below_of

    ws = house.workspace
    told: Any = None
    seen: int | None = None

    def state(tx: Tx) -> tuple[list[Any], list[Any]]:
        _, steps = running.state(tx, watched.name)
        return steps, below_of(tx, watched.name, steps)

    def look(*, final: bool = False) -> None:
        nonlocal told, seen
        watched.printed()
        if (moved := ws.store.changed()) == seen and not final:
            return
        seen = moved
        now = ws.read(Permission.READ, state)
        if now != told or final:
            watched.show(*msgspec.to_builtins(now), final=final)
        told = now

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
    detail: dict[str, Any] = house.call("runs.get", run=watched.name, below=True)
    return detail


def _far(watched: _Watched) -> dict[str, Any]:
    seen: Steps = []
    began = time.monotonic()
    told_idle = False
    while True:
        looked = time.monotonic()
        watched.stop_if_wished()
        detail: dict[str, Any] = watched.patient.call("runs.get", run=watched.name, below=True)
        over = detail["run"]["status"] != "running"
        watched.show(detail["steps"], detail["below"], final=over)
        if over or (detail["steps"] == seen and _only_waits(watched.patient, detail)):
            return detail
        seen = detail["steps"]
        if not told_idle and time.monotonic() - began > IDLE_S:
            told_idle = True
            watched.say_if_idle(seen)
        # On a slow link it is asked no more often than it can answer.
        time.sleep(max(POLL_S, time.monotonic() - looked))


def _only_waits(house: Patient, detail: dict[str, Any]) -> bool:
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

"""Search and follow what the processes of a home wrote."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render, subruns
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.patience import Patient
from mainspring.cli.remote import Local, Remote, asking
from mainspring.cli.runs import full_id, is_full
from mainspring.ground.errors import MainspringError, NotFoundError, StoreError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

EVERY_S = 0.3  #: a look at what is new
_STYLES = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}
#: Ids that are shown behind an event; a process's name says its endpoint already.
_SHOWN = ("run", "step", "loop", "version", "prediction", "request")

Ask = Callable[..., list[dict[str, Any]]]
Say = Callable[[dict[str, Any]], None]


def logs(
    text: Annotated[str, Parameter(help="What must stand in a line, small or capital.")] = "",
    /,
    *,
    since: Annotated[str | None, Parameter(help="A time, or how long ago: 15m, 1h, 2d.")] = None,
    until: Annotated[str | None, Parameter(help="A time, or how long ago.")] = None,
    process: Annotated[
        str | None,
        Parameter(help="web, engine, supervisor, endpoint, endpoint-NAME, steps, cli, worker."),
    ] = None,
    run: Annotated[
        str | None, Parameter(help="Only lines about a run: its first characters, or 'last'.")
    ] = None,
    step: Annotated[str | None, Parameter(help="Only lines about a step.")] = None,
    endpoint: Annotated[str | None, Parameter(help="Only lines about an endpoint.")] = None,
    loop: Annotated[str | None, Parameter(help="Only lines about a loop.")] = None,
    request: Annotated[str | None, Parameter(help="The X-Request-Id of an answer.")] = None,
    prediction: Annotated[str | None, Parameter(help="A prediction id out of an answer.")] = None,
    level: Annotated[
        str, Parameter(help="At least as serious: debug, info, warning, error, critical.")
    ] = "debug",
    limit: Annotated[
        int, Parameter(name=["--limit", "-n"], help="How many of the newest; up to 1000.")
    ] = 100,
    follow: Annotated[
        bool,
        Parameter(
            name=["--follow", "-f"], negative=(), help="Go on until Ctrl-C, or the end of --run."
        ),
    ] = False,
    options: Everywhere = HERE,
) -> int:
    """Search what processes wrote, the newest last, or follow it.

    Lines of a run are also those of the runs that its steps started. A run that is followed is
    followed to its end: exit code 1 if it does not end well.
    """
    if run is not None:
        run, step = _meant(run, step, options)
    asked = {
        "text": text or None, "process": process, "run": run, "step": step, "endpoint": endpoint,
        "loop": loop, "request": request, "prediction": prediction, "level": level,
    }  # fmt: skip
    with asking(options) as house:
        begun = None if run is None or step is not None else Begun(house, run)
        ask = asker(house, asked, begun)
        found = ask(since=since, until=until, limit=limit)
        if not follow:
            render.answer(options, found, lambda out: _draw(found, out, begun))
            return 0
        say = _line_by_line if options.json else _drawer(render.console(), begun)
        for line in reversed(found):
            say(line)
        patient = Patient(house, _aside)
        return _follow(asker(patient, asked, begun), found, say, _ended_of(patient, run))


def _meant(run: str, step: str | None, options: Everywhere) -> tuple[str, str | None]:
    """Return the run and the step that are meant, which may be one of a run that it started."""
    if is_full(run) and step is None:  # asks no database: the logs may be wanted because it fails
        return run, None
    try:
        with asking(options) as house:
            run = full_id(house, run)
            return (run, None) if step is None else subruns.found(house, run, step)
    except (StoreError, NotFoundError) as error:
        if is_full(run) and error.field != "step":  # its lines may outlive a run
            return run, step
        raise


class Begun:
    """The runs that the steps of a run started, and what stands before the names of theirs."""

    def __init__(self, house: Local | Remote, run: str) -> None:
        self._house = house
        self._run = run
        self.places: dict[str, str] = {run: ""}

    def look(self) -> tuple[str, ...]:
        """Look for those there are now, and return their ids."""
        with suppress(MainspringError):  # the logs may be wanted because the database fails
            self.places |= self._found()
        return tuple(one for one in self.places if one != self._run)

    def _found(self) -> dict[str, str]:
        if isinstance(self._house, Local) and not self._house.settings.database:
            from mainspring.workspace.beneath import places

            return places(self._house.settings, self._run)  # needs no more than the file
        return subruns.places(self._house.call("runs.get", run=self._run, below=True)["below"])

    def name(self, line: dict[str, Any]) -> str | None:
        """Return the name of a line's step as people see it."""
        if line["run"] not in self.places and line["run"]:
            self.look()
        step: str | None = line["step"]
        place = self.places.get(line["run"], "")
        return f"{place}{step}" if step else place.rstrip("/") or None


def asker(house: Local | Remote | Patient, asked: dict[str, Any], begun: Begun | None) -> Ask:
    """Return what answers: the server, else the home's own files."""
    real = house.house if isinstance(house, Patient) else house
    if isinstance(real, Remote):
        below = True if begun else None
        return lambda **more: house.call("logs.search", **asked, below=below, **more)
    # Not by the operation, which needs the database: the logs may be wanted because it fails.
    from mainspring.workspace.logs.asking import find
    from mainspring.workspace.logs.lines import Query

    query = Query(**{key: value for key, value in asked.items() if value is not None})
    home = Path(real.settings.home)

    def ask(**more: Any) -> list[dict[str, Any]]:
        wanted = msgspec.structs.replace(query, also=begun.look() if begun else ())
        return [msgspec.to_builtins(line) for line in find(home, wanted, **more)]

    return ask


def printed(house: Local | Remote | Patient, run: str, step: str | None = None) -> Ask:
    """Return what answers what the steps of a run printed, or one of them.

    All of them: those too of the runs that they started.
    """
    below = True if step is None else None
    return lambda **more: house.call("runs.printed", run=run, step=step, below=below, **more)


def _ended_of(house: Patient, run: str | None) -> Callable[[], str | None]:
    """Return what says how a run has ended, or None as long as it has not."""
    if run is None:
        return lambda: None
    asked = {"filter": f"id = '{run}'", "columns": "id", "limit": 1}

    def ended() -> str | None:
        with suppress(StoreError):
            for one in house.call("runs.list", **asked)["runs"]:
                return None if one["status"] == "running" else str(one["status"])
        return None

    return ended


def _follow(
    ask: Ask, seen: Sequence[dict[str, Any]], say: Say, ended: Callable[[], str | None]
) -> int:
    """Show what is new, again and again; of a run until it has ended. Return the exit code."""
    newest = Newest(ask, seen)
    while True:
        status = ended()  # asked before the lines, so that the last of them are looked at
        time.sleep(EVERY_S)
        for line in newest.look():
            say(line)
        sys.stdout.flush()
        if status is not None:
            return 0 if status == "finished" else 1


def _aside(text: str) -> None:
    sys.stderr.write(render.plain(f"{text}\n"))
    sys.stderr.flush()


class Newest:
    """Remembers which lines were seen, and asks for those that came since."""

    def __init__(
        self,
        ask: Ask,
        seen: Sequence[dict[str, Any]] = (),
        *,
        back: float = 60.0,
        since: float | None = None,
    ) -> None:
        self._ask = ask
        self._back = back  # seconds before the first look, as long as nothing was seen
        self._since = since  # or from that time on
        self._began: float | None = None
        self._known = {_key(line): line["time"] for line in seen}
        self._newest = max((line["time"] for line in seen), default=None)

    def look(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the lines that came since the last look, the oldest first."""
        # Processes may write a little out of turn, so a moment is asked for twice.
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        back = f"{self._back + now - self._began:.1f}s"  # a server may be away between two looks
        first = back if self._since is None else f"{self._since:.6f}"
        since = first if self._newest is None else f"{self._newest - 2:.6f}"
        every = self._ask(since=since, limit=limit)
        found = [line for line in every if _key(line) not in self._known]
        self._newest = max((line["time"] for line in found), default=self._newest)
        self._known |= {_key(line): line["time"] for line in found}
        late = (self._newest or 0) - 120
        self._known = {key: at for key, at in self._known.items() if at > late}
        return found[::-1]


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["time"], line["pid"], line["event"]


def _draw(found: Sequence[dict[str, Any]], out: Console, begun: Begun | None) -> None:
    say = _drawer(out, begun)
    for line in reversed(found):
        say(line)
    if not found:
        out.print("Nothing in the logs meets this.")


def _line_by_line(line: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")


def _drawer(out: Console, begun: Begun | None) -> Say:
    def say(line: dict[str, Any]) -> None:
        named = {**line, "step": begun.name(line)} if begun else line
        out.print(_drawn(named), soft_wrap=True)

    return say


def _drawn(line: dict[str, Any]) -> Text:
    from rich.text import Text

    ids = "  ".join(f"{key}={line[key]}" for key in _SHOWN if line.get(key))
    head = f"{render.when(line['time'])} {line['level'].upper():8} {line['process']}: "
    text = render.plain(f"{head}{line['event']}{'  ' if ids else ''}{ids}")
    if line.get("trace"):
        rows = [render.plain(row) for row in line["trace"].rstrip().splitlines()]
        text = "\n    ".join([text, *rows])
    return Text(text, style=_STYLES.get(line["level"], ""))

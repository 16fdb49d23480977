"""Search and follow what the processes of a home wrote."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call, settings_of

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
        bool, Parameter(name=["--follow", "-f"], negative=(), help="Go on until Ctrl-C.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Search what processes wrote, the newest last, or follow it."""
    if run is not None:
        run = _whole(run, options)
    asked = {
        "text": text or None, "process": process, "run": run, "step": step, "endpoint": endpoint,
        "loop": loop, "request": request, "prediction": prediction, "level": level,
    }  # fmt: skip
    ask = asker(options, asked)
    found = ask(since=since, until=until, limit=limit)
    if not follow:
        render.answer(options, found, lambda out: _draw(found, out))
        return
    say = _line_by_line if options.json else _drawer(render.console())
    for line in reversed(found):
        say(line)
    _follow(ask, found, say)


def _whole(run: str, options: Everywhere) -> str:
    from mainspring.cli.runs import full_id, is_full

    if is_full(run):  # asks no database: the logs may be wanted because it fails
        return run
    from mainspring.cli.remote import asking

    with asking(options) as house:
        return full_id(house, run)


def asker(options: Everywhere, asked: dict[str, Any]) -> Ask:
    """Return what answers: the server of ``--url``, else the home's own files."""
    settings = settings_of(options)
    if settings.url is not None:
        return lambda **more: call(options, "logs.search", **asked, **more)
    # Not by the operation, which needs the database: the logs may be wanted because it fails.
    from mainspring.workspace.logs.asking import find
    from mainspring.workspace.logs.lines import Query

    query = Query(**{key: value for key, value in asked.items() if value is not None})
    home = Path(settings.home)
    return lambda **more: [msgspec.to_builtins(line) for line in find(home, query, **more)]


def _follow(ask: Ask, seen: Sequence[dict[str, Any]], say: Say) -> None:
    """Show what is new, again and again."""
    newest = Newest(ask, seen)
    while True:
        time.sleep(EVERY_S)
        for line in newest.look():
            say(line)
        sys.stdout.flush()


class Newest:
    """Remembers which lines were seen, and asks for those that came since."""

    def __init__(self, ask: Ask, seen: Sequence[dict[str, Any]] = (), *, back: str = "1m") -> None:
        self._ask = ask
        self._back = back  # how far it looks back as long as nothing was seen
        self._known = {_key(line): line["time"] for line in seen}
        self._newest = max((line["time"] for line in seen), default=None)

    def look(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the lines that came since the last look, the oldest first."""
        # Processes may write a little out of turn, so a moment is asked for twice.
        since = self._back if self._newest is None else f"{self._newest - 2:.6f}"
        every = self._ask(since=since, limit=limit)
        found = [line for line in every if _key(line) not in self._known]
        self._newest = max((line["time"] for line in found), default=self._newest)
        self._known |= {_key(line): line["time"] for line in found}
        late = (self._newest or 0) - 120
        self._known = {key: at for key, at in self._known.items() if at > late}
        return found[::-1]


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["time"], line["pid"], line["event"]


def _draw(found: Sequence[dict[str, Any]], out: Console) -> None:
    say = _drawer(out)
    for line in reversed(found):
        say(line)
    if not found:
        out.print("Nothing in the logs meets this.")


def _line_by_line(line: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")


def _drawer(out: Console) -> Say:
    return lambda line: out.print(_drawn(line), soft_wrap=True)


def _drawn(line: dict[str, Any]) -> Text:
    from rich.text import Text

    ids = "  ".join(f"{key}={line[key]}" for key in _SHOWN if line.get(key))
    head = f"{render.when(line['time'])} {line['level'].upper():8} {line['process']}: "
    text = render.plain(f"{head}{line['event']}{'  ' if ids else ''}{ids}")
    if line.get("trace"):
        rows = [render.plain(row) for row in line["trace"].rstrip().splitlines()]
        text = "\n    ".join([text, *rows])
    return Text(text, style=_STYLES.get(line["level"], ""))

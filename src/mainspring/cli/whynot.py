"""Why not: why a version is not champion, or why a loop trained nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainspring.cli import render
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.cli.options import Everywhere
    from mainspring.cli.remote import Local, Remote


def tell(house: Local | Remote, what: str | None, since: str | None, options: Everywhere) -> None:
    """Print why a version (MODEL/8) is not champion, or why a loop trained nothing.

    Raises:
        BadInputError: if nothing is named, or since when cannot be read.
    """
    if not what:
        raise BadInputError(
            "Why not what? Name a version, such as flights/8, or a loop.", field="step"
        )
    if "/" in what or "@" in what:
        found = house.call("models.why_not", ref=what)
        lines = [f"{found['version']}: {found['verdict']}. {found['reason']}", *found["lines"]]
        render.said(options, found, *lines, *([f"Next: {found['todo']}"] if found["todo"] else []))
        return
    start = None if since is None else _moment(house, what, since)
    told = house.call("loops.why_not", name=what, since=start)
    render.answer(options, told, lambda out: _draw(out, told))


def _draw(out: Console, told: dict[str, Any]) -> None:
    out.print(
        render.plain(f"{told['loop']}, since {render.when(told['since'])}: {told['reason']}")
    )
    for line in told["on_hold"]:
        out.print(render.plain(f"On hold: {line}"))
    rows = [(render.when(d["at"]), d["kind"], d["reason"]) for d in told["decisions"]]
    if rows:
        out.print("")
        render.table(out, ("AT (UTC)", "DECIDED", "REASON"), rows)


def _moment(house: Local | Remote, loop: str, since: str) -> float:
    """Return a moment of the loop's own time: a date, or so long before its newest row."""
    try:
        found = datetime.fromisoformat(since)
    except ValueError:
        now = float(house.call("loops.get", name=loop)["view"]["now"])
        return now - seconds(since, "since")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()

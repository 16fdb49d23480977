"""Rules over the logs: made, listed, looked back on, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.durations import seconds

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, Parameter(help="The rule's name.")]


def add(
    name: Name,
    /,
    *,
    text: Annotated[str, Parameter(help="What must stand in a line.")] = "",
    level: Annotated[
        str, Parameter(help="At least as serious: debug, info, warning, error, critical.")
    ] = "debug",
    process: Annotated[str | None, Parameter(help="Only lines of a process.")] = None,
    endpoint: Annotated[str | None, Parameter(help="Only lines about an endpoint.")] = None,
    above: Annotated[int, Parameter(help="More lines than this are too many...")] = 0,
    within: Annotated[str, Parameter(help="...within this time, at most a day.")] = "1m",
    note: Annotated[str, Parameter(help="What to do about it; stands in the alarm.")] = "",
    options: Everywhere = HERE,
) -> None:
    """Alarm when more lines of a kind are written within a time."""
    made = call(
        options,
        "logs.watch",
        name=name,
        text=text or None,
        level=level,
        process=process,
        endpoint=endpoint,
        above=above,
        within_s=seconds(within, "within"),
        note=note or None,
    )
    told = f"{name} alarms on more than {above} matching lines within {within}."
    render.said(options, made, told, f"Look back: mainspring log-rules rates {name}")


def listed(*, options: Everywhere = HERE) -> None:
    """List the rules over the logs, and how each stands."""
    found = call(options, "logs.rules")

    def draw(out: Console) -> None:
        rows = [
            (
                one["rule"]["name"],
                one["rule"]["text"],
                one["rule"]["level"],
                one["rule"]["process"] or one["rule"]["endpoint"],
                f"{one['lines']} of {one['rule']['above']}",
                render.took(0.0, one["rule"]["within_s"]),
                one["state"],
            )
            for one in found
        ]
        columns = ("NAME", "TEXT", "LEVEL", "OF", "LINES>", "WITHIN>", "STATE")
        render.table(out, columns, rows, "No rules over the logs.")

    render.answer(options, found, draw)


def rates(
    name: Name,
    /,
    *,
    since: Annotated[str, Parameter(help="How far back.")] = "1d",
    step: Annotated[str, Parameter(help="Length of a stretch.")] = "1m",
    options: Everywhere = HERE,
) -> None:
    """Show how many lines a rule counts over time, also before it was made."""
    found = call(
        options,
        "logs.rates",
        name=name,
        since_s=seconds(since, "since"),
        step_s=seconds(step, "step"),
    )

    def draw(out: Console) -> None:
        rows = [(render.when(at), count) for at, count in found["points"]]
        render.table(out, ("FROM (UTC)", "LINES>"), rows, f"No line meets {name} since then.")

    render.answer(options, found, draw)


def remove(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Look for a rule's lines no more; its alarm, if one is open, ends."""
    done = call(options, "logs.unwatch", name=name)
    render.said(options, done, f"{name} is removed.")

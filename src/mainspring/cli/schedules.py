"""Schedules: run a pipeline by the clock, list what runs when, and end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import asking, call

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, Parameter(help="What the schedule is called.")]


def add(
    name: Name,
    pipeline: Annotated[str, Parameter(help="The pipeline's name, or module:name.")],
    /,
    *,
    cron: Annotated[str, Parameter(help="Five fields: minute, hour, day, month, weekday.")],
    params: Annotated[
        list[str] | None,
        Parameter(name=["--param", "-p"], negative=(), help="A parameter as name=value."),
    ] = None,
    tz: Annotated[str, Parameter(help="Whose wall clock counts, such as Europe/Berlin.")] = "UTC",
    register: Annotated[
        str | None, Parameter(help="Make each result a candidate version of this model.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Run a pipeline whenever the clock says so, while the home is up."""
    asked = {"pipeline": pipeline, "cron": cron, "tz": tz, "register": register}
    given = dict(pair(text) for text in params or [])
    with asking(options, create=True) as house:
        house.call("schedules.put", name=name, params=given, **asked)
        made = next(one for one in house.call("schedules.list") if one["name"] == name)
    said = f"{made['pipeline']} runs next at {render.when(made['next'])} UTC."
    render.said(options, made, said)


def listed(*, options: Everywhere = HERE) -> None:
    """List what runs when, the loops' own schedules too."""
    rows = call(options, "schedules.list")

    def draw(out: Console) -> None:
        cells = [
            (
                one["name"],
                one["pipeline"] or f"retraining of loop {one['loop']}",
                one["cron"],
                one["tz"],
                render.when(one["next"]),
                render.figures(one["params"]),
            )
            for one in rows
        ]
        columns = ("SCHEDULE", "STARTS", "CRON", "TIME ZONE", "NEXT (UTC)", "PARAMS")
        render.table(
            out,
            columns,
            cells,
            "No schedules. Add one: mainspring schedule add NAME PIPELINE --cron '30 2 * * *'",
        )

    render.answer(options, rows, draw)


def remove(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Run nothing by a schedule any more. What it started goes on."""
    done = call(options, "schedules.remove", name=name)
    render.said(options, done, f"The schedule {name} is no more.")

"""Schedules: run a pipeline by the clock, list what runs when, and end it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import asking, call
from mainspring.ground.durations import seconds, spoken
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, Parameter(help="What the schedule is called.")]
_DAY = 10  #: characters of a date without a time


def add(
    name: Name,
    pipeline: Annotated[str, Parameter(help="The pipeline's name, or module:name.")],
    /,
    *,
    cron: Annotated[str, Parameter(help="Five fields: minute, hour, day, month, weekday.")] = "",
    every: Annotated[str | None, Parameter(help="A distance instead, such as 6h.")] = None,
    anchor: Annotated[
        str | None, Parameter(help="A time that --every counts from. Default: 1970-01-01 UTC.")
    ] = None,
    params: Annotated[
        list[str] | None,
        Parameter(name=["--param", "-p"], negative=(), help="A parameter as name=value."),
    ] = None,
    tz: Annotated[str, Parameter(help="Whose wall clock counts, such as Europe/Berlin.")] = "UTC",
    register: Annotated[
        str | None, Parameter(help="Make each result a candidate version of this model.")
    ] = None,
    start: Annotated[str | None, Parameter(help="Nothing before this day or time fires.")] = None,
    end: Annotated[str | None, Parameter(help="Nothing after this day or time fires.")] = None,
    catch_up: Annotated[
        Literal["skip", "latest", "all"], Parameter(help="Which missed times still fire.")
    ] = "latest",
    most: Annotated[int, Parameter(help="Of --catch-up all: so many, the newest.")] = 100,
    overlap: Annotated[
        Literal["skip", "queue", "allow"] | None,
        Parameter(help="What fires while the last run goes on. Default: skip."),
    ] = None,
    jitter: Annotated[str, Parameter(help="Begin so much later at most, such as 5m.")] = "0s",
    options: Everywhere = HERE,
) -> None:
    """Run a pipeline whenever the clock says so, while the home is up."""
    asked = {
        "pipeline": pipeline,
        "cron": cron,
        "tz": tz,
        "register": register,
        "every_s": None if every is None else seconds(every, "every"),
        "anchor": 0.0 if anchor is None else moment(anchor, tz, "anchor"),
        "start": None if start is None else moment(start, tz, "start"),
        "end": None if end is None else moment(end, tz, "end", last=True),
        "catch_up": catch_up,
        "most": most,
        "overlap": overlap,
        "jitter_s": seconds(jitter, "jitter"),
    }
    given = dict(pair(text) for text in params or [])
    with asking(options, create=True) as house:
        house.call("schedules.put", name=name, params=given, **asked)
        made = house.call("schedules.get", name=name)["schedule"]
    said = f"{made['pipeline']} runs next at {render.when(made['next'])} UTC."
    render.said(options, made, said)


def moment(text: str, tz: str, field: str, *, last: bool = False) -> float:
    """Return UTC seconds of a day, or of a day and time, by the wall clock of a time zone.

    ``last`` takes a day by its last second instead of its first.

    Raises:
        BadInputError: if it is neither, or there is no such zone.

    >>> moment("1970-01-02", "UTC", "start"), moment("1970-01-01T01:00", "Europe/Berlin", "start")
    (86400.0, 0.0)
    """
    try:
        found = datetime.fromisoformat(text.strip())
        zone = ZoneInfo(tz)
    except ZoneInfoNotFoundError as error:
        raise BadInputError(f"There is no time zone {tz[:80]!r}.", field="tz") from error
    except ValueError as error:
        raise BadInputError(
            f"{field} must be a day, or a day and a time, found {text[:80]!r}.",
            field=field,
            hint="For example 2026-11-28, or 2026-11-28T07:00.",
        ) from error
    whole = last and len(text.strip()) == _DAY
    found += timedelta(days=1) if whole else timedelta()  # of the wall clock: days differ
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() - whole


def listed(*, options: Everywhere = HERE) -> None:
    """List what runs when, the loops' own schedules too."""
    rows = call(options, "schedules.list")

    def draw(out: Console) -> None:
        cells = [
            (
                one["name"],
                _starts(one),
                _when(one),
                one["tz"],
                "paused" if one["paused"] else render.when(one["next"]),
                render.figures(one["params"]),
            )
            for one in rows
        ]
        columns = ("SCHEDULE", "STARTS", "WHEN", "TIME ZONE", "NEXT (UTC)", "PARAMS")
        render.table(
            out,
            columns,
            cells,
            "No schedules. Add one: mainspring schedule add NAME PIPELINE --cron '30 2 * * *'",
        )

    render.answer(options, rows, draw)


def _starts(one: dict[str, Any]) -> str:
    return one["pipeline"] or f"retraining of loop {one['loop']}"


def _when(one: dict[str, Any]) -> str:
    return one["cron"] or f"every {spoken(one['every_s'])}"


def show(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Show a schedule: its next ten fire times, the last ones, their runs, why one was skipped."""
    found = call(options, "schedules.get", name=name)

    def draw(out: Console) -> None:
        one = found["schedule"]
        out.print(render.plain(f"{name}: {_starts(one)}, {_when(one)} ({one['tz']})"))
        rules = f"catch up: {one['catch_up']}, overlap: {one['overlap']}"
        out.print(f"{rules}, jitter: {spoken(one['jitter_s'])}")
        if one["paused"]:
            out.print(f"paused since {render.when(one['paused'])} UTC", style="yellow")
        for at in found["upcoming"]:
            out.print(f"next {render.when(at)} UTC")
        cells = [
            (
                render.when(past["fire_at"]),
                past["status"] or past["outcome"],
                past["run"] or "",
                past["by"] or "the clock",
                past["why"] or (f"stands for {past['missed']} more" if past["missed"] else ""),
            )
            for past in found["firings"]
        ]
        heads = ("FIRE TIME (UTC)", "CAME TO", "RUN", "BY", "")
        render.table(out, heads, cells, "It has not fired yet.")

    render.answer(options, found, draw)


def pause(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Let a schedule rest; what comes meanwhile is not made up for."""
    done = call(options, "schedules.pause", name=name)
    render.said(options, done, f"The schedule {name} rests.")


def resume(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Let a schedule fire again from now on."""
    done = call(options, "schedules.resume", name=name)
    render.said(options, done, f"The schedule {name} fires again.")


def run(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Fire a schedule now, by hand, paused or not."""
    done = call(options, "schedules.run", name=name)
    told = "begins" if done["outcome"] == "fired" else "waits for the run before it"
    render.said(options, done, f"A run of {name} {told}.")


def backfill(
    name: Name,
    /,
    *,
    begin: Annotated[str, Parameter(name="--from", help="The first day or time that counts.")],
    end: Annotated[str, Parameter(name="--to", help="The last day or time that counts.")],
    options: Everywhere = HERE,
) -> None:
    """Run what should have fired in a span and has not, each run for its own fire time."""
    with asking(options) as house:
        tz = house.call("schedules.get", name=name)["schedule"]["tz"]
        span = {"begin": moment(begin, tz, "from"), "end": moment(end, tz, "to", last=True)}
        done = house.call("schedules.backfill", name=name, **span)
    told = f"{done['begun']} of {done['asked']} fire times are made up for"
    before = f"; {done['before']} had fired before" if done["before"] else ""
    render.said(options, done, f"{told}{before}.")


def remove(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Run nothing by a schedule any more. What it started goes on."""
    done = call(options, "schedules.remove", name=name)
    render.said(options, done, f"The schedule {name} is no more.")

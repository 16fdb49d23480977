"""Triggers: run a pipeline when something happens, see what happened, and end it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import asking, call
from mainspring.ground.durations import seconds, spoken
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, Parameter(help="What the trigger is called.")]
On = Annotated[
    str,
    Parameter(
        help="dataset:NAME, file:PATH_OR_GLOB, model:NAME@ALIAS, run:PIPELINE[:failed],"
        " alarm:MONITOR_OR_ENDPOINT or webhook."
    ),
]
Secret = Annotated[
    str | None,
    Parameter(
        help="What a webhook's senders sign with. Default: one is made and told once.",
        env_var="MAINSPRING_WEBHOOK_SECRET",
    ),
]


def add(
    name: Name,
    pipeline: Annotated[str, Parameter(help="The pipeline's name, or module:name.")],
    /,
    *,
    on: On,
    params: Annotated[
        list[str] | None,
        Parameter(
            name=["--param", "-p"],
            negative=(),
            help="A parameter as name=value; {event.NAME} is read from the event.",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        Parameter(name="--filter", negative=(), help="Such as 'ref = refs/heads/main'."),
    ] = None,
    register: Annotated[
        str | None, Parameter(help="Make each result a candidate version of this model.")
    ] = None,
    debounce: Annotated[
        str, Parameter(help="Events closer than this start one run together, such as 30s.")
    ] = "0s",
    overlap: Annotated[
        Literal["skip", "queue", "allow"],
        Parameter(help="What an event does while the last run goes on."),
    ] = "queue",
    per_hour: Annotated[int, Parameter(help="So many runs within an hour; the rest waits.")] = 60,
    depth: Annotated[int, Parameter(help="The longest chain of triggers.")] = 3,
    fails: Annotated[int, Parameter(help="After so many failed runs in a row it rests.")] = 5,
    secret: Secret = None,
    options: Everywhere = HERE,
) -> None:
    """Run a pipeline whenever something happens, while the home is up."""
    asked = {
        "pipeline": pipeline,
        "on": on,
        "filters": filters or [],
        "register": register,
        "debounce_s": seconds(debounce, "debounce"),
        "overlap": overlap,
        "per_hour": per_hour,
        "depth": depth,
        "fails": fails,
        "secret": secret if on == "webhook" else None,
    }
    given = dict(pair(text) for text in params or [])
    with asking(options, create=True) as house:
        made = house.call("triggers.put", name=name, params=given, **asked)
    one = made["trigger"]
    lines = [f"{one['pipeline']} runs on {one['on']}."]
    if one["hook"]:
        lines.append(f"Post events to {one['hook']}, signed with this secret, shown once:")
        lines.append(made["secret"])
    render.said(options, made, *lines)


def listed(*, options: Everywhere = HERE) -> None:
    """List what starts what."""
    rows = call(options, "triggers.list")

    def draw(out: Console) -> None:
        cells = [
            (
                one["name"],
                one["on"],
                one["pipeline"],
                f"rests: {one['why']}" if one["paused"] else "",
                ", ".join(one["filters"]),
            )
            for one in rows
        ]
        heads = ("TRIGGER", "ON", "STARTS", "", "FILTERS")
        empty = "No triggers. Add one: mainspring trigger add NAME PIPELINE --on dataset:NAME"
        render.table(out, heads, cells, empty)

    render.answer(options, rows, draw)


def show(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Show a trigger, its newest events and what became of them."""
    found = call(options, "triggers.get", name=name)

    def draw(out: Console) -> None:
        one = found["trigger"]
        out.print(render.plain(f"{name}: {one['pipeline']} on {one['on']}"))
        rules = [f"overlap: {one['overlap']}", f"at most {one['per_hour']} runs an hour"]
        rules += [f"debounce: {spoken(one['debounce_s'])}"] if one["debounce_s"] else []
        rules += [f"filter: {text}" for text in one["filters"]]
        out.print(render.plain(", ".join(rules)))
        if one["paused"]:
            out.print(render.plain(f"rests: {one['why']}"), style="yellow")
        cells = [
            (
                render.when(each["at"]),
                each["status"] or each["state"],
                each["run"] or "",
                each["why"],
                _told(each["event"]),
            )
            for each in found["events"]
        ]
        heads = ("NOTED (UTC)", "CAME TO", "RUN", "", "EVENT")
        render.table(out, heads, cells, "Nothing has happened since it was added.")

    render.answer(options, found, draw)


def _told(event: dict[str, Any]) -> str:
    text = json.dumps(event, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."


def try_out(
    name: Name,
    /,
    *,
    event: Annotated[
        str | None, Parameter(help="An event as JSON. Default: the newest that happened.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Say what would come of an event; nothing is started. Exit code 1 if it starts nothing."""
    given = None
    if event is not None:
        try:
            given = json.loads(event)
        except ValueError as error:
            raise BadInputError(f"The event is no JSON: {error}.", field="event") from error
        if not isinstance(given, dict):
            raise BadInputError("An event is a JSON object.", field="event")
    found = call(options, "triggers.test", name=name, event=given)
    told = f"It would run {found['pipeline']}" if found["starts"] else "It would start nothing"
    why = f": {found['why']}" if found["why"] else ""
    shown = [f"{key} = {value!r}" for key, value in found["params"].items()]
    render.said(options, found, f"{told}{why}.", *shown)
    return 0 if found["starts"] else 1


def pause(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Let a trigger rest: it notes nothing and begins nothing."""
    done = call(options, "triggers.pause", name=name)
    render.said(options, done, f"The trigger {name} rests.")


def resume(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Let a trigger work again; what happened meanwhile starts nothing."""
    done = call(options, "triggers.resume", name=name)
    render.said(options, done, f"The trigger {name} works again.")


def remove(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Start nothing by a trigger any more. What it began goes on."""
    done = call(options, "triggers.remove", name=name)
    render.said(options, done, f"The trigger {name} is no more.")

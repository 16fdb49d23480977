"""Lineage on the terminal: a tree up, a tree down, or a graph for Graphviz."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.durations import seconds

if TYPE_CHECKING:
    from rich.console import Console

Found = dict[str, Any]
_STATE = {"deleted": "red", "gone": "red", "failed": "red", "running": "yellow"}


def lineage(
    subject: Annotated[
        str,
        Parameter(
            help="dataset:NAME@VERSION, file:PATH, run:ID, step:RUN/STEP, version:NAME/7,"
            " endpoint:NAME, prediction:ID, NAME@champion..."
        ),
    ],
    /,
    *,
    up: Annotated[bool, Parameter(help="Only what it came from.", negative=())] = False,
    down: Annotated[bool, Parameter(help="Only what came of it.", negative=())] = False,
    both: Annotated[bool, Parameter(help="Both, which is the default.", negative=())] = False,
    depth: Annotated[int, Parameter(help="So many steps away at most.")] = 12,
    most: Annotated[int, Parameter(help="So many things each way at most.")] = 500,
    kind: Annotated[
        list[str] | None,
        Parameter(
            help="Only things of this kind, such as endpoint; may be repeated.", negative=()
        ),
    ] = None,
    dot: Annotated[bool, Parameter(help="Print a graph for Graphviz.", negative=())] = False,
    options: Everywhere = HERE,
) -> None:
    """Show what a thing came from and what came of it, down to one prediction."""
    way = "both" if both or up == down else "up" if up else "down"
    asked = {"subject": subject, "direction": way, "depth": depth, "most": most}
    found = call(options, "lineage.get", **asked, kinds=",".join(kind or ()))
    if dot and not options.json:
        sys.stdout.write(as_dot(found))
        return
    render.answer(options, found, lambda out: (_list if kind else _draw)(out, found, way))


def predictions(
    subject: Annotated[str, Parameter(help="dataset:NAME@VERSION, run:ID, NAME/7...")],
    /,
    *,
    since: Annotated[
        str, Parameter(help="How far back from the newest capture is counted: 12h, 7d.")
    ] = "7d",
    most: Annotated[int, Parameter(help="So many ids of each version at most.")] = 5,
    days: Annotated[bool, Parameter(help="Count each UTC day by itself.", negative=())] = False,
    options: Everywhere = HERE,
) -> None:
    """Count the captured predictions that came of a thing, and name the newest."""
    since_s = seconds(since, "since")
    found = call(options, "lineage.predictions", subject=subject, since_s=since_s, most=most)

    render.answer(options, found, lambda out: (_by_day if days else _by_version)(out, found))


def _by_version(out: Console, found: Found) -> None:
    rows = [
        (one["endpoint"], one["version"], f"{one['predictions']:,}", render.when(one["first"]),
         render.when(one["last"]), " ".join(one["newest"]))
        for one in found["answered"]
    ]  # fmt: skip
    head = ("ENDPOINT", "VERSION", "PREDICTIONS", "FIRST", "LAST", "NEWEST")
    render.table(out, head, rows, _none(found))
    _bounds(out, found)


def _by_day(out: Console, found: Found) -> None:
    rows = [
        (one["endpoint"], one["version"], each["day"], f"{each['predictions']:,}")
        for one in found["answered"]
        for each in one["days"]
    ]
    render.table(out, ("ENDPOINT", "VERSION", "DAY", "PREDICTIONS"), rows, _none(found))
    _bounds(out, found)


def _none(found: Found) -> str:
    return f"None is captured; versions that came of it: {', '.join(found['versions']) or '-'}"


def _bounds(out: Console, found: Found) -> None:
    """Say where a count is not whole."""
    for endpoint, since in found["cut"].items():
        out.print(
            f"{endpoint} captured more than is counted at once: only from {render.when(since)} on."
        )
    if found["left_out"]:
        out.print(f"{found['left_out']} more things came of it and were not followed.")


def export(
    *,
    openlineage: Annotated[str, Parameter(help="A file for OpenLineage events, one a line.")],
    limit: Annotated[int, Parameter(help="So many of the newest runs.")] = 1000,
    options: Everywhere = HERE,
) -> None:
    """Write the newest runs of pipelines as OpenLineage events, one a line."""
    events = call(options, "lineage.export", limit=limit)
    lines = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events]
    Path(openlineage).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    told = {"file": openlineage, "events": len(lines)}
    render.said(options, told, f"{len(lines)} events are in {openlineage}.")


def deliveries(*, options: Everywhere = HERE) -> None:
    """Say how deliveries of OpenLineage events stand."""
    found = call(options, "lineage.deliveries")
    lines = [
        f"{found['done']} were told, {found['waiting']} wait, {found['failed']} were given up.",
        f"To {found['url']}." if found["url"] else "No openlineage_url is set.",
    ]
    render.said(options, found, *lines, *([found["error"]] if found["error"] else []))


def _draw(out: Console, found: Found, way: str) -> None:
    things = {one["ref"]: one for one in found["things"]}
    start = found["subject"]
    out.print(_line(things[start]))
    for wanted, title, here, there in (
        ("up", "came from", "down", "up"),
        ("down", "led to", "up", "down"),
    ):
        if way not in (wanted, "both"):
            continue
        sign = -1 if wanted == "up" else 1
        reached = {one for one in things if things[one]["depth"] * sign > 0}
        beside: dict[str, list[Found]] = {}
        for edge in found["leads"]:
            if edge[there] in reached:
                beside.setdefault(edge[here], []).append(edge)
        if not beside.get(start):
            out.print(f"  {title} nothing that is known here", style="dim")
            continue
        out.print(f"  {title}", style="bold")
        _branches(out, start, beside, there, things, "  ", {start})
    if found["left_out"]:
        out.print(f"{found['left_out']} more things are left out; ask for more with --most.")


def _list(out: Console, found: Found, _way: str) -> None:
    rows = [
        (f"{one['depth']:+}", one["ref"], one["detail"], one["state"])
        for one in found["things"]
        if one["ref"] != found["subject"]
    ]
    render.table(out, ("AWAY", "THING", "WHAT", "STATE"), rows, "Nothing of that kind.")
    if found["left_out"]:
        out.print(f"{found['left_out']} more things are left out; ask for more with --most.")


def _branches(
    out: Console,
    at: str,
    beside: dict[str, list[Found]],
    there: str,
    things: dict[str, Found],
    indent: str,
    drawn: set[str],
) -> None:
    several = beside.get(at, [])
    for number, edge in enumerate(several):
        last = number == len(several) - 1
        other = edge[there]
        again = other in drawn
        line = _line(things[other], edge["how"])
        mark = "└── " if last else "├── "
        more = "  (as above)" if again and beside.get(other) else ""
        out.print(f"{indent}{mark}{line}{more}", style=_STATE.get(things[other]["state"]))
        if not again:
            drawn.add(other)
            deeper = indent + ("    " if last else "│   ")
            _branches(out, other, beside, there, things, deeper, drawn)


def _line(thing: Found, how: str = "") -> str:
    told = [text for text in (how, thing["detail"], thing["state"]) if text]
    return render.plain(f"{thing['ref']}{'  ' if told else ''}{', '.join(told)}")


def as_dot(found: Found) -> str:
    """Return a lineage as a graph in Graphviz's language."""
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box, fontname=sans];"]
    for thing in found["things"]:
        label = f"{thing['kind']}\\n{_quoted(thing['label'])}"
        mark = ", penwidth=2" if thing["ref"] == found["subject"] else ""
        gone = ", style=dashed" if thing["state"] in ("deleted", "gone") else ""
        lines.append(f'  "{_quoted(thing["ref"])}" [label="{label}"{mark}{gone}];')
    for edge in found["leads"]:
        up, down, how = (_quoted(edge[key]) for key in ("up", "down", "how"))
        lines.append(f'  "{up}" -> "{down}" [label="{how}"];')
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    kept = "".join(max(c, " ") for c in text)
    return kept.replace("\\", "\\\\").replace('"', '\\"')

"""Loops: where they stand, declare, pause, resume, retrain; and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.declaring import declare_loops
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, Parameter(help="The loop's name.")]
Reason = Annotated[str, Parameter(help="Why: it is what others will read.")]


def status(
    loop: Annotated[str | None, Parameter(help="One loop, with its newest decisions.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show where loops stand."""
    with asking(options) as house:
        if loop is None:
            found = house.call("loops.list")
            render.answer(options, found, lambda out: draw_loops(out, found))
            return
        one = house.call("loops.get", name=loop)
        entries = house.call("loops.timeline", name=loop, limit=20)

    def draw(out: Console) -> None:
        draw_loops(out, [one])
        out.print(f"\n{render.plain(one['words'])}\n")
        draw_stopped(out, one)
        draw_decisions(out, [entry["decision"] for entry in entries])

    render.answer(options, one | {"timeline": entries}, draw)


def draw_stopped(out: Console, one: dict[str, Any]) -> None:
    """Print what is on hold and what acts all the same, where there is any."""
    for head, key in (("On hold:", "on_hold"), ("Still acts:", "still_acts")):
        if one[key]:
            out.print(head)
            for line in one[key]:
                out.print(render.plain(f"  {line}"))
            out.print("")


def draw_loops(out: Console, found: list[dict[str, Any]]) -> None:
    """Print loops, a line each."""
    rows = [
        (
            one["name"],
            one["phase"] + _stopped(one),
            f"{one['model']}/{one['champion']}" if one["champion"] else "none",
            one["candidate"] or "",
            one["open_alarms"],
            one["retrainings"],
            (one["last_decision"] or {}).get("reason", ""),
        )
        for one in found
    ]
    columns = ("LOOP", "PHASE", "CHAMPION", "CANDIDATE>", "ALARMS>", "RETRAININGS>", "LAST WORD")
    render.table(
        out, columns, rows, "No loops yet. Declare the project's: mainspring loop declare"
    )


def _stopped(one: dict[str, Any]) -> str:
    if one["paused"]:
        return " (paused)"
    return " (frozen)" if one["frozen_until"] is not None else ""


def declare(
    loop: Annotated[str | None, Parameter(help="Only this one of the project's loops.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Declare the project's loops, or one of them. The same again changes nothing."""
    with asking(options, create=True) as house:
        made = declare_loops(house, loop)
    lines = [f"Loop {name} is declared (version {version})." for name, version in made.items()]
    render.said(options, made, *(lines or ["The project declares no loop."]))


def pause(
    loop: Name,
    /,
    *,
    reason: Reason,
    withdraw: Annotated[
        bool, Parameter(help="Send a challenger in traffic home first.", negative=())
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Stop a loop from acting. It still watches, and a roll-back that must be goes on.

    What waits and what acts all the same is said by: mainspring loop status NAME
    """
    done = call(options, "loops.pause", name=loop, reason=reason, withdraw=withdraw)
    told = f"Loop {loop} is paused"
    told += " and its challenger is being sent home." if withdraw else "."
    render.said(options, done, told, f"What is on hold: mainspring loop status {loop}")


def resume(loop: Name, /, *, reason: Reason, options: Everywhere = HERE) -> None:
    """Let a paused loop act again."""
    done = call(options, "loops.resume", name=loop, reason=reason)
    render.said(options, done, f"Loop {loop} may act again.")


def retrain(
    loop: Name,
    /,
    *,
    reason: Reason,
    key: Annotated[
        str | None, Parameter(help="The same key asks once, however often it is sent.")
    ] = None,
    patient: Annotated[
        bool, Parameter(help="Wait for the cool-down instead of being declined.", negative=())
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Ask a loop for a new version now. Inside its cool-down it declines, and says so."""
    done = call(options, "loops.retrain", name=loop, reason=reason, key=key, patient=patient)
    told = f"Loop {loop} is asked." if done["asked"] else f"Loop {loop} was asked with {key}."
    render.said(options, done, f"{told} See: mainspring loop status {loop}")


def decisions(
    *,
    loop: str | None = None,
    limit: int = 20,
    cursor: str | None = None,
    options: Everywhere = HERE,
) -> None:
    """List what was decided, and why, newest first.

    Parameters
    ----------
    loop
        Only those of one loop.
    limit
        How many at most.
    cursor
        Where the page before ended.
    """
    page = call(options, "decisions.list", loop=loop, limit=limit, cursor=cursor)

    def draw(out: Console) -> None:
        draw_decisions(out, page["decisions"])
        if page["cursor"]:
            out.print(f"More: mainspring decisions --cursor {render.plain(page['cursor'])}")

    render.answer(options, page, draw)


def draw_decisions(out: Console, found: list[dict[str, Any]]) -> None:
    """Print decisions, a line each."""
    rows = [(render.when(d["at"]), d["kind"], d["subject"], d["reason"], d["by"]) for d in found]
    columns = ("AT (UTC)", "DECIDED", "ABOUT", "REASON", "BY")
    render.table(out, columns, rows, "Nothing was decided yet.")

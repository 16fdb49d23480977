"""Rehearse what must work on a bad day."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking

if TYPE_CHECKING:
    from rich.console import Console


def rollback(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    to: Annotated[
        int | None, Parameter(help="A version's number; default: the champion before.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Roll a copy of an endpoint back under load, and forward again, and measure it.

    The copy is a process of its own with the same packages, so nobody is touched. Exit code 1
    if a request failed, or it took more than 5 s. It takes some seconds.
    """
    out = render.console(stderr=True)
    shown = out.status("rehearsing") if out.is_terminal and not options.json else nullcontext()
    with asking(options) as house, shown:
        found: dict[str, Any] = house.call("drills.rollback", endpoint=endpoint, to=to)

    def draw(out: Console) -> None:
        rows = [
            ("requests", f"{found['requests']} ({found['per_second']:.0f} a second)"),
            ("failed", found["failed"]),
            (f"back to {found['model']}/{found['restored']}", _seconds(found["recovery_s"])),
            (f"forward to {found['model']}/{found['withdrawn']}", _seconds(found["return_s"])),
            ("99th percentile", f"{found['p99_ms']:.1f} ms"),
            ("evidence", found["evidence"]["id"]),
        ]
        render.table(out, ("", ""), rows)
        out.print(render.plain(found["evidence"]["found"]))

    render.answer(options, found, draw)
    return 0 if found["evidence"]["passed"] else 1


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"

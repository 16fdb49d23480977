"""List what was tried and measured, or show one piece of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

_MARKS = {True: "ok", False: "bad", None: "-"}


def evidence(
    subject: Annotated[
        str | None,
        Parameter(help="A version (model/7), model:NAME, endpoint:NAME, or the id of one piece."),
    ] = None,
    /,
    *,
    kind: Annotated[str | None, Parameter(help="Only of this kind, such as load.")] = None,
    limit: Annotated[int, Parameter(help="How many at most.")] = 50,
    options: Everywhere = HERE,
) -> None:
    """List what was tried and measured, newest first, or show one piece with its figures."""
    if subject is not None and subject.startswith("ev_"):
        return _show(subject, options)
    found = call(options, "evidence.list", subject=subject, kind=kind, limit=limit)

    def draw(out: Console) -> None:
        if not found:
            out.print("Nothing was tried or measured yet.")
            return
        rows = [
            (
                render.when(one["at"]),
                one["kind"],
                one["subject"],
                _MARKS[one["passed"]],
                one["found"],
                one["id"],
            )
            for one in found
        ]
        render.table(out, ("WHEN", "KIND", "ON", "", "FOUND", "ID"), rows)

    render.answer(options, found, draw)
    return None


def _show(name: str, options: Everywhere) -> None:
    found = call(options, "evidence.get", id=name)

    def draw(out: Console) -> None:
        out.print(render.plain(f"{found['kind']} on {found['subject']}: {found['found']}"))
        how = "by itself" if found["automatic"] else "by hand"
        out.print(render.plain(f"{render.when(found['at'])} by {found['by']}, {how}"))
        rows = [(key, _told(value)) for key, value in found["detail"].items()]
        if rows:
            out.print()
            render.table(out, ("FIGURE", "VALUE"), rows)
        for link in found["opens"]:
            out.print(render.plain(f"open: {link}"))

    render.answer(options, found, draw)


def _told(value: Any) -> Any:
    """Return a figure for a cell; what has parts, as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

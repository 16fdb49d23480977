"""Monitoring: windows of an endpoint's traffic, and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console


def monitor(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    limit: int = 10,
    options: Everywhere = HERE,
) -> None:
    """Show the windows of an endpoint's traffic, and how far the newest drifted.

    Parameters
    ----------
    limit
        How many windows at most.
    """
    windows = call(options, "monitor.windows", endpoint=endpoint, limit=limit)

    def draw(out: Console) -> None:
        render.table(
            out,
            ("WINDOW (UTC)", "ROWS>", "LABELLED>", "VERSION>", "FURTHEST COLUMN", "QUALITY"),
            [_line(window) for window in windows],
            f"No window of {endpoint} is judged yet: traffic is needed until one has passed.",
        )
        if windows and windows[0]["drift"]:
            out.print("\nThe newest window, column by column:")
            rows = [
                tuple(row.get(key) for key in ("column", "distance", "radius", "verdict"))
                for row in windows[0]["drift"]
            ]
            render.table(out, ("COLUMN", "DISTANCE>", "BY CHANCE>", "VERDICT"), rows)

    render.answer(options, windows, draw)


def _line(window: dict[str, Any]) -> tuple[Any, ...]:
    far = max(window["drift"], key=lambda row: row.get("distance") or 0.0, default=None)
    found = window["performance"] or {}
    # Those of single classes are in --json; a line has room for those of the whole.
    metrics = {k: v for k, v in found.get("metrics", found).items() if "/" not in k}
    return (
        f"{render.when(window['start'])[:16]} to {render.when(window['end'])[:16]}",
        window["rows"],
        window["labelled"],
        window["version"],
        f"{far.get('column')} {render.plain(far.get('distance'))}" if far else "",
        render.figures({k: _estimate(v) for k, v in metrics.items()}),
    )


def _estimate(value: Any) -> Any:
    return value.get("estimate", value.get("value")) if isinstance(value, dict) else value


def alarms(
    *,
    endpoint: str | None = None,
    open_: Annotated[
        bool, Parameter(name="--open", negative=(), help="Only those that have not ended.")
    ] = False,
    limit: int = 20,
    options: Everywhere = HERE,
) -> None:
    """List alarms, newest first.

    Parameters
    ----------
    endpoint
        Only those of one endpoint.
    limit
        How many at most.
    """
    found = call(options, "alarms.list", endpoint=endpoint, open=open_ or None, limit=limit)

    def draw(out: Console) -> None:
        rows = [
            (
                render.when(a["raised"]),
                a["endpoint"],
                a["kind"],
                a["subject"],
                a["outcome"] or "open",
                a["reason"],
            )
            for a in found
        ]
        columns = ("RAISED (UTC)", "ENDPOINT", "KIND", "OF", "OUTCOME", "REASON")
        render.table(out, columns, rows, "No alarms.")

    render.answer(options, found, draw)

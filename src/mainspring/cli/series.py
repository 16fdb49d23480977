"""What monitors computed, taken out: as series, and as a dashboard for Grafana."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("monitor", "subject", "start", "end", "version", "rows", "value", "low", "high",
            "baseline", "line", "radius", "smallest", "verdict", "why", "window")  # fmt: skip


def series(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    monitor: Annotated[str | None, Parameter(help="Only one monitor, such as drift.")] = None,
    subject: Annotated[
        str | None, Parameter(help="Only one column, metric, facet or slice.")
    ] = None,
    since: Annotated[
        str | None, Parameter(help="Event time, or how long before the newest window: 7d.")
    ] = None,
    limit: Annotated[int, Parameter(help="How many windows at most.")] = 100,
    as_csv: Annotated[
        bool, Parameter(name="--csv", negative=(), help="Print one line a point, for a table.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Print what monitors computed, window by window: one series a monitor and subject."""
    found = call(
        options,
        "monitor.series",
        endpoint=endpoint,
        monitor=monitor,
        subject=subject,
        since=since,
        limit=limit,
    )
    if as_csv:
        if options.json:
            raise BadInputError("Either --json or --csv, not both.", field="csv")
        _write_csv(found)
        return
    render.answer(options, found, lambda out: _draw(out, found, endpoint))


def _write_csv(found: list[dict[str, Any]]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(_COLUMNS)
    for one in found:
        for point in one["points"]:
            row = {**point, "monitor": one["monitor"], "subject": one["subject"]}
            out.writerow(["" if row[key] is None else row[key] for key in _COLUMNS])


def _draw(out: Console, found: list[dict[str, Any]], endpoint: str) -> None:
    rows = [
        (
            one["monitor"],
            one["subject"],
            len(one["points"]),
            render.when(one["points"][-1]["end"])[:16],
            one["points"][-1]["value"],
            _interval(one["points"][-1]),
            one["points"][-1]["line"],
            one["points"][-1]["verdict"],
        )
        for one in found
    ]
    columns = (
        "MONITOR",
        "OF",
        "POINTS>",
        "NEWEST (UTC)",
        "VALUE>",
        "INTERVAL>",
        "LINE>",
        "VERDICT",
    )
    render.table(out, columns, rows, f"No series of {endpoint} yet: no window of it is judged.")


def _interval(point: dict[str, Any]) -> str:
    if point["low"] is None or point["high"] is None:
        return ""
    return f"{render.plain(point['low'])} to {render.plain(point['high'])}"


def dashboard(
    *,
    endpoint: Annotated[
        str | None, Parameter(help="Shown at first; the others can be chosen in it.")
    ] = None,
    out: Annotated[
        Path | None, Parameter(help="The file to write; without it, it is printed.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Write a Grafana dashboard (JSON) of what /metrics tells, to be imported as it is."""
    from mainspring.web.dashboard import grafana

    if endpoint is not None:  # a name that is wrong is said here, not by an empty chart
        call(options, "monitor.windows", endpoint=endpoint, limit=1)
    text = json.dumps(grafana(endpoint), indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise BadInputError(f"{out} cannot be written: {error.strerror}.", field="out") from error
    render.said(
        options,
        {"file": str(out)},
        f"{out} is written.",
        "In Grafana: Dashboards, New, Import. Let Prometheus scrape /metrics of this server.",
    )

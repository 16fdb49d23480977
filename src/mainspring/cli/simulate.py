"""Ask a table's history when to retrain: replay it through policies, show what each gained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

BARS = "▁▂▃▄▅▆▇█"
WIDEST = 60


def simulate(
    file: Annotated[Path, Parameter(help="A CSV or Parquet file of labelled rows.")],
    /,
    *,
    target: Annotated[str, Parameter(help="The column to be predicted.")],
    time: Annotated[
        str | None, Parameter(help="The column of event time; default: the order of the rows.")
    ] = None,
    policies: Annotated[
        str, Parameter(help="Which to compare, by commas.")
    ] = "static,periodic,loop",
    period: Annotated[
        str | None, Parameter(help="How long a period is, such as 7d; default: from the data.")
    ] = None,
    plot: Annotated[
        Path | None, Parameter(help="Also write a chart to this file: one page, no network.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Ask your history when to retrain. Nothing is kept."""
    from mainspring.retraining.simulate import simulate as replay
    from mainspring.workspace.tables import read

    frame = read(file)
    for field, column in (("target", target), ("time", time)):
        if column is not None and column not in frame.columns:
            raise BadInputError(
                f"{file} has no column {column!r}.",
                field=field,
                hint=f"Its columns: {', '.join(frame.columns[:40])}.",
            )
    with _progress(shown=not options.json) as tell:
        found = replay(
            frame,
            target,
            time,
            policies=[name.strip() for name in policies.split(",") if name.strip()],
            period_s=None if period is None else seconds(period, "period"),
            progress=tell,
        )
    document = msgspec.to_builtins(found) | {"sentence": found.sentence}
    if plot is not None:
        write_plot(plot, document)
    render.answer(options, document, lambda out: _draw(out, document, found.records(), plot))


@contextlib.contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[float, str], None]]:
    if not shown:
        yield lambda _share, _what: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    out = render.console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda share, what: bar.update(task, completed=share, description=what)


def _draw(
    out: Console, found: dict[str, Any], records: list[dict[str, Any]], plot: Path | None
) -> None:
    columns = ["POLICY", *(f"{name.upper()}>" for name in list(records[0])[1:])]
    render.table(out, columns, [list(record.values()) for record in records])
    lines = {p["policy"]: p["quality"] for p in found["policies"]}
    values = [v for line in lines.values() for v in line if v is not None]
    if values:
        low, high = min(values), max(values)
        first, last = found["periods"][0], found["periods"][-1]
        out.print(f"\n{found['metric']} by period, {low:.4g} to {high:.4g}, {first} to {last}:")
        for name, line in lines.items():
            out.print(f"{name:>10} {spark(line, low, high)}")
    out.print()
    out.print(render.plain(found["sentence"]))
    for notice in found["notices"]:
        out.print(render.plain(f"note: {notice}"), style="dim")
    if plot is not None:
        out.print(render.plain(f"chart: {plot}"))


def spark(line: list[float | None], low: float, high: float) -> str:
    """Return a line of figures as bars, at most 60 wide; a gap where there is no figure.

    >>> spark([0.0, 0.5, None, 1.0], 0.0, 1.0)
    '▁▅ █'
    """
    wide = min(len(line), WIDEST)
    out = []
    for place in range(wide):
        part = line[place * len(line) // wide : (place + 1) * len(line) // wide]
        known = [value for value in part if value is not None]
        if not known:
            out.append(" ")
            continue
        share = (sum(known) / len(known) - low) / (high - low) if high > low else 0.5
        out.append(BARS[round(share * (len(BARS) - 1))] if share < 1 else BARS[-1])
    return "".join(out)


def write_plot(file: Path, found: dict[str, Any]) -> None:
    """Write one offline page with a line a policy."""
    import plotly.graph_objects as go

    figure = go.Figure(
        [
            go.Scatter(x=found["periods"], y=p["quality"], name=p["policy"], mode="lines+markers")
            for p in found["policies"]
        ]
    )
    figure.update_layout(title=found["sentence"], yaxis_title=found["metric"])
    try:
        figure.write_html(file, include_plotlyjs=True)
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error}.", field="plot") from error

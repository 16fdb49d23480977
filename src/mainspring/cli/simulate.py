"""Ask history when to retrain: replay it through policies, show what each gained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from mainspring.retraining.outcomes import Simulation

BARS = "▁▂▃▄▅▆▇█"
WIDEST = 60

Target = Annotated[str, Parameter(help="The column to be predicted.")]
Time = Annotated[
    str | None, Parameter(help="The column of event time; default: the order of the rows.")
]
Period = Annotated[
    str | None, Parameter(help="How long a period is, such as 7d; default: from the data.")
]
Delay = Annotated[
    str | None, Parameter(help="How late labels come, such as 3d; default: a window late.")
]
Plot = Annotated[
    Path | None, Parameter(help="Also write a chart to this file: one page, no network.")
]


def simulate(
    file: Annotated[Path, Parameter(help="A CSV or Parquet file of labelled rows.")],
    /,
    *,
    target: Target,
    time: Time = None,
    policies: Annotated[
        str, Parameter(help="Which to compare, by commas.")
    ] = "static,every-period,default",
    period: Period = None,
    delay: Delay = None,
    plot: Plot = None,
    options: Everywhere = HERE,
) -> None:
    """Ask your history when to retrain. Nothing is kept."""
    names = [name.strip() for name in policies.split(",") if name.strip()]
    found = of_file(file, target, time, names, period, delay, shown=not options.json)
    show(options, found, plot)


def of_file(
    file: Path,
    target: str,
    time: str | None,
    policies: Sequence[str],
    period: str | None,
    delay: str | None,
    *,
    shown: bool,
) -> Simulation:
    """Replay a file of rows through policies, under a bar."""
    from mainspring.workspace.replaying.simulating import simulate as replay

    frame = table(file, target, time)
    with under_a_bar(shown=shown) as tell:
        return replay(
            frame,
            target,
            time,
            policies=policies,
            period_s=None if period is None else seconds(period, "period"),
            delay_s=None if delay is None else seconds(delay, "delay"),
            progress=tell,
        )


def table(file: Path, target: str, time: str | None) -> pl.DataFrame:
    """Return the rows of a file that has the columns asked for.

    Raises:
        BadInputError: naming the column that is not there, and those that are.
    """
    from mainspring.workspace.tables import read

    frame = read(file)
    for field, column in (("target", target), ("time", time)):
        if column is not None and column not in frame.columns:
            raise BadInputError(
                f"{file} has no column {column!r}.",
                field=field,
                hint=f"Its columns: {', '.join(frame.columns[:40])}.",
            )
    return frame


def show(options: Everywhere, found: Simulation, plot: Path | None) -> None:
    """Answer with a simulation: one document, or a table, lines and a sentence."""
    document = msgspec.to_builtins(found) | {"sentence": found.sentence}
    if plot is not None:
        write_plot(plot, document)
    render.answer(options, document, lambda out: _draw(out, document, found.records(), plot))


@contextlib.contextmanager
def under_a_bar(*, shown: bool) -> Iterator[Callable[[float, str], None]]:
    """Show how far work has come, told as a share from 0 to 1 and a few words."""
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
        wide = max(len(name) for name in lines)
        out.print(f"\n{found['metric']} by period, {low:.4g} to {high:.4g}, {first} to {last}:")
        for name, line in lines.items():
            out.print(f"{render.plain(name.rjust(wide))} {spark(line, low, high)}")
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
    """Write one offline page: quality by period, and quality against retrainings."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=2,
        cols=1,
        row_heights=[0.6, 0.4],
        subplot_titles=(f"{found['metric']} by period", "loss against retrainings"),
    )
    for place, p in enumerate(found["policies"]):
        figure.add_trace(
            go.Scatter(
                x=found["periods"],
                y=p["quality"],
                name=p["policy"],
                legendgroup=p["policy"],
                mode="lines+markers",
                line={"color": _COLOURS[place % len(_COLOURS)]},
            ),
            row=1,
            col=1,
        )
        figure.add_trace(
            go.Scatter(
                x=[p["retrainings"]],
                y=[p["loss"]],
                name=p["policy"],
                legendgroup=p["policy"],
                text=[p["policy"]],
                textposition="top center",
                mode="markers+text",
                showlegend=False,
                marker={"color": _COLOURS[place % len(_COLOURS)], "size": 10},
            ),
            row=2,
            col=1,
        )
    figure.update_layout(title=found["sentence"], height=800)
    figure.update_xaxes(title="retrainings", row=2, col=1)
    figure.update_yaxes(title="mean loss", row=2, col=1)
    write_page(file, figure)


_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")


def write_page(file: Path, figure: Any) -> None:
    """Write a figure as one page that needs no network.

    Raises:
        BadInputError: if the file cannot be written.
    """
    try:
        figure.write_html(file, include_plotlyjs=True)
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error}.", field="plot") from error

"""``loop simulate`` and ``loop staleness``: put history to policies, and to time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking
from mainspring.cli.simulate import (
    Delay,
    Period,
    Plot,
    Time,
    of_file,
    show,
    spark,
    table,
    under_a_bar,
    write_page,
)
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.retraining.ageing import Staleness

What = Annotated[str, Parameter(help="A loop, or a CSV or Parquet file of labelled rows.")]
Target = Annotated[str | None, Parameter(help="Of a file: the column to be predicted.")]
Policies = Annotated[
    list[str] | None,
    Parameter(
        name="--policy",
        help="A policy: its name, NAME,cooldown=7d or a TOML or JSON file; may be repeated.",
        negative=(),
    ),
]
_FILES = (".csv", ".parquet", ".pq")


def simulate(
    what: What,
    /,
    *,
    policy: Policies = None,
    target: Target = None,
    time: Time = None,
    period: Period = None,
    delay: Delay = None,
    plot: Plot = None,
    options: Everywhere = HERE,
) -> None:
    """Replay history through policies: retrainings, promotions, quality, alarms, cost.

    Policies: static, every-period, monthly, weekly, drift, performance, regret,
    regret-or-performance, default; of a loop also declared. What a loop is asked is kept.
    """
    from mainspring.retraining.outcomes import Simulation

    file = _file(what, target)
    if file is not None:
        usual = ("static", "every-period", "default")
        names = policy or usual
        found = of_file(file, str(target), time, names, period, delay, shown=not options.json)
    else:
        told = {"policies": policy} if policy else {}
        with asking(options) as house, under_a_bar(shown=not options.json) as tell:
            tell(0.0, f"replaying {what}")
            answer = house.call("replays.simulate", name=what, period=period, delay=delay, **told)
        found = msgspec.convert(answer, Simulation)
    show(options, found, plot)


def staleness(
    what: What,
    /,
    *,
    target: Target = None,
    time: Time = None,
    period: Period = None,
    cost: Annotated[float | None, Parameter(help="Of one retraining.")] = None,
    value_per_loss: Annotated[
        float | None, Parameter(help="Worth of one unit of loss on one row, in the same unit.")
    ] = None,
    tolerance: Annotated[
        float | None, Parameter(help="Rise of the mean loss that is borne; default 0.01.")
    ] = None,
    plot: Plot = None,
    options: Everywhere = HERE,
) -> None:
    """Train at one time, score at later ones: how fast models age, and which cadence pays.

    What a loop is asked is kept as evidence of its model.
    """
    from mainspring.retraining.ageing import Staleness, staleness
    from mainspring.retraining.table import prepare

    file = _file(what, target)
    given = {"cost": cost, "value_per_loss": value_per_loss, "tolerance": tolerance}
    told: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with under_a_bar(shown=not options.json) as tell:
        if file is None:
            tell(0.0, f"replaying {what}")
            with asking(options) as house:
                answer = house.call("replays.age", name=what, period=period, **told)
            found = msgspec.convert(answer, Staleness)
        else:
            length = None if period is None else seconds(period, "period")
            rows = table(file, str(target), time)
            stream = prepare(rows, str(target), time, None, length)
            found = staleness(stream, progress=tell, **told)
    if plot is not None:
        _write_plot(plot, found)
    render.answer(options, msgspec.to_builtins(found), lambda out: _draw(out, found, plot))


def _file(what: str, target: str | None) -> Path | None:
    """Return the file that is meant, None where a loop is.

    Raises:
        BadInputError: if a file is given without a target, or a loop with one.
    """
    path = Path(what)
    if path.suffix.lower() not in _FILES and not path.is_file():
        if target is not None:
            raise BadInputError(
                f"{what} is no file; a loop knows its own target.",
                field="target",
                hint="Leave --target away, or name a CSV or Parquet file.",
            )
        return None
    if target is None:
        raise BadInputError(
            f"{what} is a file: which of its columns is to be predicted?",
            field="target",
            hint="Name it with --target.",
        )
    return path


def _draw(out: Console, found: Staleness, plot: Path | None) -> None:
    ages = [(a.days, a.rise, a.low, a.high, a.n) for a in found.ages]
    columns = ("AGE (DAYS)>", "LOSS ABOVE A YOUNG MODEL>", "LOW>", "HIGH>", "PERIODS>")
    render.table(out, columns, ages, "There are too few periods to tell an age.")
    if found.ages:
        line: list[float | None] = [a.rise for a in found.ages]
        out.print(f"\nrise by age: {spark(line, min(0.0, *_known(line)), max(_known(line)))}")
    if found.cost > 0 and found.cadences:
        out.print()
        rows = [(c.periods, c.rise, c.lost, c.cost, c.total) for c in found.cadences]
        heads = ("RETRAIN EVERY>", "MEAN RISE>", "LOST A PERIOD>", "COST A PERIOD>", "TOGETHER>")
        render.table(out, heads, rows)
    out.print()
    out.print(render.plain(found.found))
    out.print(render.plain(_advice(found)))
    for notice in found.notices:
        out.print(render.plain(f"note: {notice}"), style="dim")
    if plot is not None:
        out.print(render.plain(f"chart: {plot}"))


def _known(line: list[float | None]) -> list[float]:
    return [value for value in line if value is not None]


def _advice(found: Staleness) -> str:
    days = found.period_s / 86_400
    if not found.rises:
        return "No maximum age is suggested."
    told = []
    if found.limit_days is not None:
        told.append(f"Suggested: max_age={found.limit_days:.3g}d")
    if found.cost > 0 and found.best_periods is not None:
        by_line = "" if found.best_days is None else f" (by the line {found.best_days:.3g} days)"
        told.append(f"retraining pays every {found.best_periods * days:.3g} days{by_line}")
    elif found.cost == 0:
        told.append("with a --cost of one retraining it is said which cadence pays")
    return "; ".join(told) + "."


def _write_plot(file: Path, found: Staleness) -> None:
    import plotly.graph_objects as go

    days: Any = [age.days for age in found.ages]
    figure = go.Figure(
        [
            go.Scatter(x=days, y=[a.high for a in found.ages], line={"width": 0}, name="high"),
            go.Scatter(
                x=days,
                y=[a.low for a in found.ages],
                line={"width": 0},
                fill="tonexty",
                name="95 % interval",
            ),
            go.Scatter(x=days, y=[a.rise for a in found.ages], name="rise", mode="lines+markers"),
        ]
    )
    figure.add_hline(y=found.tolerance, line_dash="dash")
    figure.update_layout(
        title=found.found, xaxis_title="age in days", yaxis_title="loss above a young model"
    )
    write_page(file, figure)

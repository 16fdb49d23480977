"""Compare two tables: what moved, how far, and whether it is certain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.workspace.reports.comparing import Beside, ColumnBeside, Step
    from mainspring.workspace.reports.comparison import DataComparison

_WHY = 90  # letters of a reason in a table


def compare_data(
    a: Annotated[Path, Parameter(help="The baseline: CSV, JSON lines or Parquet.")],
    b: Annotated[Path, Parameter(help="What is compared with it.")],
    /,
    *,
    report: Path | None = None,
    markdown: Path | None = None,
    alpha: float = 0.001,
    material: float = 0.05,
    min_rows: int = 100,
    options: Everywhere = HERE,
) -> None:
    """Compare two tables column by column: what moved, and is it certain?

    The files are read here, also where --url is given: no home and no server is needed.

    Parameters
    ----------
    report
        Write all of it as one HTML file that works without a network.
    markdown
        Write all of it as Markdown.
    alpha
        The chance of a false alarm in a comparison, however many columns there are.
    material
        The distance below which a certain shift does not matter.
    min_rows
        Fewer values than that on a side are described, and not judged.
    """
    from mainspring.workspace.reports.comparison import compare_data as compared

    with _bar(options) as step:
        shown = compared(a, b, alpha=alpha, material=material, min_rows=min_rows, step=step)
        written = [str(shown.to_html(report))] if report is not None else []
        if markdown is not None:
            shown.to_markdown(markdown)
            written.append(str(markdown))
    render.answer(options, shown.to_dict(), lambda out: draw(out, shown, written))


def draw(out: Console, shown: DataComparison, written: list[str]) -> None:
    """Print a comparison: what differs first, then what could not be judged."""
    found = shown.found
    out.print(render.plain(shown.headline))
    out.print(f"{_side(found.before, found.before_rows)}; {_side(found.now, found.now_rows)}\n")
    columns = ("COLUMN", "VERDICT", "DISTANCE>", "BY CHANCE>", "WHY")
    render.table(out, columns, [_line(one) for one in found.columns])
    _correlations(out, found)
    for path in written:
        out.print(f"Written: {render.plain(path)}")


def _side(name: str, rows: int) -> str:
    return f"{render.plain(name)}: {rows:,} rows"


def _line(one: ColumnBeside) -> tuple[str | float | None, ...]:
    why = one.why[0] if one.why else ""
    return (
        one.name,
        one.verdict,
        None if one.drift is None or one.drift.value is None else round(one.drift.value, 3),
        None if one.drift is None or one.drift.radius is None else round(one.drift.radius, 3),
        why if len(why) <= _WHY else f"{why[: _WHY - 3]}...",
    )


def _correlations(out: Console, found: Beside) -> None:
    if not found.correlations:
        return
    out.print("\nColumns that move together otherwise:")
    rows = [(one.first, one.second, one.before, one.now) for one in found.correlations]
    render.table(out, ("ONE", "OTHER", "BEFORE>", "NOW>"), rows)


@contextmanager
def _bar(options: Everywhere) -> Iterator[Step]:
    """Show how many columns are done, where a person is looking on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    out = render.console(stderr=True)
    shown = (TextColumn("Columns"), BarColumn(), MofNCompleteColumn())
    off = options.json or not out.is_terminal
    with Progress(*shown, console=out, transient=True, disable=off) as bar:
        task = bar.add_task("Columns", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def report(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    out: Path | None = None,
    markdown: Path | None = None,
    window: str | None = None,
    options: Everywhere = HERE,
) -> None:
    """Report a window of an endpoint beside its baseline, column by column.

    Parameters
    ----------
    out
        Write all of it as one HTML file that works without a network.
    markdown
        Write all of it as Markdown.
    window
        The window's id, as --json of monitor lists them; the newest without it.
    """
    import msgspec

    from mainspring.workspace.reports.comparing import Beside
    from mainspring.workspace.reports.comparison import DataComparison

    told = call(options, "reports.window", endpoint=endpoint, window=window)
    shown = DataComparison(msgspec.convert(told["found"], Beside), title=told["title"])
    written = [str(shown.to_html(out))] if out is not None else []
    if markdown is not None:
        shown.to_markdown(markdown)
        written.append(str(markdown))
    render.answer(options, shown.to_dict(), lambda to: draw(to, shown, written))

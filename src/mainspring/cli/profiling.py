"""Profile a table: the statistics of every column, in one pass and bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call, settings_of
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.ground.profiles import ColumnProfile, Profile
    from mainspring.monitoring.streams import Progress

_SHOWN = 40  #: columns of a table that people read
_PAIRS = 5


def profile(
    data: Annotated[
        str,
        Parameter(help="A file (CSV, JSON lines, Parquet), or a dataset that a run logged."),
    ],
    /,
    *,
    save: Annotated[
        str | None, Parameter(help="Keep it, with a dataset of this name, by a run of its own.")
    ] = None,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Write the profile to this file.")
    ] = None,
    sagemaker: Annotated[
        Path | None,
        Parameter(help="Write SageMaker Model Monitor's statistics and constraints here."),
    ] = None,
    report: Annotated[
        Path | None, Parameter(help="Write all of it as one HTML file that needs no network.")
    ] = None,
    markdown: Annotated[Path | None, Parameter(help="Write all of it as Markdown.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Show the statistics of every column of a table, of any size.

    A dataset is named as it was logged: NAME for its newest profile, NAME@DIGEST for that of
    some content. Where a figure is not exact its error is stated.
    """
    file = Path(data).expanduser()
    if file.is_file() or file.suffix:
        found, kept = _of_file(file, save, options)
    else:
        if save is not None:
            raise BadInputError("--save takes a file; a dataset is kept already.", field="save")
        name, _, digest = data.partition("@")
        asked = {"name": name} | ({"digest": digest} if digest else {})
        kept = call(options, "datasets.profile", **asked)
        found = _read(kept.pop("profile"))
    if output is not None:
        from mainspring.workspace.profiling import encode

        output.write_bytes(encode(found))
    if sagemaker is not None:
        from mainspring.workspace.contracts import write_sagemaker

        write_sagemaker(sagemaker, found)
    if report is not None or markdown is not None:
        from mainspring.workspace.reports import of_profile, writing

        writing.write(of_profile.report(found, file.name), report, markdown)
    document = kept | msgspec.to_builtins(found)
    render.answer(options, document, lambda out: _draw(out, found, kept))


@contextlib.contextmanager
def progress(what: str, *, shown: bool) -> Iterator[Progress]:
    """Show how far a table has been read; a pipe and ``--json`` show nothing."""
    if not shown:
        yield lambda _done, _of: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    rows = TextColumn("{task.completed:,.0f} rows")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), rows)
    out = render.console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _of_file(file: Path, save: str | None, options: Everywhere) -> tuple[Profile, dict[str, Any]]:
    from mainspring.workspace import profiling

    with progress(f"reading {file.name}", shown=not options.json) as tell:
        found = profiling.profile(file, progress=tell)
    if save is None:
        return found, {}
    from mainspring.workspace.datasets import save as keep

    return found, keep(file, save, found, settings_of(options))


def _read(kept: Any) -> Profile:
    from mainspring.workspace.profiling import decode

    return decode(msgspec.json.encode(kept), "The answer")


def _draw(out: Console, found: Profile, kept: dict[str, Any]) -> None:
    out.print(f"{found.rows:,} rows, {len(found.columns)} columns")
    heads = ("COLUMN", "KIND", "MISSING>", "DIFFERENT>", "LOW>", "MEDIAN>", "HIGH>", "MEAN>",
             "SD>", "MOST FREQUENT")  # fmt: skip
    out.print()
    render.table(out, heads, [_cells(column) for column in found.columns[:_SHOWN]])
    if len(found.columns) > _SHOWN:
        out.print(f"and {len(found.columns) - _SHOWN} more columns; --json shows all of them")
    for line in _notes(found, kept):
        out.print(render.plain(line))


def _cells(column: ColumnProfile) -> tuple[Any, ...]:
    here = column.rows - column.missing
    missing = f"{100 * column.missing / column.rows:.3g} %" if column.rows else ""
    different = ""
    if column.distinct is not None:
        about = "~" if column.distinct_error else ""
        different = f"{about}{column.distinct:,.0f}"
    if column.kind == "Time":
        middle = column.quantiles.get("0.5")
        return (column.name, column.kind, missing, different, render.when(column.low),
                render.when(middle), render.when(column.high), "", "", "")  # fmt: skip
    often = sorted(column.categories.items(), key=lambda pair: -pair[1])[:2]
    shown = ", ".join(f"{name[:20]} {100 * n / here:.2g} %" for name, n in often) if here else ""
    kind = column.kind if not column.wrong else f"{column.kind} (not {column.wrong:,})"
    return (column.name, kind, missing, different, column.low, column.quantiles.get("0.5"),
            column.high, column.mean, column.std, shown)  # fmt: skip


def _notes(found: Profile, kept: dict[str, Any]) -> Iterator[str]:
    rank = max((column.rank_error for column in found.columns), default=0.0)
    about = max((column.distinct_error for column in found.columns), default=0.0)
    if rank:
        yield f"\nQuantiles are exact to {rank:.2g} of the rows."
    if about:
        yield f"Numbers with ~ have a standard error of {100 * about:.2g} %."
    if found.keys:
        yield f"No value was seen twice in: {', '.join(found.keys[:10])}."
    pairs = _strongest(found)
    if pairs:
        told = ", ".join(f"{a} and {b} {value:+.2f}" for value, a, b in pairs)
        yield f"Strongest correlations: {told}."
    if kept:
        yield f"Kept with dataset {kept['name']}@{kept['digest'][:12]} by run {kept['run']}."


def _strongest(found: Profile) -> list[tuple[float, str, str]]:
    told = found.correlations
    if told is None:
        return []
    pairs = [
        (value, told.columns[row], told.columns[column])
        for row, cells in enumerate(told.matrix)
        for column, value in enumerate(cells[:row])
        if value is not None and abs(value) >= 0.3
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[0]))[:_PAIRS]

"""Datasets that runs read: list them, and show one with its columns and how it came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

_SHORT = 12


def listed(
    *,
    limit: Annotated[int, Parameter(help="How many at most.")] = 50,
    options: Everywhere = HERE,
) -> None:
    """List the datasets that runs read, by name, the newest first."""
    found = call(options, "datasets.list", limit=limit)

    def draw(out: Console) -> None:
        rows = [
            (one["name"], one["versions"], one["digest"][:_SHORT], render.when(one["created"]))
            for one in found
        ]
        columns = ("DATASET", "VERSIONS>", "NEWEST", "SINCE (UTC)")
        render.table(out, columns, rows, "No dataset yet: run.log_dataset(rows, NAME)")

    render.answer(options, found, draw)


def show(
    name: Annotated[str, Parameter(help="NAME, or NAME@DIGEST with the first digits of one.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show a dataset: who read it, its columns, and for a loop's rows how they came about."""
    called, _, digest = name.partition("@")
    found = call(options, "datasets.show", name=called, digest=digest or None)

    def draw(out: Console) -> None:
        out.print(render.plain(f"{found['name']}@{found['digest'][:_SHORT]}"))
        if found["training_set"] is not None:
            _draw_training_set(out, found["training_set"])
        elif found["source"]:
            out.print(render.plain(f"from {found['source_type']}: {found['source']}"))
        rows = [(one["run"], one["context"], ", ".join(one["versions"])) for one in
                found["read_by"]]  # fmt: skip
        out.print()
        render.table(out, ("RUN", "AS", "MADE"), rows)
        if found["profile"] is not None:
            out.print()
            _draw_columns(out, found["profile"])
        if found["others"]:
            others = ", ".join(one[:_SHORT] for one in found["others"][:10])
            out.print(render.plain(f"other versions: {others}"))

    render.answer(options, found, draw)


def _draw_training_set(out: Console, told: dict[str, Any]) -> None:
    sources = ", ".join(f"{count:,} {name}" for name, count in told["rows_by_source"].items())
    lines = [f"{told['rows']:,} rows ({sources}), as known at {render.when(told['moment'])} UTC"]
    if told["start"] is not None:
        lines.append(f"from {render.when(told['start'])} to {render.when(told['end'])} UTC")
    lines.append(f"{told['fresh_rows']:,} later rows kept for the gate: {told['fresh'][:_SHORT]}")
    if told["labels_later"]:
        lines.append(f"{told['labels_later']:,} labels came too late for it")
    lines += [f"left out: {count:,} {why}" for why, count in told["left_out"].items()]
    if told["window"] is not None:
        lines.append(f"window: {told['window']['found']}")
    for leak in told["leaks"]:
        lines.append(f"{'leak' if leak['sure'] else 'look'}: {leak['found']}")
    if told["feedback"] is not None:
        lines.append(f"feedback: {told['feedback']['warning'] or told['feedback']['found']}")
    for line in lines:
        out.print(render.plain(line))


def _draw_columns(out: Console, profile: dict[str, Any]) -> None:
    rows = [
        (one["name"], one["kind"], one["missing"], one["distinct"], one["low"], one["high"])
        for one in profile["columns"]
    ]
    render.table(out, ("COLUMN", "KIND", "MISSING>", "DISTINCT>", "LOW>", "HIGH>"), rows)

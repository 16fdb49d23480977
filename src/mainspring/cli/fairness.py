"""Bias and attributions of a version; age and training-serving skew of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

VersionRef = Annotated[str, Parameter(help="A version, as MODEL/NUMBER.")]
Endpoint = Annotated[str, Parameter(help="The endpoint's name.")]


def bias(
    version: VersionRef,
    /,
    *,
    facet: Annotated[
        str | None, Parameter(help="The column whose groups are compared; default: as declared.")
    ] = None,
    disadvantaged: Annotated[
        str, Parameter(help="Values of the disadvantaged group, parted by commas.")
    ] = "",
    below: Annotated[float | None, Parameter(help="Of a number: they are the rows below.")] = None,
    above: Annotated[float | None, Parameter(help="Of a number: they are the rows above.")] = None,
    positive: Annotated[str | None, Parameter(help="The class that is good to get.")] = None,
    positive_above: Annotated[
        float | None, Parameter(help="Of a regression: values above are good to get.")
    ] = None,
    group: Annotated[
        str | None, Parameter(help="A column within whose values disparity is measured too.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Measure how a version treats groups, on the rows it was measured on, before it serves."""
    model, number = reference(version)
    facets = []
    if facet is not None:
        facets = [
            {
                "column": facet,
                "disadvantaged": [one for one in disadvantaged.split(",") if one],
                "below": below,
                "above": above,
                "positive": positive,
                "positive_above": positive_above,
                "group": group,
            }
        ]
    found = call(options, "bias.report", model=model, number=number, facets=facets)

    def draw(out: Console) -> None:
        rows = [
            (
                one["subject"],
                _figure(one["value"]),
                _figure(one["low"]),
                _figure(one["high"]),
                one["verdict"],
                one["why"],
            )
            for one in found
        ]
        render.table(out, ("FIGURE", "VALUE>", "FROM>", "TO>", "VERDICT", ""), rows)

    render.answer(options, found, draw)


def attribution(version: VersionRef, /, *, options: Everywhere = HERE) -> None:
    """Show what a version listens to: the share of its response that each column carries."""
    model, number = reference(version)
    found = call(options, "attribution.report", model=model, number=number)

    def draw(out: Console) -> None:
        rows = [(one["column"], f"{one['share']:.1%}", one["type"]) for one in found["shares"]]
        render.table(out, ("COLUMN", "SHARE>", "TYPE"), rows, "It has no columns.")
        out.print(render.plain(f"By {found['method']}; measured at training."))

    render.answer(options, found, draw)


def age(endpoint: Endpoint, /, *, options: Everywhere = HERE) -> None:
    """Show how old an endpoint's champion is, and how models here grow stale."""
    found = call(options, "age.report", endpoint=endpoint)

    def draw(out: Console) -> None:
        out.print(render.plain(f"{found['model']}/{found['version']}: {found['found']['why']}"))
        rows = [
            (
                one["window"],
                one["version"],
                f"{one['age_days']:.3g}",
                f"{one['rise']:+.4f}",
                one["rows"],
            )
            for one in found["points"]
        ]
        columns = ("WINDOW", "VERSION>", "AGE (DAYS)>", "RISE OF LOSS>", "ROWS>")
        render.table(out, columns, rows, "No window has mature labels yet.")

    render.answer(options, found, draw)


def skew(
    endpoint: Endpoint,
    /,
    *,
    against: Annotated[
        str | None, Parameter(help="Source rows: a CSV, Parquet or JSON file, or JSON itself.")
    ] = None,
    key: Annotated[str | None, Parameter(help="The column that both sides share.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Compare the newest captured rows with the training path, or with where they came from."""
    from mainspring.cli.serving import read_rows

    source: list[dict[str, Any]] | None = None if against is None else read_rows(against)
    found = call(options, "skew.report", endpoint=endpoint, source=source, key=key)

    def draw(out: Console) -> None:
        rows = [
            (one["subject"], one["rows"], one["detail"].get("differ"), one["verdict"], one["why"])
            for one in found["found"]
        ]
        render.table(out, ("OF", "ROWS>", "DIFFER>", "VERDICT", ""), rows)
        if found["unmatched"]:
            told = f"{found['unmatched']:,} captured rows have no row in the source."
            out.print(render.plain(told))

    render.answer(options, found, draw)


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:.4f}"

"""Show how much a version can answer: a table of steps, and what to set."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mainspring.cli import render
from mainspring.cli.models import reference
from mainspring.cli.options import Everywhere
from mainspring.cli.remote import asking
from mainspring.cli.scores import MOST, spark

if TYPE_CHECKING:
    from rich.console import Console


def find(version: str, rate: float | None, p99_ms: float | None, options: Everywhere) -> int:
    """Find the capacity of a version and show it; exit code 1 if a request failed."""
    model, number = reference(version)
    asked = {"rate": rate, "p99_ms": p99_ms}
    wanted = {name: value for name, value in asked.items() if value is not None}
    out = render.console(stderr=True)
    words = "asking from 1 to 256 connections, then at rates, then many rows at once"
    shown = out.status(words) if out.is_terminal and not options.json else nullcontext()
    with asking(options) as house, shown:
        found: dict[str, Any] = house.call(
            "drills.capacity", model=model, number=number, asked=wanted
        )
    render.answer(options, found, lambda out: _draw(out, found))
    return 0 if found["passed"] else 1


def _draw(out: Console, evidence: dict[str, Any]) -> None:
    found = evidence["detail"]["capacity"]
    if not found["why"]:
        steps = [*found["closed"], *found["opened"]]
        columns = ("LOAD", "ANSWERED A SECOND>", "P50 MS>", "P99 MS>", "CPU US>", "REFUSED>")
        render.table(out, columns, [_row(one) for one in steps])
        out.print()
        for name, key in (("answered", "rps"), ("p99", "p99_ms")):
            top = max(one[key] for one in found["closed"]) or 1.0
            line = spark([MOST * one[key] / top for one in found["closed"]])
            out.print(render.plain(f"{name:<9} {line}  by connections"))
        out.print()
        batches = [
            (b["rows"], f"{b['ms']:.3g}", f"{b['rows_per_s']:,.0f}") for b in found["batches"]
        ]
        render.table(out, ("ROWS AT ONCE>", "MS>", "ROWS A SECOND>"), batches)
        out.print()
    out.print(render.plain(evidence["found"]))
    if not found["why"]:
        workers = "" if found["workers"] is None else f"--workers {found['workers']} "
        out.print(
            render.plain(
                f"To set it: mainspring endpoint set NAME {workers}"
                f"--in-flight {found['in_flight']:g} --batch-rows {found['batch_rows']}"
            )
        )
    out.print(render.plain(f"evidence {evidence['id']}"))


def _row(step: dict[str, Any]) -> tuple[str, ...]:
    load = f"{step['connections']} connections"
    if step["rate"] is not None:
        load = f"{step['rate']:,.0f} a second"
    cpu = "" if step["cpu_us"] is None else f"{step['cpu_us']:.0f}"
    figures = (f"{step['rps']:,.0f}", f"{step['p50_ms']:.3g}", f"{step['p99_ms']:.3g}", cpu)
    return (load, *figures, str(step["refused"] or ""))

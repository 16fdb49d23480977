"""Explain how an endpoint batches: sizes, waits, reasons, and what its models cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console


def explain(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Say how an endpoint batches requests: where it scores, how large batches are, and why."""
    found = call(options, "endpoints.batching", name=endpoint)

    def draw(out: Console) -> None:
        render.table(
            out,
            ("VERSIONS", "SCORED", "BECAUSE", "BATCHES>", "CALL MS>", "ROW MS>", "MOST ROWS>"),
            [
                (
                    ", ".join(map(str, plan["versions"])),
                    "in the event loop" if plan["inline"] else "in threads",
                    plan["why"],
                    *(plan[key] for key in ("batches", "call_ms", "row_ms", "most_rows")),
                )
                for plan in found["plans"]
            ],
            "No request was scored yet.",
        )
        if found["lone"]:
            out.print(f"{found['lone']} requests were scored alone, at once")
        if found["sizes"]:
            out.print()
            render.table(out, ("REQUESTS A BATCH>", "BATCHES>"), list(found["sizes"].items()))
        closed = [(why, count) for why, count in found["closed"].items() if count]
        if closed:
            out.print()
            render.table(out, ("A BATCH WAS NOT LARGER FOR", "BATCHES>"), closed)
        out.print()
        render.table(out, ("NOW AND SO FAR", ">"), _figures(found))

    render.answer(options, found, draw)


def _figures(found: dict[str, Any]) -> list[tuple[str, Any]]:
    limits = found["limits"]
    return [
        ("waited for a thread, half of the requests, ms", found["wait_p50_ms"]),
        ("waited for a thread, 99 of 100, ms", found["wait_p99_ms"]),
        ("requests that wait now", f"{found['waiting']} of at most {limits['queue']}"),
        ("requests that are scored now", found["running"]),
        ("threads that score now", f"{found['threads_busy']} of {found['threads']}"),
        ("threads that hang", found["hung"]),
        ("refused at once", found["refused"]),
        ("not scored, for the client had left", found["cancelled"]),
        ("given up while they were scored", found["late"]),
        ("rows that are scored at once, at most", limits["batch_rows"]),
    ]

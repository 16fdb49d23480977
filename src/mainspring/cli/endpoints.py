"""Endpoints: how each is served, by which workers, and how to change that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call
from mainspring.cli.serving import Endpoint, workers_of
from mainspring.ground.durations import seconds, spoken

if TYPE_CHECKING:
    from rich.console import Console

Workers = Annotated[str | None, Parameter(help="How many processes, such as 2, or 0..4 by load.")]
InFlight = Annotated[
    float | None, Parameter(help="Requests under way that each worker should have.")
]
LatencyMs = Annotated[
    float | None, Parameter(help="What p95 should stay below; 0: in flight alone counts.")
]
OutAfter = Annotated[str | None, Parameter(help="Between two steps to more workers, such as 2s.")]
InAfter = Annotated[
    str | None, Parameter(help="Fewer must have been enough for so long, such as 1m.")
]
Idle = Annotated[
    str | None, Parameter(help="Without a request until the last worker ends, such as 5m.")
]
Queue = Annotated[int | None, Parameter(help="Requests that may wait for a turn.")]
DeadlineMs = Annotated[
    float | None, Parameter(help="Who cannot have a turn within it is refused.")
]
TimeoutMs = Annotated[float | None, Parameter(help="A scoring that takes longer is given up.")]
PerClient = Annotated[int | None, Parameter(help="Requests under way of one caller; 0: no limit.")]
BatchRows = Annotated[int | None, Parameter(help="Rows that are scored at once, at most.")]
MemoryMb = Annotated[int | None, Parameter(help="Memory of a model's own process; 0: no limit.")]
CaptureShare = Annotated[
    float | None, Parameter(help="Share of the rows that are recorded, 0 to 1.")
]
Grpc = Annotated[int | None, Parameter(help="Port for the inference protocol over gRPC; 0: none.")]
Place = Annotated[
    Literal["own", "shared"] | None, Parameter(help="Processes of its own, or one with others.")
]


def show(endpoint: Endpoint, /, *, options: Everywhere = HERE) -> None:
    """Show an endpoint: where it answers, its workers, why they are so many, its options."""
    with asking(options) as house:
        found: dict[str, Any] = house.call("endpoints.get", name=endpoint)
        found["options"] = house.call("endpoints.options", name=endpoint)
    render.answer(options, found, lambda out: _draw(out, found))


def set_(
    endpoint: Endpoint,
    /,
    *,
    workers: Workers = None,
    in_flight: InFlight = None,
    latency_ms: LatencyMs = None,
    out_after: OutAfter = None,
    in_after: InAfter = None,
    idle: Idle = None,
    queue: Queue = None,
    deadline_ms: DeadlineMs = None,
    timeout_ms: TimeoutMs = None,
    per_client: PerClient = None,
    batch_rows: BatchRows = None,
    memory_mb: MemoryMb = None,
    capture_share: CaptureShare = None,
    grpc: Grpc = None,
    place: Place = None,
    options: Everywhere = HERE,
) -> None:
    """Change how an endpoint is served, while it serves. What is not named stays as it is."""
    asked: dict[str, Any] = {
        **({} if workers is None else workers_of(workers)),
        "in_flight": in_flight,
        "latency_ms": latency_ms,
        "out_after_s": None if out_after is None else seconds(out_after, "out_after"),
        "in_after_s": None if in_after is None else seconds(in_after, "in_after"),
        "idle_s": None if idle is None else seconds(idle, "idle"),
        "queue": queue,
        "deadline_ms": deadline_ms,
        "timeout_ms": timeout_ms,
        "per_client": per_client,
        "batch_rows": batch_rows,
        "memory_mb": memory_mb,
        "capture_share": capture_share,
        "grpc": grpc,
        "place": place,
    }
    changes = {field: value for field, value in asked.items() if value is not None}
    found = call(options, "endpoints.configure", name=endpoint, **changes)
    render.answer(options, found, lambda out: _draw_options(out, found))


def _draw(out: Console, found: dict[str, Any]) -> None:
    routing = found["routing"]
    out.print(render.plain(f"{found['name']}  {found['state']}  {found['url'] or ''}"))
    out.print(render.plain(f"serves {found['model']}/{routing['champion'] or 'nothing yet'}"))
    if found["workers_wanted"] is not None:
        out.print(f"{len(found['workers'])} workers, {found['workers_wanted']} wanted")
        render.table(
            out,
            ("PID>", "REQUESTS>", "IN FLIGHT>", "CONNECTIONS>", "MEMORY MB>", "CPU>", "LATE MS>"),
            [
                (
                    one["pid"],
                    one["requests"],
                    one["in_flight"],
                    one["connections"],
                    *(
                        "" if one[k] is None else f"{one[k]:g}"
                        for k in ("rss_mb", "cpu", "lag_ms")
                    ),
                )
                for one in found["workers"]
            ],
            "No worker runs: the next request starts one.",
        )
        rows = [
            (render.when(c["at"]), f"{c['before']} -> {c['after']}", c["why"])
            for c in found["workers_changes"][-5:]
        ]
        if rows:
            out.print()
            render.table(out, ("WHEN", "WORKERS", "WHY"), rows)
    out.print()
    _draw_options(out, found["options"])


def _draw_options(out: Console, options: dict[str, Any]) -> None:
    scaling, limits = options["scaling"], options["limits"]
    bounds = (scaling["fewest"], scaling["most"])
    rows: list[tuple[str, Any]] = [("place", options["place"])]
    if options["place"] == "own":
        rows += [
            ("workers", f"{bounds[0]}" if bounds[0] == bounds[1] else f"{bounds[0]}..{bounds[1]}"),
            ("in flight, each", f"{scaling['in_flight']:g}"),
            ("p95 below", _or_none(scaling["latency_ms"], "ms")),
            ("more after", spoken(scaling["out_after_s"])),
            ("fewer after", spoken(scaling["in_after_s"])),
            ("none after", spoken(scaling["idle_s"]) if bounds[0] == 0 else "never"),
        ]
    rows += [
        ("queue", limits["queue"]),
        ("deadline", f"{limits['deadline_ms']:g} ms"),
        ("timeout", f"{limits['timeout_ms']:g} ms"),
        ("per client", _or_none(limits["per_client"], "requests")),
        ("batch", f"{limits['batch_rows']} rows"),
        ("memory", _or_none(limits["memory_mb"], "MB")),
        ("captured", f"{100 * options['capture_share']:g} %"),
        ("gRPC port", options.get("grpc") or "none"),
    ]
    render.table(out, ("OPTION", "VALUE"), rows)


def _or_none(value: float | None, unit: str) -> str:
    return "no limit" if value is None else f"{value:g} {unit}"

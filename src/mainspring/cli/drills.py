"""Rehearse what must work on a bad day, and follow a prediction to its score."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import VersionRef, reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking

if TYPE_CHECKING:
    from rich.console import Console


def rollback(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    /,
    *,
    to: Annotated[
        int | None, Parameter(help="A version's number; default: the champion before.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Roll a copy of an endpoint back under load, and forward again, and measure it.

    The copy is a process of its own with the same packages, so nobody is touched. Exit code 1
    if a request failed, or it took more than 5 s. It takes some seconds.
    """
    out = render.console(stderr=True)
    shown = out.status("rehearsing") if out.is_terminal and not options.json else nullcontext()
    with asking(options) as house, shown:
        found: dict[str, Any] = house.call("drills.rollback", endpoint=endpoint, to=to)

    def draw(out: Console) -> None:
        rows = [
            ("requests", f"{found['requests']} ({found['per_second']:.0f} a second)"),
            ("failed", found["failed"]),
            (f"back to {found['model']}/{found['restored']}", _seconds(found["recovery_s"])),
            (f"forward to {found['model']}/{found['withdrawn']}", _seconds(found["return_s"])),
            ("99th percentile", f"{found['p99_ms']:.1f} ms"),
            ("evidence", found["evidence"]["id"]),
        ]
        render.table(out, ("", ""), rows)
        out.print(render.plain(found["evidence"]["found"]))

    render.answer(options, found, draw)
    return 0 if found["evidence"]["passed"] else 1


def load_test(
    version: VersionRef,
    /,
    *,
    limit: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="max_p99_ms, max_p95_ms, max_memory_mb, max_cold_start_s or least_rps, such as"
            " max_p99_ms=20. [default: those of the model's gate]",
        ),
    ] = None,
    requests: Annotated[int, Parameter(help="In each round, of one row.")] = 200,
    connections: Annotated[int, Parameter(help="That ask at once.")] = 4,
    rounds: Annotated[int, Parameter(help="The calmest counts.")] = 3,
    capacity: Annotated[
        bool, Parameter(negative=(), help="Find how much one worker answers instead.")
    ] = False,
    rate: Annotated[
        float | None, Parameter(help="With --capacity: requests a second that are expected.")
    ] = None,
    p99_ms: Annotated[
        float | None, Parameter(help="With --capacity: the latency that is wanted.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Ask a version over HTTP, in a process of its own on this machine, and measure it.

    Times are those of the caller; memory and cold start are the process's. What came is kept as
    evidence. Exit code 1 if a limit was broken or a request failed. It takes some seconds.

    With --capacity it is asked by ever more connections, then at rates, then with more rows at
    once: how many workers a rate needs, and what to set. That takes up to half a minute.
    """
    from mainspring.cli import capacities

    if capacity or rate is not None or p99_ms is not None:
        return capacities.find(version, rate, p99_ms, options)
    import msgspec

    from mainspring.cli.measures import limits
    from mainspring.readiness.declaring import load_limits

    model, number = reference(version)
    asked: dict[str, Any] = {"model": model, "number": number}
    how = {"requests": requests, "connections": connections, "rounds": rounds}
    if limit or how != {"requests": 200, "connections": 4, "rounds": 3}:
        asked["limits"] = msgspec.to_builtins(load_limits({**how, **limits(limit or [])}))
    out = render.console(stderr=True)
    shown = out.status("asking") if out.is_terminal and not options.json else nullcontext()
    with asking(options) as house, shown:
        found: dict[str, Any] = house.call("drills.load", **asked)

    def draw(out: Console) -> None:
        out.print(render.plain(found["found"]))
        for at, one in enumerate(found["detail"].get("rounds", []), 1):
            times = ", ".join(f"{p} {one[f'{p}_ms']:.3g}" for p in ("p50", "p95", "p99"))
            told = f"{one['requests']} requests in {one['seconds']:.2f} s, {times} ms"
            out.print(render.plain(f"round {at}: {told}"))
        out.print(render.plain(f"evidence {found['id']}"))

    render.answer(options, found, draw)
    return 0 if found["passed"] else 1


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def exercise(
    model: Annotated[str, Parameter(help="The model's name.")],
    /,
    *,
    options: Everywhere = HERE,
) -> int:
    """Try what the ML Test Score asks for and a machine can do, and keep each as evidence.

    Personal values are looked for, columns held against columns.toml, each feature is left out to
    see what it gives, a captured row is followed to its score, dependencies are changed on a copy,
    a roll-back is rehearsed under load. Exit code 1 if anything failed; what cannot be tried yet
    is told with its reason.
    """
    out = render.console(stderr=True)
    shown = out.status("exercising") if out.is_terminal and not options.json else nullcontext()
    with asking(options) as house, shown:
        done: list[dict[str, Any]] = house.call("drills.exercise", model=model)

    def draw(out: Console) -> None:
        rows = [(one["kind"], _MARKS[one["passed"]], one["found"]) for one in done]
        render.table(out, ("ACT", "", "FOUND"), rows)
        out.print(render.plain(f"What it is worth: mainspring readiness score {model}"))

    render.answer(options, done, draw)
    return 1 if any(one["passed"] is False for one in done) else 0


_MARKS = {True: "ok", False: "bad", None: "not yet"}


def explain(
    endpoint: Annotated[str, Parameter(help="The endpoint's name.")],
    prediction: Annotated[str, Parameter(help="The prediction's id, from the answer.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Follow a captured prediction from its raw values over its features to its score.

    The version that answered scores the row again; each column says what it carried.
    """
    with asking(options) as house:
        found = house.call("endpoints.follow", name=endpoint, prediction=prediction)

    def draw(out: Console) -> None:
        again = ", ".join(f"{value:.5g}" for value in found["again"])
        answered = ", ".join(f"{value:.5g}" for value in found["captured"])
        same = "the same" if found["same"] else "NOT the same"
        out.print(render.plain(f"version {found['version']} answered {answered}, now {again}"))
        out.print(f"That is {same}.")
        rows = [
            (one["column"], one["value"], f"{one['carried']:+.4g}") for one in found["carried"]
        ]
        render.table(out, ("COLUMN", "VALUE", f"CARRIED OF {found['of']}>"), rows)
        out.print()
        render.table(out, ("FEATURE", "VALUE"), list(found["features"].items()))

    render.answer(options, found, draw)

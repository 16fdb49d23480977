"""Rehearse what must work on a bad day, and follow a prediction to its score."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
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


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def exercise(
    model: Annotated[str, Parameter(help="The model's name.")],
    /,
    *,
    options: Everywhere = HERE,
) -> int:
    """Try what the ML Test Score asks for and a machine can do, and keep each as evidence.

    Personal values are looked for, columns held against columns.toml, a captured row is followed
    to its score, dependencies are changed on a copy, a roll-back is rehearsed under load. Exit
    code 1 if anything failed; what cannot be tried yet is told with its reason.
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

"""The environments of steps: list what was built, show a run's, build it, remove one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.busy import busy
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call
from mainspring.cli.runs import full_id

if TYPE_CHECKING:
    from rich.console import Console

RunRef = Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")]


def listing(*, options: Everywhere = HERE) -> None:
    """List the environments that were built, with their sizes, the one used last first.

    Files that several of them share by links, as uv makes them, are counted in each.
    """
    found = call(options, "environments.list")

    def draw(out: Console) -> None:
        rows = [
            (
                one["digest"][:12],
                one["python"],
                one["packages"],
                render.size(one["size"]),
                render.when(one["used"]),
                one["came"] if one["whole"] else f"{one['came']}; something is missing",
            )
            for one in found
        ]
        columns = ("DIGEST", "PYTHON", "PACKAGES>", "SIZE>", "USED", "MADE OF")
        render.table(out, columns, rows, "None was built yet.")

    render.answer(options, found, draw)


def show(run: RunRef, /, *, options: Everywhere = HERE) -> None:
    """Show what the steps of a run ran in: Python, packages, and whether it is built."""
    with asking(options) as house:
        found = house.call("environments.of_run", run=full_id(house, run))

    def draw(out: Console) -> None:
        for one in found:
            lock = one["lock"]
            whose = "their own" if one["own"] else "what was installed"
            steps = ", ".join(one["steps"])
            out.print(render.plain(f"{one['digest'][:12]}  {steps}: {whose}"))
            if lock is None:
                out.print("  what it is made of was not kept")
                continue
            state = "built" if one["built"] else "not built here"
            came = f"Python {lock['python']}, {lock['machine']}, of {lock['came']}, {state}"
            out.print(render.plain(f"  {came}"))
            for line in lock["lines"]:
                out.print(render.plain(f"  {line.partition(' --hash')[0]}"))
            for name, why in lock["left"].items():
                out.print(render.plain(f"  {name}: {why}"))

    render.answer(options, found, draw)


def build(run: RunRef, /, *, options: Everywhere = HERE) -> None:
    """Build what the steps of a run ran in, so that nothing waits for it later."""
    with asking(options) as house, busy(options, "building the environments"):
        found = house.call("environments.build", run=full_id(house, run))
    told = [
        f"{one['digest'][:12]}  Python {one['python']}, {one['packages']} packages,"
        f" {render.size(one['size'])}, built in {one['seconds']:.1f} s: {one['path']}"
        for one in found
    ]
    render.said(options, found, *told)


def remove(
    digest: Annotated[str, Parameter(help="At least six of its first characters.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Delete an environment; it is built again when a step needs it."""
    gone = call(options, "environments.remove", digest=digest)
    render.said(options, gone, *(f"{one[:12]} is deleted." for one in gone))

"""Runs: list them, show one, say why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.ground.errors import NotFoundError

if TYPE_CHECKING:
    from rich.console import Console


def runs(
    *,
    experiment: str | None = None,
    status: Literal["running", "finished", "failed", "crashed", "cancelled"] | None = None,
    limit: int = 20,
    cursor: str | None = None,
    options: Everywhere = HERE,
) -> None:
    """List runs, newest first.

    Parameters
    ----------
    experiment
        Only those of one experiment.
    status
        Only those that are so far.
    limit
        How many at most.
    cursor
        Where the page before ended.
    """
    with asking(options) as house:
        page = house.call(
            "runs.list", experiment=experiment, status=status, limit=limit, cursor=cursor
        )

    def draw(out: Console) -> None:
        rows = [
            (
                run["id"],
                run["status"],
                run["pipeline"] or run["name"],
                render.when(run["started"]),
                render.took(run["started"], run["ended"]),
                render.figures(run["metrics"]),
            )
            for run in page["runs"]
        ]
        columns = ("RUN", "STATUS", "PIPELINE", "STARTED (UTC)", "TOOK>", "METRICS")
        render.table(out, columns, rows, "No runs yet. Start one: mainspring run PIPELINE")
        if page["cursor"]:
            out.print(f"More: mainspring runs --cursor {render.plain(page['cursor'])}")

    render.answer(options, page, draw)


def show(
    run: Annotated[str, Parameter(help="The run's id, or its first characters.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show one run: params, metrics, steps."""
    with asking(options) as house:
        detail = house.call("runs.get", run=full_id(house, run))
    render.answer(options, detail, lambda out: draw_run(out, detail))


def draw_run(out: Console, detail: dict[str, Any]) -> None:
    """Print a run with its steps."""
    run = detail["run"]
    facts = [
        ("run", run["id"]),
        ("status", run["status"]),
        ("pipeline", run["pipeline"] or run["name"]),
        ("started", f"{render.when(run['started'])} UTC"),
        ("took", render.took(run["started"], run["ended"])),
        ("cause", run["cause"] or "by hand"),
        *((f"param {key}", value) for key, value in run["params"].items()),
        *((f"metric {key}", value) for key, value in run["metrics"].items()),
        *(("version", name) for name in detail["versions"]),
        *(("note", text) for text in detail["notes"]),
    ]
    render.table(out, ("", ""), facts)
    if detail["steps"]:
        out.print()
        rows = [
            (s["step"], s["state"], f"{s['wall_s']:.2f} s", s["why"] or s["error"])
            for s in detail["steps"]
        ]
        render.table(out, ("STEP", "STATE", "TOOK>", "WHY"), rows)
    for step in detail["steps"]:
        if step["state"] == "failed":
            out.print(f"\n{step['step']} failed:\n{failure(step)}")


def failure(step: dict[str, Any]) -> str:
    """Return the user's own lines, then what went in and how to run it again."""
    parts = (step["trace"].rstrip(), step["error"])
    return render.plain("\n".join(part for part in parts if part))


def why(
    what: Annotated[
        str, Parameter(help="A run, 'champion', or a version: MODEL@champion or MODEL/NUMBER.")
    ],
    step: Annotated[str | None, Parameter(help="One step of the run.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Say why a step ran or was reused, or why a version serves."""
    with asking(options) as house:
        if what == "champion":
            what = _only_champion(house)
        if "@" in what or "/" in what:
            found = house.call("models.why", ref=what)
            lines = [*found["lines"], *(f"not known: {m}" for m in found["missing"])]
            render.said(options, found, *lines)
            return
        run = full_id(house, what)
        told = house.call("runs.why", run=run, step=step)
        steps = house.call("runs.get", run=run)["steps"]
    chosen = [s for s in steps if step in (None, s["step"])]
    if not chosen and step is not None:
        names = ", ".join(s["step"] for s in steps)
        raise NotFoundError(
            f"{run} has no step {step!r}.", field="step", hint=f"Its steps: {names}."
        )
    render.said(options, told, *(f"{s['step']}: {s['state']}. {s['why']}" for s in chosen))


def full_id(house: Local | Remote, run: str) -> str:
    """Return the id of the newest run that begins with the given characters; ``last`` is it.

    Raises:
        NotFoundError: if there is none.
    """
    if len(run) == 30 and run.startswith("run_"):
        return run
    page = house.call("runs.list", limit=1000)["runs"]
    for one in page:
        if run == "last" or one["id"] == run or (len(run) > 3 and one["id"].startswith(run)):
            return str(one["id"])
    raise NotFoundError(
        f"There is no run {run!r}.", field="run", hint="See them with: mainspring runs"
    )


def _only_champion(house: Local | Remote) -> str:
    serving = [m["name"] for m in house.call("models.list") if m["champion"] is not None]
    if len(serving) == 1:
        return f"{serving[0]}@champion"
    if not serving:
        raise NotFoundError("No model has a champion yet.", hint="See them: mainspring models")
    raise NotFoundError(
        f"{len(serving)} models have a champion: {', '.join(serving)}.",
        hint=f"Name one: mainspring why {serving[0]}@champion",
    )

"""Repeats and tunings: start them, follow them, go on with them; and which repeat is better."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import Local, Remote, asking
from mainspring.cli.runs import full_id
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

POLL_S = 0.3
Target = Annotated[str | None, Parameter(help="A pipeline, or module:function.")]
Params = Annotated[
    list[str] | None,
    Parameter(name=["--param", "-p"], negative=(), help="A parameter as name=value."),
]
Parallel = Annotated[int, Parameter(help="How many at once, each in a process of its own.")]
Resume = Annotated[
    str | None, Parameter(help="Go on with this run instead; what is done stays done.")
]
Failures = Annotated[int, Parameter(help="So many failures in a row end it.")]


def repeat(
    target: Target = None,
    /,
    *,
    seeds: Annotated[str, Parameter(help="How many, from 0; or which, such as 3,5,8.")] = "10",
    params: Params = None,
    parallel: Parallel = 2,
    failures: Failures = 3,
    resume: Resume = None,
    options: Everywhere = HERE,
) -> int:
    """Run a pipeline or function once with each seed. Exit code 1 if a seed failed."""
    asked = {
        "target": target,
        "params": dict(pair(text) for text in params or []),
        "seeds": _seeds(seeds),
        "parallel": parallel,
        "failures": failures,
    }
    with asking(options, create=True) as house:
        run = _begun(house, "repeats", asked, resume)
        found = _followed(house, "repeats.get", run)
    render.answer(options, found, lambda out: _draw_repeat(out, found))
    return 0 if found["run"]["status"] == "finished" else 1


def tune(
    target: Target = None,
    /,
    *,
    space: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="What a param may be: 'lr=log(1e-4,1e-1)', 'trees=int(10,200)',"
            " \"kind=['a','b']\"; or a TOML file with a table [space].",
        ),
    ] = None,
    metric: Annotated[str, Parameter(help="What to improve.")] = "auc",
    goal: Literal["maximize", "minimize"] = "maximize",
    trials: Annotated[int | None, Parameter(help="How many; 50, or the whole grid.")] = None,
    sampler: Literal["tpe", "random", "grid"] = "tpe",
    pruner: Annotated[
        Literal["none", "median", "asha", "hyperband"],
        Parameter(help="What ends trials that report worse values than others."),
    ] = "none",
    params: Params = None,
    parallel: Parallel = 2,
    timeout: Annotated[
        str | None, Parameter(help="Begin no trial after this, as 90s or 2h.")
    ] = None,
    seed: Annotated[int | None, Parameter(help="The same seed draws the same params.")] = None,
    patience: Annotated[
        int | None, Parameter(help="So many trials without a better one end it.")
    ] = None,
    failures: Failures = 3,
    resume: Resume = None,
    options: Everywhere = HERE,
) -> int:
    """Look for the params that make a metric best. Exit code 1 if it failed."""
    asked = {
        "target": target,
        "space": {} if resume else _space(space),
        "metric": metric,
        "goal": goal,
        "trials": trials,
        "sampler": sampler,
        "pruner": pruner,
        "params": dict(pair(text) for text in params or []),
        "parallel": parallel,
        "timeout_s": None if timeout is None else seconds(timeout, "timeout"),
        "seed": seed,
        "patience": patience,
        "failures": failures,
    }
    with asking(options, create=True) as house:
        run = _begun(house, "tunings", asked, resume)
        found = _followed(house, "tunings.get", run)
    render.answer(options, found, lambda out: _draw_tuning(out, found))
    return 0 if found["run"]["status"] == "finished" else 1


def versus(
    run_a: Annotated[str, Parameter(help="A repeat: its run's id or its first characters.")],
    run_b: Annotated[str, Parameter(help="The repeat to compare it with.")],
    /,
    *,
    metric: Annotated[
        str | None, Parameter(help="What to compare; the only metric they share, if it is one.")
    ] = None,
    better: Annotated[
        Literal["higher", "lower"] | None, Parameter(help="Which way is better; else it is asked.")
    ] = None,
    confidence: Annotated[float, Parameter(help="Of the interval, 0.5 to 1.")] = 0.95,
    options: Everywhere = HERE,
) -> None:
    """Say whether one repeat beats another, and what so few seeds could show."""
    with asking(options) as house:
        sides = (full_id(house, run_a), full_id(house, run_b))
        compared = metric or _only_shared(house, sides)
        found = house.call(
            "repeats.versus",
            a=sides[0],
            b=sides[1],
            metric=compared,
            better=better or _asked_which_way(compared),
            confidence=confidence,
        )

    def draw(out: Console) -> None:
        exact = found["exact_p"]
        facts = [
            ("mean of A", found["mean_a"]),
            ("mean of B", found["mean_b"]),
            ("difference A - B", found["difference"]),
            ("its interval", f"{found['low']:.5g} to {found['high']:.5g}"),
            ("p (t test)", found["p"]),
            ("p (exact, signs)", "not paired, or many" if exact is None else exact),
            ("can be shown", f"{found['detectable']:.5g}, {found['power']:.0%} of the time"),
            ("seeds needed", found["needed"] or "more than 100,000"),
        ]
        render.table(out, ("", ""), facts)
        out.print(render.plain(found["words"]))

    render.answer(options, found, draw)


def _only_shared(house: Local | Remote, sides: tuple[str, str]) -> str:
    """Return the metric that both repeats have, if it is a single one."""
    first, second = (
        [one["metric"] for one in house.call("repeats.get", run=run)["spreads"]] for run in sides
    )
    shared = [name for name in first if name in second]
    if len(shared) != 1:
        raise BadInputError(
            f"Which metric shall be compared? They share {len(shared)}.",
            field="metric",
            hint=f"There are: {', '.join(shared)}." if shared else None,
        )
    return str(shared[0])


def _asked_which_way(metric: str) -> str:
    if not sys.stdin.isatty():
        raise BadInputError(
            f"Is a higher {metric} better, or a lower one?",
            field="better",
            hint="Say --better higher or --better lower.",
        )
    sys.stderr.write(f"Is a higher or a lower {metric} better? [higher/lower] ")
    sys.stderr.flush()
    told = sys.stdin.readline().strip().lower()
    for way in ("higher", "lower"):
        if told and way.startswith(told):
            return way
    raise BadInputError(f"higher or lower was asked for, found {told[:40]!r}.", field="better")


def _begun(house: Local | Remote, room: str, asked: dict[str, Any], resume: str | None) -> str:
    if resume is not None:
        if asked["target"] is not None:
            raise BadInputError("A run that goes on has its target already.", field="target")
        return str(house.call(f"{room}.resume", run=full_id(house, resume))["run"])
    if asked["target"] is None:
        raise BadInputError(
            "What shall be run? Name a pipeline or module:function.", field="target"
        )
    return str(house.call(f"{room}.start", **asked)["run"])


def _followed(house: Local | Remote, name: str, run: str) -> dict[str, Any]:
    """Return what came of it at its end, showing on the way how far it is."""
    from mainspring.workspace.families.bar import bar
    from mainspring.workspace.families.summary import Progress

    with bar(lines=True) as show:
        if isinstance(house, Local):
            from mainspring.workspace import engines

            try:
                engines.drive_family(house.workspace, run, show)
            except KeyboardInterrupt:
                verb = "tune" if name.startswith("tunings") else "repeat"
                sys.stderr.write(f"\nStopped. Go on with: mainspring {verb} --resume {run}\n")
                raise
            found: dict[str, Any] = house.call(name, run=run)
            return found
        while True:
            found = house.call(name, run=run)
            show(msgspec.convert(found, Progress))
            if found["run"]["status"] != "running":
                return found
            time.sleep(POLL_S)


def _draw_repeat(out: Console, found: dict[str, Any]) -> None:
    rows = [
        (s["metric"], s["n"], s["mean"], s["sd"], s["low"], s["high"]) for s in found["spreads"]
    ]
    columns = ("METRIC", "SEEDS>", "MEAN>", "SD>", "95 % FROM>", "TO>")
    render.table(out, columns, rows, "No seed finished.")
    _draw_end(out, found)


def _draw_tuning(out: Console, found: dict[str, Any]) -> None:
    if found["best"] is not None:
        facts = [
            (f"best {found['metric']}", found["best"]["metrics"][found["metric"]]),
            ("trial", found["best"]["id"]),
            *found["best_params"].items(),
        ]
        render.table(out, ("", ""), facts)
    if found["importance"]:
        out.print()
        rows = [(name, f"{share:.0%}") for name, share in found["importance"].items()]
        render.table(out, ("PARAM", "EXPLAINS>"), rows)
    _draw_end(out, found)


def _draw_end(out: Console, found: dict[str, Any]) -> None:
    run = found["run"]
    if found["error"]:
        out.print(render.plain(f"the last failure: {found['error']}"))
    over = run["tags"].get("mainspring.over")
    if over:
        out.print(render.plain(f"ended early: {over}"))
    told = f"{found['done']} of {found['count']} done"
    if found["pruned"]:
        told += f" ({found['pruned']} pruned)"
    if found["failed"]:
        told += f", {found['failed']} failed"
    out.print(f"run {run['id']} {run['status']}: {told}", style=render.COLOURS[run["status"]])


def _seeds(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInputError(
            f"seeds is how many, or which, such as 3,5,8; found {text[:80]!r}.", field="seeds"
        ) from error
    if "," in text:
        return found
    if not 1 <= found[0] <= 10_000:
        raise BadInputError(f"seeds must be 1 to 10,000, found {found[0]}.", field="seeds")
    return list(range(found[0]))


def _space(given: list[str] | None) -> dict[str, Any]:
    from mainspring.experiments import spaces

    found: dict[str, Any] = {}
    for text in given or []:
        if text.endswith(".toml") and "=" not in text:
            found |= spaces.read_file(Path(text).expanduser())
        else:
            found |= spaces.read_space([text])
    if not found:
        raise BadInputError(
            "What shall be varied?",
            field="space",
            hint="Say it as --space 'trees=int(10,200)', once for each param.",
        )
    return {name: msgspec.to_builtins(one) for name, one in found.items()}

"""Begin a repeat or a tuning, and let one that was broken off go on."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import again, tasks
from mainspring.experiments import families, groups, runs
from mainspring.experiments.families import Family
from mainspring.ground.errors import BadInputError, ConflictError, ProjectError
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines.declare import Pipeline, Step
from mainspring.pipelines.graph import target_of
from mainspring.workspace import calling
from mainspring.workspace.families import child, kinds, study

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: Workers may die so often under one lane; each death costs one child another try.
ATTEMPTS = 100
_CANCELLED = "mainspring.cancelled"


@contextlib.contextmanager
def opened(home: str | Path | None) -> Iterator[Workspace]:
    """Open the workspace of a home for as long as the block lasts.

    Raises:
        BadInputError: if runs go to a server: its workers cannot call what this process has.
    """
    from mainspring.ground.settings import load
    from mainspring.workspace.opening import open_workspace

    settings = load({"home": None if home is None else str(home)})
    if home is None and settings.url is not None:
        raise BadInputError(
            f"Runs go to {settings.url}, and this works in a home.",
            field="url",
            hint="Name a home=..., or ask the server by mainspring repeat, versus or tune.",
        )
    ws = open_workspace(settings)
    try:
        yield ws
    finally:
        ws.close()


def lanes_for(function: Callable[..., Any] | str, parallel: int | None) -> int:
    """Return how many calls run at once where nobody said: one if only we have the function."""
    if parallel is not None:
        return parallel
    return 1 if locate(function, "") is None else 2


def locate(function: Callable[..., Any] | str, root: str) -> tuple[str, str] | None:
    """Return root and target by which another process finds a function; None if none can."""
    if isinstance(function, str):
        return root, function
    inner = function.function if isinstance(function, Step | Pipeline) else function
    if not hasattr(inner, "__qualname__"):
        raise BadInputError(
            f"A function or module:function is wanted, found {type(function).__name__}.",
            field="function",
        )
    with contextlib.suppress(ProjectError, TypeError, OSError):
        if inner.__name__ == "<lambda>":
            return None
        target = target_of(inner)
        module = target.partition(":")[0]
        file = Path(inspect.getfile(inner)).resolve()
        if not file.is_file():
            return None
        # The folder from which Python finds the module: as many above as it has parts.
        return str(file.parents[module.count(".")]), target
    return None


def begin(
    ws: Workspace,
    function: Callable[..., Any] | str,
    family: Family,
    *,
    experiment: str | None,
    name: str | None,
) -> str:
    """Keep a new parent run with its lanes and return its id; an engine carries it out.

    Raises:
        BadInputError: for a param, a count or a setting that cannot be used.
        ProjectError: if the target cannot be imported.
    """
    _check(family)
    varied = list(family.space)
    place = locate(function, family.root)
    if place is None:
        assert callable(function)  # noqa: S101  a text always has a place
        told = child.describe(child.as_called(function), family.params, varied)
        family = msgspec.structs.replace(family, own=True, target=told["name"])
        if family.parallel > 1:
            raise BadInputError(
                f"{told['name']} was typed in or stands inside of another function, where no"
                " other process can find it.",
                field="parallel",
                hint="Put it at the top level of a file, or say parallel=1.",
            )
    else:
        root, target = place
        asked = {"root": root, "target": target, "params": family.params, "varied": varied}
        told = calling.child(ws, "target", asked, root=root)
        family = msgspec.structs.replace(family, root=root, target=told["target"])
    family = msgspec.structs.replace(
        family, pipeline=told["pipeline"], params=told["params"], names=told["names"]
    )
    if family.kind == "repeat" and family.pipeline and "seed" not in family.names:
        raise BadInputError(
            f"Pipeline {told['name']} has no parameter seed, so every repeat would be the same.",
            field="seed",
        )
    now = ws.clock.now()
    within = experiment or told["name"].replace("<", "").strip(">")
    run = Run(
        id=new_id("run"),
        experiment=groups.key_of_name(within),
        name=name or told["name"],
        status=RunStatus.RUNNING,
        started=now,
        tags={
            families.FAMILY: canonical(family).decode(),
            families.STARTED: repr(now),
        },
    )
    if place is None:
        kinds.OWN[run.id] = function  # type: ignore[assignment]

    def submit(tx: Tx) -> None:
        groups.ensure_named(tx, within, now)
        runs.create(tx, run)
        runs.set_params(tx, run.id, family.params)
        tasks.submit(tx, _tasks(run.id, family))

    ws.write(Permission.RUN, submit)
    return run.id


def go_on(ws: Workspace, run: str, function: Callable[..., Any] | None = None) -> Family:
    """Let a repeat or a tuning go on: children that are done stay done.

    Raises:
        BadInputError: if it is neither, or needs its function handed in again.
        ConflictError: if it has finished.
    """

    def work(tx: Tx) -> Family:
        whole = runs.get(tx, run)
        family = families.family_of(whole)
        if family.own and function is None and run not in kinds.OWN:
            raise BadInputError(
                f"Only the process that started {run} had its function.",
                field="run",
                hint=f"Hand the function in again: ms.{family.kind}(function, resume={run!r})",
            )
        if whole.status is RunStatus.FINISHED:
            raise ConflictError(f"Run {run} has finished.", field="run")
        if whole.status is not RunStatus.RUNNING:
            runs.resume(tx, run)
            tags = {_CANCELLED: None, families.OVER: None, families.STARTED: repr(ws.clock.now())}
            runs.set_tags(tx, run, tags)
            for one in families.members(tx, run):
                if one.failed:  # what failed is tried again, under its number
                    runs.set_tags(tx, one.run.id, {families.ERROR: None})
                    runs.resume(tx, one.run.id)
                    runs.end(tx, one.run.id, RunStatus.CANCELLED, ws.clock.now())
            again.retry(tx, run)
        return family

    family = ws.write(Permission.RUN, work)
    if family.own and function is not None:
        kinds.OWN[run] = function
    return family


def _check(family: Family) -> None:
    for field in ("count", "parallel", "failures"):
        value = getattr(family, field)
        most = 64 if field == "parallel" else families.MOST
        if not 1 <= value <= most:
            raise BadInputError(f"{field} must be 1 to {most:,}, found {value}.", field=field)
    if family.timeout_s is not None and not family.timeout_s > 0:
        raise BadInputError(
            f"timeout must be above 0 s, found {family.timeout_s}.", field="timeout"
        )
    if family.patience is not None and family.patience < 1:
        raise BadInputError(
            f"patience must be 1 or more, found {family.patience}.", field="patience"
        )
    both = set(family.space) & set(family.params)
    if both:
        raise BadInputError(f"{min(both)} is given and varied at once.", field=min(both))
    if family.kind == "tune":
        study.check(family)


def _tasks(run: str, family: Family) -> list[tasks.NewTask]:
    kind = kinds.OWN_LANE if family.own else kinds.LANE
    many = min(family.parallel, family.count)
    wanted = [
        tasks.NewTask(
            id=f"{run}:lane:{number}",
            kind=kind,
            payload={"run": run, "lane": number},
            group=run,
            max_attempts=ATTEMPTS,
            backoff_s=0.1,
        )
        for number in range(many)
    ]
    end = tasks.NewTask(
        id=f"{run}:end",
        kind=kinds.END,
        payload={"run": run},
        group=run,
        needs=[task.id for task in wanted],
        always=True,
        max_attempts=ATTEMPTS,
    )
    return [*wanted, end]

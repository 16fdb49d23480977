"""Look for the params that make a metric best: start, go on, and say what was found."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.experiments.exact import exact_key
from mainspring.experiments.families import Family, Goal
from mainspring.experiments.spaces import grid, read_space
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.workspace import engines
from mainspring.workspace.families import starting
from mainspring.workspace.families.bar import bar
from mainspring.workspace.families.summary import Progress

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


def family(
    root: str,
    space: Mapping[str, Any] | Sequence[str],
    *,
    metric: str,
    goal: Goal = "maximize",
    trials: int | None = None,
    sampler: str = "tpe",
    pruner: str = "none",
    params: Mapping[str, Any] | None = None,
    parallel: int = 2,
    timeout_s: float | None = None,
    seed: int | None = None,
    patience: int | None = None,
    failures: int = 3,
) -> Family:
    """Return what a tuning asks for. Without ``trials`` a grid is tried whole, else 50 are.

    Raises:
        BadInputError: for a space that cannot be read, or a seed that is no whole number.
    """
    wanted = read_space(space)
    if seed is None:
        seed = secrets.randbelow(2**32)  # kept, so that a resumed tuning draws as it would have
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise BadInputError(
            f"seed must be a whole number from 0 on, found {seed!r:.40}.", field="seed"
        )
    if sampler == "grid":
        points = len(grid(wanted))
        trials = points if trials is None else min(trials, points)
    return Family(
        kind="tune",
        root=root,
        target="",
        params=dict(params or {}),
        count=50 if trials is None else trials,
        parallel=parallel,
        failures=failures,
        timeout_s=timeout_s,
        space=wanted,
        metric=exact_key(metric, "metric"),
        goal=goal,
        sampler=sampler,
        pruner=pruner,
        seed=seed,
        patience=patience,
    )


def tune(
    function: Callable[..., Any] | str | None = None,
    space: Mapping[str, Any] | Sequence[str] = (),
    *,
    metric: str = "auc",
    goal: Goal = "maximize",
    trials: int | None = None,
    sampler: str = "tpe",
    pruner: str = "none",
    params: Mapping[str, Any] | None = None,
    parallel: int | None = None,
    timeout: str | float | None = None,
    seed: int | None = None,
    patience: int | None = None,
    failures: int = 3,
    resume: str | None = None,
    experiment: str | None = None,
    name: str | None = None,
    home: str | Path | None = None,
) -> Tuned:
    """Look for the params that make a metric best.

    Each trial is a run of its own, a child of one run, in a process of its own. The function
    returns the metric, or a dict that holds it. Inside, ``ms.trial().report(value, step)`` says
    how good the trial is so far, which lets a pruner end it.

    Args:
        function: A function, a pipeline, or ``"module:function"``.
        space: What each param may be, such as ``{"lr": "log(1e-4,1e-1)", "kind": ["a", "b"]}``;
            also ``int(10,200)``, ``float(0,1)``, ``int(1,512,log)``, ``float(0,1,step=0.1)``.
        metric: What to improve.
        goal: ``"maximize"`` or ``"minimize"``.
        trials: How many; 50, or the whole grid.
        sampler: ``"tpe"``, ``"random"`` or ``"grid"``.
        pruner: ``"none"``, ``"median"``, ``"asha"`` or ``"hyperband"``.
        params: The same for every trial.
        parallel: How many trials at once: 2, or 1 for a function that was typed in.
        timeout: Begin no trial after this, in seconds or as ``"2h"``.
        seed: The same seed draws the same params, if trials run one after another.
        patience: So many trials without a better one end it.
        failures: So many failures in a row end it.
        resume: A tuning's run, to go on with it.
        experiment: Where the run stands; the function's name otherwise.
        name: What the run is called.
        home: Where everything is kept, as for ``ms.open``.

    Raises:
        BadInputError: for a space, a param or a function that cannot be used.
    """
    with starting.opened(home) as ws:
        if resume is None:
            if function is None:
                raise BadInputError("What shall be tuned? Name a function.", field="function")
            wanted = family(
                ws.settings.root,
                space,
                metric=metric,
                goal=goal,
                trials=trials,
                sampler=sampler,
                pruner=pruner,
                params=params,
                parallel=starting.lanes_for(function, parallel),
                timeout_s=None if timeout is None else seconds(timeout, "timeout"),
                seed=seed,
                patience=patience,
                failures=failures,
            )
            run = start(ws, function, wanted, experiment=experiment, name=name)
        else:
            starting.go_on(ws, resume, None if isinstance(function, str) else function)
            run = resume
        with bar() as show:
            return Tuned(engines.drive_family(ws, run, show))


def start(
    ws: Workspace,
    function: Callable[..., Any] | str,
    wanted: Family,
    *,
    experiment: str | None = None,
    name: str | None = None,
) -> str:
    """Begin a tuning and return its run; an engine carries it out."""
    return starting.begin(ws, function, wanted, experiment=experiment, name=name)


class Tuned:
    """What came of a tuning: its run, the best trial, and which params mattered."""

    def __init__(self, found: Progress) -> None:
        self.progress = found
        self.id = found.run.id
        self.status = str(found.run.status)

    @property
    def best(self) -> Any:
        """Return the run of the best trial; None if no trial finished."""
        return self.progress.best

    @property
    def params(self) -> dict[str, Any]:
        """Return the params of the best trial, with their types."""
        return dict(self.progress.best_params)

    @property
    def value(self) -> float | None:
        """Return the best value."""
        best = self.progress.best
        return None if best is None else best.metrics[self.progress.metric]

    @property
    def importance(self) -> dict[str, float]:
        """Return the share of the metric's variance that each param explains."""
        return dict(self.progress.importance)

    @property
    def trials(self) -> list[Any]:
        """Return the runs of the trials, by number."""
        return list(self.progress.children)

    def __repr__(self) -> str:
        found = self.progress
        lines = [
            f"tuning {self.id}: {found.done} of {found.count} done"
            f" ({found.pruned} pruned, {found.failed} failed), {self.status}"
        ]
        if found.best is not None:
            drawn = ", ".join(f"{key}={value}" for key, value in self.params.items())
            lines.append(f"  best {found.metric} {self.value:.6g} with {drawn} ({found.best.id})")
        for name, share in self.importance.items():
            lines.append(f"  {name} explains {share:.0%}")
        return "\n".join(lines)

"""The verbs of tracking as a user types them; light, for a script that only logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.workspace.tracking.active import ActiveRun
from mainspring.workspace.tracking.joining import current_run, tracked
from mainspring.workspace.tracking.planning import plan_of

__all__ = ["current_run", "log", "run"]


def run(
    experiment: str = "Default",
    *,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    group: str | None = None,
    parent: str | ActiveRun | None = None,
    resume: str | None = None,
    capture: bool = True,
) -> ActiveRun:
    """Track a piece of work: ``with ms.run("exp", params={"rate": 0.1}) as run:``.

    What comes back is a context manager, a plain handle (end it with ``run.end()``) and a
    decorator (``@ms.run("exp")`` makes a new run of each call). The run begins with its first
    use. It is kept in the home, or sent to the server that MAINSPRING_URL names; a server that
    is away is never waited for. A run begun inside another one is its child. ``group`` joins
    runs that belong together; ``resume`` goes on with a run by its id; ``capture=False`` leaves
    out what is else noted of the code and the machine.

    A run that is not used begins nowhere, so that this leaves nothing behind:

    >>> run("speed", params={"rate": 0.1}).experiment
    'speed'

    Raises:
        BadInputError: if a name, param or tag cannot be kept.
    """
    plan = plan_of(experiment, name, params, tags, group, parent, resume, capture=capture)
    return ActiveRun(plan)


def log(
    values: Mapping[str, Any] | None = None, /, *, step: float | None = None, **metrics: Any
) -> None:
    """Log metric values of the run this code runs inside of, such as ``ms.log(auc=0.91)``.

    That is the running step's run of a pipeline, or the innermost ``with ms.run(...)``, or the
    run of the notebook that ``mainspring notebook run`` executes.
    ``step`` is a whole number. Without it each metric goes on by one from its latest. Called
    outside of a run, where a step is tested as plain Python, it only checks the values.

    Raises:
        BadInputError: if a value is no number.
        NotExactError: if a value has no float of its value.
    """
    from mainspring.pipelines import context

    inside = tracked()
    if inside is not None:
        inside.log(values, step=step, **metrics)
    else:
        context.log(step=step, **{**(values or {}), **metrics})

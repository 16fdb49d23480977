"""Show the steps of runs that steps started with those: by the names of both, ``STEP/INNER``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainspring.cli.remote import Local, Remote
from mainspring.ground.errors import NotFoundError
from mainspring.ground.nearest import meant

Steps = list[dict[str, Any]]
_PARTED = "/"


def laid(steps: Steps, below: Sequence[dict[str, Any]]) -> Steps:
    """Return the steps of a run, each that started a run with the steps of that behind it.

    Those bear the names of both, parted by a stroke. What happens to a failure of the outer one
    happens to theirs.
    """
    inner = {one["step"]: one["steps"] for one in below}

    def behind(several: Steps, *, handled: bool) -> Iterator[dict[str, Any]]:
        for one in several:
            dealt = handled or one["handled"]
            yield {**one, "handled": dealt}
            place = one["step"]
            named = [_named(step, place) for step in inner.get(place, ())]
            yield from behind(named, handled=dealt)

    return list(behind(steps, handled=False)) if below else steps


def _named(step: dict[str, Any], place: str) -> dict[str, Any]:
    above = step["within"]
    return {
        **step,
        "step": f"{place}{_PARTED}{step['step']}",
        "within": place if above is None else f"{place}{_PARTED}{above}",
        "needs": [f"{place}{_PARTED}{one}" for one in step["needs"]],
    }


def own_name(step: str) -> str:
    """Return how a step is called in its own run.

    >>> own_name("prepare/load"), own_name("fit[3]")
    ('load', 'fit[3]')
    """
    return step.rpartition(_PARTED)[2]


def places(below: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return what stands before the names of the steps of each run that a step started."""
    return {one["run"]: f"{one['step']}{_PARTED}" for one in below}


def found(house: Local | Remote, run: str, step: str) -> tuple[str, str | None]:
    """Return the run and the step that are meant by a name people see; no step: the whole run.

    Raises:
        NotFoundError: if the run has no such step; with the name that was meant.
    """
    detail = house.call("runs.get", run=run, below=True)
    begun = {one["step"]: one["run"] for one in detail["below"]}
    if step in begun:
        return begun[step], None
    every = laid(detail["steps"], detail["below"])
    for one in every:
        if one["step"] == step:
            return one["run"], own_name(step)
    names = [one["step"] for one in every]
    raise NotFoundError(f"{run} has no step {step[:80]!r}.", field="step", hint=meant(step, names))

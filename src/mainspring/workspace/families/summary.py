"""Say what came of all children together: mean and interval of repeats, the best of trials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mainspring.experiments import families, runs
from mainspring.experiments.families import Family, Member
from mainspring.ground.objects import Record, Run, RunStatus
from mainspring.ground.ports import Tx
from mainspring.numerics.errors import TooFewError
from mainspring.numerics.intervals import mean_interval
from mainspring.workspace.families import study, turns


class Spread(Record, frozen=True, kw_only=True):
    """One metric over the repeats."""

    metric: str
    n: int
    mean: float
    sd: float | None = None  #: None for a single value
    low: float | None = None  #: of the mean, at 95 %, by Student's t
    high: float | None = None
    values: list[float] = []  #: in the order of the seeds


class Progress(Record, frozen=True, kw_only=True):
    """How far a repeat or a tuning is, and what it found so far."""

    run: Run
    kind: str
    count: int
    done: int  #: finished, pruned ones too
    pruned: int
    failed: int
    running: int
    spreads: list[Spread] = []  #: repeat
    metric: str = ""  #: tune
    goal: str = ""
    best: Run | None = None
    best_params: dict[str, Any] = {}
    importance: dict[str, float] = {}  #: only once it has ended
    children: list[Run] = []
    error: str = ""  #: of the newest child that failed


def progress(tx: Tx, parent: str) -> Progress:
    """Return how far a repeat or a tuning is.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: if the run is neither.
    """
    run = runs.get(tx, parent)
    family = families.family_of(run)
    found = families.members(tx, parent)
    done = [one for one in found if one.run.status is RunStatus.FINISHED]
    failed = [one for one in found if one.failed]
    top = study.best(family, found) if family.kind == "tune" else None
    ended = run.status is not RunStatus.RUNNING
    return Progress(
        run=run,
        kind=family.kind,
        count=family.count,
        done=len(done),
        pruned=sum(one.notes.pruned for one in done),
        failed=len(failed),
        running=sum(one.run.status is RunStatus.RUNNING for one in found),
        spreads=spreads(found) if family.kind == "repeat" else [],
        metric=family.metric,
        goal=family.goal if family.kind == "tune" else "",
        best=None if top is None else top.run,
        best_params={} if top is None else top.notes.params,
        importance=study.importance(family, found) if ended and family.kind == "tune" else {},
        children=[one.run for one in found],
        error=failed[-1].run.tags.get(families.ERROR, "Its process died.") if failed else "",
    )


def spreads(found: list[Member]) -> list[Spread]:
    """Return mean, scatter and interval of every metric that a finished repeat logged."""
    done = [one for one in found if one.run.status is RunStatus.FINISHED]
    keys = dict.fromkeys(key for one in done for key in one.run.metrics)
    found_of = [m.run.metrics for m in done]
    return [_spread(key, [one[key] for one in found_of if key in one]) for key in keys]


def _spread(key: str, values: list[float]) -> Spread:
    n = len(values)
    mean = float(np.mean(values))
    try:
        band = mean_interval(values)
    except TooFewError:
        return Spread(metric=key, n=n, mean=mean, values=values)
    sd = float(np.std(values, ddof=1)) if math.isfinite(mean) else math.nan
    return Spread(metric=key, n=n, mean=mean, sd=sd, low=band.low, high=band.high, values=values)


def end(tx: Tx, parent: str, now: float) -> None:
    """Write down what came of it all, and end the parent; twice is as good as once."""
    whole = runs.get(tx, parent)
    if whole.status is not RunStatus.RUNNING:
        return
    family = families.family_of(whole)
    found = families.members(tx, parent)
    for one in found:
        if one.run.status is RunStatus.RUNNING:
            runs.end(tx, one.run.id, RunStatus.CRASHED, now)
    found = families.members(tx, parent)
    why = turns.over(whole, family, found, now)
    done = [one for one in found if one.run.status is RunStatus.FINISHED]
    if why:
        runs.set_tags(tx, parent, {families.OVER: why})
    if family.kind == "repeat":
        _log_spreads(tx, parent, found, now)
    elif (top := study.best(family, found)) is not None:
        runs.set_tags(tx, parent, {families.BEST: top.run.id})
        runs.log(tx, parent, {family.metric: top.run.metrics[family.metric]}, at=now)
    runs.end(tx, parent, _status(whole, family, found, len(done)), now)


def _log_spreads(tx: Tx, parent: str, found: list[Member], now: float) -> None:
    values: dict[str, float] = {}
    for one in spreads(found):
        values[one.metric] = one.mean
        for part in ("sd", "low", "high"):
            number = getattr(one, part)
            if number is not None:
                values[f"{one.metric}/{part}"] = number
    if values:
        runs.log(tx, parent, values, at=now)


def _status(whole: Run, family: Family, found: list[Member], done: int) -> RunStatus:
    if "mainspring.cancelled" in whole.tags:
        return RunStatus.CANCELLED
    if not done or len(families.failed_in_a_row(found)) >= family.failures:
        return RunStatus.FAILED
    # A repeat is a promise of so many; a tuning lives with trials that fail.
    if family.kind == "repeat" and any(one.failed for one in found):
        return RunStatus.FAILED
    return RunStatus.FINISHED

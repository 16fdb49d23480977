"""Repeat a function or a pipeline with many seeds, and say whether one such set beats another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mainspring.experiments import families, runs
from mainspring.experiments.families import Family
from mainspring.ground.display import Page
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.objects import Record, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.numerics import versus as test
from mainspring.numerics.errors import NumericsError
from mainspring.workspace import engines
from mainspring.workspace.families import starting
from mainspring.workspace.families.bar import bar
from mainspring.workspace.families.starting import opened
from mainspring.workspace.families.summary import Progress

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

Better = Literal["higher", "lower"]
Values = Mapping[int, float] | Sequence[float]


class Versus(Record, frozen=True, kw_only=True):
    """Whether A beats B on one metric, and what so few repeats could show."""

    metric: str
    better: Better
    verdict: Literal["A", "B", "unsure"]
    words: str
    paired: bool
    n_a: int
    n_b: int
    mean_a: float
    mean_b: float
    difference: float  #: mean of A minus mean of B
    low: float
    high: float
    confidence: float
    p: float  #: of the t test
    exact_p: float | None  #: over every pattern of signs; paired, up to 20 seeds
    exact_least: float | None  #: the smallest it could be with so many seeds
    detectable: float  #: the smallest difference found with probability ``power``
    needed: int | None  #: seeds of each to find this difference with that probability
    power: float

    def _repr_html_(self) -> str:
        return self._page().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("Versus(...)" if cycle else self._page().text())

    def _page(self) -> Page:
        sides = [["A", self.n_a, self.mean_a], ["B", self.n_b, self.mean_b]]
        interval = f"{self.low:.5g} to {self.high:.5g}"
        return (
            Page(self.words)
            .table(self.metric, ("", "seeds" if self.paired else "runs", "mean"), sides)
            .facts(
                [
                    ("difference", self.difference),
                    (f"{100 * self.confidence:g} % interval", interval),
                    ("p", self.p),
                    ("detectable", self.detectable),
                    ("seeds needed", self.needed),
                ]
            )
        )


def family(
    root: str,
    *,
    seeds: int | Sequence[int],
    params: Mapping[str, Any] | None = None,
    parallel: int = 2,
    failures: int = 3,
) -> Family:
    """Return what a repeat asks for. ``seeds`` is how many, from 0, or which.

    Raises:
        BadInputError: if there is no seed, one stands twice, or is no whole number of 63 bits.
    """
    wanted = _seeds(seeds)
    given = dict(params or {})
    if "seed" in given:
        raise BadInputError("Each repeat has a seed of its own; give seeds=, not a param seed.")
    return Family(
        kind="repeat",
        root=root,
        target="",
        params=given,
        count=len(wanted),
        parallel=parallel,
        failures=failures,
        seeds=wanted,
    )


def repeat(
    function: Callable[..., Any] | str | None = None,
    seeds: int | Sequence[int] = 10,
    params: Mapping[str, Any] | None = None,
    *,
    parallel: int | None = None,
    failures: int = 3,
    resume: str | None = None,
    experiment: str | None = None,
    name: str | None = None,
    home: str | Path | None = None,
) -> Repeated:
    """Call a function once with each seed, and return mean, scatter and interval of each metric.

    The function gets ``seed`` if it has such a parameter; ``random``, numpy and torch are seeded
    in any case. What it returns, a number or a dict of numbers, and what it logs, are the
    metrics. Each call is a run of its own, a child of one run, in a process of its own.

    Args:
        function: A function, a pipeline, or ``"module:function"``.
        seeds: How many, from 0; or which.
        params: The same for every call.
        parallel: How many calls at once: 2, or 1 for a function that was typed in, which is
            called in this process.
        failures: So many failures in a row end it.
        resume: A repeat's run, to go on with it: seeds that are done are not done again.
        experiment: Where the run stands; the function's name otherwise.
        name: What the run is called.
        home: Where everything is kept, as for ``ms.open``.

    Raises:
        BadInputError: for a seed, a param or a function that cannot be used.
    """
    with opened(home) as ws:
        if resume is None:
            if function is None:
                raise BadInputError("What shall be repeated? Name a function.", field="function")
            at_once = starting.lanes_for(function, parallel)
            wanted = family(
                ws.settings.root,
                seeds=seeds,
                params=params,
                parallel=at_once,
                failures=failures,
            )
            run = start(ws, function, wanted, experiment=experiment, name=name)
        else:
            starting.go_on(ws, resume, None if isinstance(function, str) else function)
            run = resume
        with bar() as show:
            return Repeated(engines.drive_family(ws, run, show))


def versus(
    a: Repeated | str | Values,
    b: Repeated | str | Values,
    metric: str,
    *,
    better: Better | None = None,
    confidence: float = 0.95,
    power: float = 0.8,
    home: str | Path | None = None,
) -> Versus:
    """Say whether A beats B on a metric: two repeats, or the values of each.

    Repeats with the same seeds are compared pair by pair: a paired t test, and for up to 20
    seeds the exact test over every pattern of signs beside it. Else it is Welch's test. The
    answer holds the difference with its interval, p, a sentence, the smallest difference that so
    many seeds could show, and how many would be needed for the one seen.

    >>> found = versus([0.81, 0.83, 0.82], [0.71, 0.72, 0.74], "auc", better="higher")
    >>> found.verdict, round(found.difference, 3)
    ('A', 0.097)

    Args:
        a: A repeat, the id of its run, or values: a list, or by seed.
        b: What to compare it with.
        metric: Which metric.
        better: Which way is better: ``"higher"`` or ``"lower"``.
        confidence: Of the interval, and of the verdict.
        power: How often a real difference is to be found.
        home: Where the runs are, as for ``ms.open``.

    Raises:
        BadInputError: if it is not said which way is better, or a side has fewer than 2 values.
        ConflictError: if a repeat is still at work.
    """
    sides = [side.id if isinstance(side, Repeated) else side for side in (a, b)]
    if any(isinstance(side, str) for side in sides):
        with opened(home) as ws:
            sides = [
                values_of(ws, side, metric) if isinstance(side, str) else side for side in sides
            ]
    names = tuple(
        side.id if isinstance(side, Repeated) else side if isinstance(side, str) else letter
        for side, letter in zip((a, b), "AB", strict=True)
    )
    return compare(
        sides[0],  # type: ignore[arg-type]
        sides[1],  # type: ignore[arg-type]
        metric=metric,
        better=better,
        confidence=confidence,
        power=power,
        names=(str(names[0]), str(names[1])),
    )


def start(
    ws: Workspace,
    function: Callable[..., Any] | str,
    wanted: Family,
    *,
    experiment: str | None = None,
    name: str | None = None,
) -> str:
    """Begin a repeat and return its run; an engine carries it out."""
    return starting.begin(ws, function, wanted, experiment=experiment, name=name)


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if not 1 <= seeds <= families.MOST:
            raise BadInputError(
                f"seeds must be 1 to {families.MOST:,}, found {seeds}.", field="seeds"
            )
        return list(range(seeds))
    if isinstance(seeds, bool | str) or not isinstance(seeds, Sequence):
        raise BadInputError(
            f"seeds is a number or a list of whole numbers, found {seeds!r:.80}.", field="seeds"
        )
    found = list(seeds)
    for seed in found:
        if type(seed) is not int or not 0 <= seed < 2**63:
            raise BadInputError(
                f"A seed is a whole number from 0 to 2**63 - 1, found {seed!r:.40}.",
                field="seeds",
            )
    if not found or len(set(found)) != len(found):
        raise BadInputError("Each seed is wanted once, and one at least.", field="seeds")
    return found


def values_of(ws: Workspace, run: str, metric: str) -> dict[int, float]:
    """Return the values of a metric by seed, of a repeat's finished children.

    Raises:
        BadInputError: if the run is no repeat, or no child has the metric.
        ConflictError: if the repeat is still at work.
    """

    def look(tx: Tx) -> dict[int, float]:
        whole = runs.get(tx, run)
        asked = families.family_of(whole)
        if asked.kind != "repeat":
            raise BadInputError(f"Run {run} is a tuning; two repeats are compared.", field="run")
        if whole.status is RunStatus.RUNNING:
            raise ConflictError(
                f"Repeat {run} is still at work.",
                hint=f"Wait for it, or go on with it: mainspring repeat --resume {run}",
            )
        done = [m for m in families.members(tx, run) if m.run.status is RunStatus.FINISHED]
        found = {
            asked.seeds[m.number]: m.run.metrics[metric] for m in done if metric in m.run.metrics
        }
        if not found:
            known = dict.fromkeys(key for m in done for key in m.run.metrics)
            raise BadInputError(
                f"No repeat of {run} has a metric {metric!r}.",
                field="metric",
                hint=f"There are: {', '.join(known) or 'none'}.",
            )
        return found

    return ws.read(Permission.READ, look)


def compare(
    a: Values,
    b: Values,
    *,
    metric: str,
    better: Better | None,
    confidence: float = 0.95,
    power: float = 0.8,
    names: tuple[str, str] = ("A", "B"),
) -> Versus:
    """Say whether A beats B. Values by seed are paired where both have the same seeds.

    Two plain lists are not paired.

    Raises:
        BadInputError: if it is not said which way is better, or there are too few values.
    """
    if better not in ("higher", "lower"):
        raise BadInputError(
            f"Is a higher {metric} better, or a lower one? Found {better!r}.",
            field="better",
            hint="Say better='higher' or better='lower'.",
        )
    try:
        paired, left, right = _aligned(a, b)
        found = (test.paired if paired else test.welch)(left, right, confidence, power)
    except NumericsError as error:
        raise BadInputError(f"{metric}: {error}", field="metric") from error
    winner = _winner(found, better)
    result = Versus(
        metric=metric,
        better=better,
        verdict=winner,
        words="",
        paired=paired,
        n_a=found.n[0],
        n_b=found.n[1],
        mean_a=float(np.mean(left)),
        mean_b=float(np.mean(right)),
        difference=found.difference,
        low=found.low,
        high=found.high,
        confidence=confidence,
        p=found.p,
        exact_p=found.exact_p,
        exact_least=found.exact_least,
        detectable=found.detectable,
        needed=found.needed,
        power=power,
    )
    return _worded(result, names)


def _aligned(a: Values, b: Values) -> tuple[bool, list[float], list[float]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if set(a) == set(b):
            order = sorted(a)
            return True, [a[seed] for seed in order], [b[seed] for seed in order]
        return False, list(a.values()), list(b.values())
    left = list(a.values()) if isinstance(a, Mapping) else list(a)
    right = list(b.values()) if isinstance(b, Mapping) else list(b)
    return False, left, right


def _winner(found: test.Verdict, better: Better) -> Literal["A", "B", "unsure"]:
    """Return who wins, if the t test says so and the exact one, where it can, does not object."""
    alpha = 1 - found.confidence
    if found.p >= alpha or found.difference == 0:
        return "unsure"
    exact, least = found.exact_p, found.exact_least
    if exact is not None and least is not None and least < alpha <= exact:
        return "unsure"
    return "A" if (found.difference > 0) == (better == "higher") else "B"


def _worded(found: Versus, names: tuple[str, str]) -> Versus:
    import msgspec

    n = f"{found.n_a} paired seeds" if found.paired else f"{found.n_a} and {found.n_b} values"
    level = f"{found.confidence:.0%}"
    if found.verdict == "unsure":
        words = (
            f"With {n} it cannot be said whether {names[0]} or {names[1]} is better on"
            f" {found.metric}: {names[0]} is {abs(found.difference):.4g}"
            f" {'higher' if found.difference > 0 else 'lower'}, and the {level} interval of the"
            f" difference, {found.low:.4g} to {found.high:.4g},"
            f" {'holds 0' if found.low <= 0 <= found.high else 'rests on too few seeds'}."
        )
    else:
        first, second = names if found.verdict == "A" else names[::-1]
        words = (
            f"{first} beats {second} on {found.metric} by {abs(found.difference):.4g}"
            f" ({found.better} is better): the {level} interval of {names[0]} - {names[1]} is"
            f" {found.low:.4g} to {found.high:.4g}, from {n}."
        )
    if found.exact_least is not None and found.exact_least >= 1 - found.confidence:
        most = math.ceil(math.log2(2 / (1 - found.confidence)) + 1e-9)
        words += (
            f" So few seeds rest on the t test alone: the exact test of signs needs {most} to"
            f" reach {1 - found.confidence:.2g}."
        )
    if found.detectable <= 1e-9 * abs(found.difference):
        return msgspec.structs.replace(
            found, words=f"{words} Every seed gave the same difference."
        )
    words += f" So many seeds show a difference of {found.detectable:.4g} {found.power:.0%} of"
    words += " the time."
    if found.verdict == "unsure" and found.needed is not None:
        words += f" To find one like this takes {found.needed:,} seeds of each."
    return msgspec.structs.replace(found, words=words)


class Repeated:
    """What came of a repeat: its run, and mean, scatter and interval of each metric."""

    def __init__(self, found: Progress) -> None:
        self.progress = found
        self.id = found.run.id
        self.status = str(found.run.status)

    @property
    def metrics(self) -> dict[str, Any]:
        """Return n, mean, sd, low and high of each metric, by its name."""
        return {one.metric: one for one in self.progress.spreads}

    def __repr__(self) -> str:
        told = [_told(one) for one in self.progress.spreads]
        return "\n".join([self._title, *told])

    def _repr_html_(self) -> str:
        spreads = self.progress.spreads
        rows = [[one.metric, one.n, one.mean, one.sd, one.low, one.high] for one in spreads]
        columns = ("metric", "n", "mean", "sd", "low", "high")
        return Page(self._title).table("95 % interval of the mean", columns, rows).html()

    @property
    def _title(self) -> str:
        return f"repeat {self.id}: {self.progress.done} of {self.progress.count} {self.status}"


def _told(one: Any) -> str:
    if one.low is None:
        return f"  {one.metric}: {one.mean:.5g} (a single value)"
    return (
        f"  {one.metric}: {one.mean:.5g}, sd {one.sd:.3g}, 95 % interval of the mean"
        f" {one.low:.5g} to {one.high:.5g}, n {one.n}"
    )

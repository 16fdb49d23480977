"""Compare runs: which params differ, how metrics spread, and what else was not the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mainspring.experiments.columns import attribute_of
from mainspring.experiments.comparison import (
    Comparison,
    Group,
    Head,
    MetricRow,
    Row,
    Spread,
    to_json,
)
from mainspring.experiments.expressions import Kind
from mainspring.ground.objects import Run
from mainspring.numerics.intervals import CONFIDENCE, mean_interval

#: Tags that say from which code a run came, by what they are called here.
OF_CODE = {
    "commit": "mainspring.git.commit",
    "uncommitted changes": "mainspring.git.dirty",
    "branch": "mainspring.git.branch",
    "command": "mainspring.source",
    "python": "mainspring.python",
    "packages": "mainspring.packages",
    "seed": "mainspring.seed",
    "host": "mainspring.host",
}
#: Every run has another one of these, which says nothing.
_OWN = ("mainspring.nth", "mainspring.packages")


def compare(runs: Sequence[Run]) -> Comparison:
    """Return in what runs differ, and how their metrics spread."""
    of_code = set(OF_CODE.values())
    params, same_params = _differing([run.params for run in runs])
    tags, same_tags = _differing(
        [{k: v for k, v in run.tags.items() if k not in of_code and k not in _OWN} for run in runs]
    )
    code, _ = _differing(
        [{k: run.tags[tag] for k, tag in OF_CODE.items() if tag in run.tags} for run in runs]
    )
    keys = sorted({key for run in runs for key in run.metrics})
    return Comparison(
        runs=[
            Head(
                id=run.id,
                name=run.name,
                experiment=run.experiment,
                status=str(run.status),
                started=run.started,
                ended=run.ended,
            )
            for run in runs
        ],
        params=params,
        same_params=same_params,
        metrics=[
            MetricRow(
                key=key,
                values=[to_json(run.metrics.get(key)) for run in runs],
                spread=spread(runs, key),
            )
            for key in keys
        ],
        tags=tags,
        same_tags=same_tags,
        code=code,
    )


def rows_of(several: Sequence[Mapping[str, str]]) -> list[Row]:
    """Return the keys in which some mappings differ, one value each."""
    return _differing(several)[0]


def grouped(runs: Sequence[Run], kind: Kind, key: str) -> list[Group]:
    """Return the runs by what they have of a param, tag, metric or attribute.

    Groups come by value: numbers first, then texts, at the end those that lack it.
    """
    found: dict[str | None, list[Run]] = {}
    read = _reader(kind, key)
    for run in runs:
        found.setdefault(read(run), []).append(run)
    return [
        Group(
            value=value,
            runs=[run.id for run in members],
            metrics={
                metric: spread(members, metric)
                for metric in sorted({m for run in members for m in run.metrics})
                if (kind, key) != ("metric", metric)
            },
        )
        for value, members in sorted(found.items(), key=lambda each: _by_value(each[0]))
    ]


def spread(runs: Sequence[Run], key: str) -> Spread:
    """Return how the last values of a metric lie over runs."""
    held = [(run.metrics[key], run.id) for run in runs if key in run.metrics]
    finite = [(value, run) for value, run in held if math.isfinite(value)]
    values = np.array([value for value, _ in finite])
    lowest, highest = (min(finite), max(finite)) if finite else ((None, None), (None, None))
    mean = sd = low = high = None
    if finite:
        with np.errstate(over="ignore", invalid="ignore"):  # of 1e308 and the like
            mean = float(values.mean())
            if len(finite) > 1:
                sd = float(values.std(ddof=1))
                band = mean_interval(values, CONFIDENCE)
                low, high = band.low, band.high
    return Spread(
        runs=len(finite),
        odd=len(held) - len(finite),
        mean=to_json(mean),
        sd=to_json(sd),
        low=to_json(low),
        high=to_json(high),
        lowest=lowest[0],
        highest=highest[0],
        lowest_run=lowest[1],
        highest_run=highest[1],
    )


def _differing(several: Sequence[Mapping[str, str]]) -> tuple[list[Row], dict[str, str]]:
    """Return the keys whose values differ, and those that all have alike."""
    rows: list[Row] = []
    same: dict[str, str] = {}
    for key in sorted({key for one in several for key in one}):
        values = [one.get(key) for one in several]
        first = values[0]
        if first is not None and all(value == first for value in values):
            same[key] = first
        else:
            rows.append(Row(key=key, values=values))
    return rows, same


def _reader(kind: Kind, key: str) -> Callable[[Run], str | None]:
    def read(run: Run) -> str | None:
        found: Any
        if kind == "run":
            found = attribute_of(run, key)
        else:
            held: Mapping[str, Any] = getattr(run, f"{kind}s")
            found = held.get(key)
        return None if found is None else str(found)

    return read


def _by_value(value: str | None) -> tuple[int, float, str]:
    if value is None:
        return 2, 0.0, ""
    try:
        number = float(value)
    except ValueError:
        return 1, 0.0, value
    return (0, number, value) if math.isfinite(number) else (1, 0.0, value)

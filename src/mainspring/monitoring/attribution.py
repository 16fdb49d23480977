"""Say whether the model still listens to what it listened to at training.

The share of the response that each column carries is measured on a sample of the window as it
was at training (shuffle the column, see how far the score moves), and the two rankings are
compared by NDCG. It needs no labels. Blind spot: with one column of nearly all the weight that
stays on top the figure stays near 1 whatever happens to the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Finding
from mainspring.monitoring.columns import scores_of
from mainspring.monitoring.sight import Floats, Score, Sight
from mainspring.numerics.attribution import ndcg
from mainspring.numerics.relevance import response_shares

#: Rows that are shuffled, in two halves; what only one half says is chance.
SAMPLE_ROWS = 1_000
LEAST_ROWS = 200
#: Columns whose share is kept with a window, the heaviest now or at training.
MOST_COLUMNS = 20


def attribution_on_inputs(sight: Sight) -> list[Finding]:
    """Return how far the ranking moved, and the share of each of the heaviest columns."""
    training = {one.name: one.share for one in sight.baseline.columns if one.share > 0}
    told = _unusable(sight, training)
    if told or sight.score is None:
        return [_not_judged(told or "Not judged: the version's model is not at hand.")]
    _, taken = scores_of(sight.frame, sight.version)
    rows = sight.frame.filter(pl.Series(taken))
    if rows.height < LEAST_ROWS:
        why = f"Not judged: {rows.height:,} rows, {LEAST_ROWS} are needed."
        return [_not_judged(why, rows.height, few=True)]
    sample = rows.sample(min(rows.height, SAMPLE_ROWS), seed=0, shuffle=True)
    half = sample.height // 2
    try:
        halves = [
            shares_of(part, list(training), sight.score)
            for part in (sample.head(half), sample.tail(sample.height - half))
        ]
    except MainspringError as error:  # rows fed in by hand need not be what the model takes
        return [_not_judged(f"Not judged: the model refuses these rows: {error}", rows.height)]
    live = {name: (halves[0][name] + halves[1][name]) / 2 for name in training}
    return [_ranking(sight, training, live, halves, sample.height), *_columns(training, live)]


def shares_of(rows: pl.DataFrame, columns: list[str], score: Score) -> dict[str, float]:
    """Return the share of the model's response that each of some columns carries on rows."""

    def scored(places: Mapping[str, Any]) -> Floats:
        moved = [rows[name].gather(np.asarray(at)).alias(name) for name, at in places.items()]
        return score(rows.with_columns(moved))

    # The shuffle is done on row numbers, so that no value changes its type on the way.
    return response_shares(scored, {name: np.arange(rows.height) for name in columns})


def _ranking(
    sight: Sight,
    training: Mapping[str, float],
    live: Mapping[str, float],
    halves: list[dict[str, float]],
    rows: int,
) -> Finding:
    value = ndcg(training, live)
    apart = sorted(ndcg(training, half) for half in halves)
    line = sight.policy.attribution_line
    moved = value < line and apart[1] < line
    told = f"NDCG {value:.3f} of the columns' shares on {rows:,} rows, {line:g} is the line"
    if moved:
        first = max(training, key=lambda name: training[name])
        now = max(live, key=lambda name: live[name])
        told += (
            f": {first} carried {training[first]:.0%} of the response at training and carries"
            f" {live[first]:.0%}; most is {now} with {live[now]:.0%}"
        )
    return Finding(
        monitor="attribution",
        subject="ranking",
        value=value,
        baseline=1.0,
        line=line,
        rows=rows,
        verdict="alarm" if moved else "quiet",
        why=f"{told}.",
        detail={"halves": apart, "method": "permutation"},
    )


def _columns(training: Mapping[str, float], live: Mapping[str, float]) -> list[Finding]:
    heaviest = sorted(training, key=lambda name: (-max(training[name], live[name]), name))
    return [
        Finding(
            monitor="attribution",
            subject=name,
            value=live[name],
            baseline=training[name],
            why="Share of the model's response.",
        )
        for name in heaviest[:MOST_COLUMNS]
    ]


def _unusable(sight: Sight, training: Mapping[str, float]) -> str:
    if len(training) < 2:
        return "Not judged: fewer than two columns carried any of the response at training."
    gone = [name for name in training if name not in sight.frame.columns]
    if gone and sight.frame.height:
        return f"Not judged: the rows have no column {', '.join(map(repr, sorted(gone)[:5]))}."
    return ""


def _not_judged(why: str, rows: int = 0, *, few: bool = False) -> Finding:
    return Finding(
        monitor="attribution",
        subject="ranking",
        value=None,
        rows=rows,
        verdict="too few rows" if few else "not judged",
        why=why,
    )

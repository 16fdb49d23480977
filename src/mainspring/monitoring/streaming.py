"""Compare a stream of frames with a stored profile: any number of rows in bounded memory.

For what is larger than a window is held: a day of batches, a file of a hundred million rows.
The order of rows is not followed, so that rows count as independent of each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from mainspring.ground.objects import MonitorPolicy, Profile
from mainspring.monitoring.columns import Declared, Summary, summarise
from mainspring.monitoring.drift import judge_drift
from mainspring.monitoring.quality import judge_quality
from mainspring.numerics import frequent
from mainspring.numerics.frequent import Frequent

Row = dict[str, Any]


def compare_frames(
    frames: Iterable[pl.DataFrame],
    baseline: Profile,
    policy: MonitorPolicy,
    declared: Mapping[str, Declared] | None = None,
) -> tuple[int, list[Row], list[Row]]:
    """Return the rows, and the drift and the quality of their columns against a profile.

    Rows of the answer are those of :func:`mainspring.monitoring.drift.judge_drift` and
    :func:`mainspring.monitoring.quality.judge_quality`. ``declared`` are the types of columns
    by name, where they are known.
    """
    declared = declared or {}
    rows = 0
    whole: list[Summary] = []
    extra: set[str] = set()
    known = {column.name for column in baseline.columns}
    for frame in frames:
        part = [
            summarise(
                frame[column.name] if column.name in frame.columns else None,
                column,
                declared.get(column.name),
                frame.height,
            )
            for column in baseline.columns
        ]
        whole = [merge(a, b) for a, b in zip(whole, part, strict=True)] if whole else part
        extra |= {name for name in frame.columns if name not in known and name[:1] != "_"}
        rows += frame.height
    if not whole:
        whole = [summarise(None, column, None, 0) for column in baseline.columns]
    return rows, judge_drift(whole, None, policy), judge_quality(whole, None, extra, policy)


def merge(one: Summary, two: Summary) -> Summary:
    """Return the summary of two parts of a column's rows.

    Beyond 8,192 categories the rarest are let go, which understates how often one came by at
    most 1 in 8,192 rows; unseen ones are kept with the rest.
    """
    rows, here = one.rows + two.rows, one.present + two.present
    means = [(s.mean, s.present) for s in (one, two) if s.mean is not None]
    total = sum(n for _, n in means)
    lows = [s.low for s in (one, two) if s.low is not None]
    highs = [s.high for s in (one, two) if s.high is not None]
    counts = one.counts if two.counts is None else two.counts
    if one.counts is not None and two.counts is not None:
        counts = one.counts + two.counts
    return replace(
        one,
        rows=rows,
        missing=rows - here,
        vanished=one.vanished and two.vanished,
        wrong=one.wrong + two.wrong,
        outside=one.outside + two.outside,
        unseen=_added(one.unseen, two.unseen),
        counts=counts,
        categories=_added(one.categories, two.categories),
        low=min(lows, default=None),
        high=max(highs, default=None),
        mean=sum(m * n for m, n in means) / total if total else None,
    )


def _added(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    if not one or not two:
        return dict(one or two)
    both = Counter(one)
    both.update(two)
    if len(both) <= frequent.MOST:
        return dict(both)
    return dict(frequent.top(Frequent(both, both.total()), frequent.MOST)[0])

"""Say whether columns still move together as they did: drift that no single column shows.

A join that broke, a column shuffled among rows, a sensor read the other way round: every column
keeps its distribution, and their correlations change. The rank correlation of every two columns
is compared with that of the version's reference rows. A change is an alarm only if it is
*certain* (beyond what chance reaches among all pairs), *material* (above
``MonitorPolicy.material_joint``) and *relevant* (the model listens to both columns; others are
not compared). Of categories the most common ones are compared, each as a flag: an order of them
that is learned from the reference, such as by mean score, fits it better than any window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.objects import ColumnProfile, Finding
from mainspring.monitoring.columns import Floats, as_numbers
from mainspring.monitoring.seasons import phase_of
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.monitoring.streaks import event_order
from mainspring.numerics.correlation import (
    Changes,
    correlation_changes,
    correlations_of,
    pair_effects,
    rank_correlations,
    unit_ranks,
)
from mainspring.numerics.profiles import OTHER

#: Rows of either side that are compared; more make a correlation no better than it must be.
MOST_ROWS = 10_000
#: Columns that are compared, those first that the model listens to most: 780 pairs.
MOST_COLUMNS = 40
#: Levels of a category that are compared, and columns and levels in all.
LEVELS, MOST_PARTS = 4, 60
#: A column of which fewer values than this are there is not compared: that is a matter of quality.
LEAST_PRESENT = 0.5
SUBJECT = "all pairs"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Part:
    """A number column, or one level of a category column."""

    column: ColumnProfile
    level: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns whose correlation changed."""

    first: str
    second: str
    before: float
    now: float

    @property
    def change(self) -> float:
        """How far the correlation moved."""
        return abs(self.now - self.before)

    def __str__(self) -> str:
        return f"{self.first} and {self.second} from {self.before:+.2f} to {self.now:+.2f}"


def joint(sight: Sight) -> list[Finding]:
    """Return how far correlations changed: one finding for all pairs, and one for each cause.

    The finding of ``all pairs`` is there for every window; its value is the largest change of
    any correlation, ``smallest`` what every pair could have been seen to change by. A cause is
    the column that most of the changed pairs have in common, or the pair, if it is but one;
    these are alarms.
    """
    columns = _relevant(sight)
    reason = _reason_untested(sight, columns)
    if reason is not None or sight.reference is None:
        return [_untested(sight, reason or "")]
    parts = _parts(columns)
    step = -(-sight.reference.height // MOST_ROWS)
    before = _encoded(sight.reference.gather_every(step), parts)
    now = _encoded(_sampled(sight.frame), parts)
    kept = [
        place
        for place in range(len(parts))
        if all(_tells(side[:, place]) for side in (before, now))
    ]
    names = [parts[place].column.name for place in kept]
    if len(set(names)) < 2:
        return [_untested(sight, "fewer than two columns have values that differ")]
    ranks = unit_ranks(now[:, kept])
    here = correlations_of(ranks)
    labels = [f"{parts[place].column.name}={parts[place].level or ''}" for place in kept]
    state = _state(sight, labels, here, now.shape[0])
    usual = _usual(sight, labels)
    if usual is None:
        usual = (rank_correlations(before[:, kept]), before.shape[0])
    elif usual[1] < sight.policy.min_rows:
        unseen = (
            "this phase of the season was not seen before: there is nothing to compare it with"
        )
        return [msgspec.structs.replace(_untested(sight, unseen), detail=state)]
    alpha = alpha_of("joint", sight.policy.alpha)
    effects: Floats | float = 1.0
    if "_time" in sight.frame.columns:
        effects = pair_effects(ranks, alpha / (len(kept) * (len(kept) - 1) / 2))
    changes = correlation_changes(usual[0], here, usual[1], now.shape[0], alpha, effects)
    state |= {"compared_rows": now.shape[0], "columns_left_out": len(columns) - len(set(names))}
    return _told(sight, names, changes, state)


def _state(sight: Sight, labels: Sequence[str], here: Floats, rows: int) -> dict[str, Any]:
    """Return what windows of the same phase will be compared with, where there are phases."""
    if phase_of(sight.policy, sight.span[0]) is None:
        return {}
    above = here[np.triu_indices(len(labels), 1)]
    return {"parts": list(labels), "rows": rows, "correlations": above.round(3).tolist()}


def _usual(sight: Sight, labels: Sequence[str]) -> tuple[Floats, int] | None:
    """Return the correlations of quiet windows of the same phase, and on how many rows they rest.

    None where no season is declared, or windows hold whole ones.
    """
    phase = phase_of(sight.policy, sight.span[0])
    if phase is None:
        return None
    total, rows = np.zeros((len(labels), len(labels))), 0
    above = np.triu_indices(len(labels), 1)
    for window in sight.earlier:
        if window.version != sight.version or phase_of(sight.policy, window.start) != phase:
            continue
        for found in window.found:
            if found.monitor != "joint" or found.detail.get("parts") != list(labels):
                continue
            if found.verdict in ("quiet", "not judged"):
                total[above] += np.asarray(found.detail["correlations"]) * found.detail["rows"]
                rows += found.detail["rows"]
    return (total + total.T) / max(rows, 1) + np.eye(len(labels)), rows


def _told(
    sight: Sight, names: Sequence[str], changes: Changes, state: dict[str, Any]
) -> list[Finding]:
    line = sight.policy.material_joint
    moved = np.abs(changes.now - changes.before)
    # Two levels of one column hang together by what they are.
    apart = np.array(names)[changes.first] != np.array(names)[changes.second]
    apart &= changes.enough
    if not apart.any():
        return [_untested(sight, "no two columns share enough rows that tell of both")]
    ranked = [at for at in np.argsort(-moved, kind="stable") if apart[at]]
    every = [
        Pair(
            names[changes.first[at]],
            names[changes.second[at]],
            float(changes.before[at]),
            float(changes.now[at]),
        )
        for at in ranked
    ]
    certain = [pair for pair, at in zip(every, ranked, strict=True) if changes.certain[at]]
    material = [pair for pair in certain if pair.change > line]
    smallest = max(float(changes.reach[apart].max()), line)
    told = f"The correlation that changed most is that of {every[0]}"
    if not certain:
        why = (
            f"{told}; that may be chance. A change below {smallest:.2f} could not have been seen."
        )
    elif not material:
        why = f"{told}. Certain, but below {line:g}, where it begins to matter."
    else:
        why = f"{len(material)} of {len(every)} correlations changed. {told}."
    shown = [[one.first, one.second, one.before, one.now] for one in every[:_SHOWN]]
    whole = Finding(
        monitor="joint",
        subject=SUBJECT,
        value=float(moved[apart].max()),
        line=line,
        smallest=smallest,
        rows=sight.frame.height,
        verdict="notice" if material else "quiet",
        why=why,
        detail={"pairs": len(every), "most_changed": shown, **state},
    )
    return [whole, *(_cause(sight, name, pairs) for name, pairs in causes(material))]


def causes(pairs: Sequence[Pair]) -> list[tuple[str, list[Pair]]]:
    """Return what the changed pairs have in common, the column in most of them first.

    One column that was shuffled changes all of its pairs: that is one cause and not forty.

    >>> one, two = Pair("a", "b", 0.5, 0.0), Pair("c", "b", 0.4, 0.0)
    >>> [(name, len(found)) for name, found in causes([one, two])]
    [('b', 2)]
    >>> causes([one])[0][0]
    'a and b'
    """
    left, found = list(pairs), []
    while left:
        count: Counter[str] = Counter()
        for pair in left:
            count.update((pair.first, pair.second))
        name = min(count, key=lambda column: (-count[column], column))
        mine = [pair for pair in left if name in (pair.first, pair.second)]
        if len(mine) == 1:
            found += [(" and ".join(sorted((p.first, p.second))), [p]) for p in left]
            break
        found.append((name, mine))
        left = [pair for pair in left if pair not in mine]
    return found


def _cause(sight: Sight, name: str, pairs: Sequence[Pair]) -> Finding:
    worst = max(pairs, key=lambda pair: pair.change)
    if len(pairs) == 1:
        why = f"{worst.first} and {worst.second} no longer move together as they did: their rank"
        why += f" correlation went from {worst.before:+.2f} to {worst.now:+.2f}."
    else:
        why = (
            f"{name} no longer moves together with {len(pairs)} other columns as it did; most"
            f" changed is the rank correlation of {worst}."
        )
    why += f" From {sight.policy.material_joint:g} on it matters, and chance is ruled out."
    return Finding(
        monitor="joint",
        subject=name,
        value=worst.change,
        baseline=0.0,
        line=sight.policy.material_joint,
        rows=sight.frame.height,
        verdict="alarm",
        why=why,
        detail={"pairs": [[one.first, one.second, one.before, one.now] for one in pairs]},
    )


def _relevant(sight: Sight) -> list[ColumnProfile]:
    """Return the columns that are there on both sides and that the model listens to."""
    there = set(sight.frame.columns)
    there &= set(() if sight.reference is None else sight.reference.columns)
    found = [
        column
        for column in sight.baseline.columns
        if column.share >= sight.policy.relevant and column.name in there
    ]
    return sorted(found, key=lambda column: (-column.share, column.name))[:MOST_COLUMNS]


def _reason_untested(sight: Sight, columns: Sequence[ColumnProfile]) -> str | None:
    least = sight.policy.min_rows
    if sight.reference is None:
        return "the version was made before reference rows were kept"
    if sight.reference.height < least:
        return f"the version keeps {sight.reference.height:,} reference rows, {least:,} are needed"
    if sight.frame.height < least:
        return f"the window has {sight.frame.height:,} rows, {least:,} are needed"
    if len(columns) < 2:
        return "the model listens to fewer than two columns that are there"
    return None


def _untested(sight: Sight, reason: str) -> Finding:
    few = sight.reference is not None and sight.frame.height < sight.policy.min_rows
    return Finding(
        monitor="joint",
        subject=SUBJECT,
        value=None,
        rows=sight.frame.height,
        verdict="too few rows" if few else "not judged",
        why=f"Not judged: {reason}.",
    )


def _sampled(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows at equal distances in the order of time, at most :data:`MOST_ROWS`."""
    order = event_order(frame)
    places = np.arange(frame.height) if order is None or order.size == 0 else order
    if places.size <= MOST_ROWS:
        return frame if order is None or order.size == 0 else frame[places]
    chosen = np.linspace(0, places.size - 1, MOST_ROWS).astype(np.int64)
    return frame[places[chosen]]


def _parts(columns: Sequence[ColumnProfile]) -> list[Part]:
    """Return what is compared: numbers as they are, and the common levels of categories."""
    found = []
    for column in columns:
        if column.type == "number":
            found.append(Part(column, None))
            continue
        levels = {k: n for k, n in column.categories.items() if k != OTHER}
        common = sorted(levels, key=lambda name: (-levels[name], name))
        # The last level is known from the others.
        found += [Part(column, name) for name in common[: min(LEVELS, len(levels) - 1)]]
    return found[:MOST_PARTS]


def _encoded(frame: pl.DataFrame, parts: Sequence[Part]) -> Floats:
    """Return the parts as numbers, shape (rows, parts); NaN where a value is missing."""
    return np.stack([_values(frame[part.column.name], part.level) for part in parts], axis=1)


def _values(column: pl.Series, level: str | None) -> Floats:
    if level is None:
        return as_numbers(column)[0]
    if column.dtype in (pl.Object, pl.Null) or column.dtype.is_nested():
        return np.full(column.len(), np.nan)
    if column.dtype == pl.Boolean:
        flags = column if level == "true" else ~column
    else:
        flags = column.cast(pl.String, strict=False) == level
    return as_numbers(flags)[0]


def _tells(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size >= LEAST_PRESENT * values.size and known.size and np.ptp(known) > 0)

"""Say of every column how far it moved, whether that is certain, and whether it matters.

A shift is an alarm only if it is *certain* (beyond the radius that chance reaches in one of
1/alpha windows, shared among all things tested in the window), *material* (beyond a fixed
distance) and *relevant* (the model listens to the column). Certain and material in a column
the model hardly listens to is a notice. PSI, Jensen-Shannon and Wasserstein are shown, and
decide nothing. Rows that depend on those before them count for as many independent rows as
their design effect says (see :mod:`mainspring.monitoring.streaks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import MonitorPolicy
from mainspring.monitoring.columns import Summary
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.streaks import Reckoned, place_of
from mainspring.numerics.distances import (
    certain_radius,
    jensen_shannon,
    ks_from_counts,
    mean_shift_seen,
    psi,
    psi_bias,
    total_variation,
    total_variation_bias,
)
from mainspring.numerics.histograms import coarsen, equal_share_cuts
from mainspring.numerics.profiles import OTHER

#: Rows that count for fewer independent ones than this tell nothing of their own dependence.
LEAST_INDEPENDENT = 20
#: A category with fewer baseline rows is compared as one of "the rare ones": its own share is
#: hardly known, and new rare values keep coming without anything having changed.
RARE_ROWS = 5
#: From so many rows that count as one on, rows come in runs, and rare is counted by the run.
CLUSTERED = 2.5

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cells:
    """The same cells counted at the baseline and in the window."""

    before: npt.NDArray[np.int64]
    now: npt.NDArray[np.int64]
    #: Share of rows that only seems to leave the named categories: those were named for having
    #: many rows at the baseline, and some of them had more than their due.
    turned: float = 0.0


def judge_drift(
    summaries: Sequence[Summary],
    score: Summary | None,
    policy: MonitorPolicy,
    known: Mapping[str, Reckoned] = MappingProxyType({}),
) -> list[Row]:
    """Return one row a column, and one for the score where it can be judged, last.

    ``known`` is the dependence to reckon with by column, ``score`` for the score; where it names
    none, that of the summary counts. A row states ``distance``, ``radius``, ``smallest`` (the
    least shift this window could have alarmed on) and ``smallest_in_words``, ``effect`` (the
    design effect: how many rows count as one), what is shown beside them, ``verdict`` (quiet,
    notice, alarm, too few rows) and ``why`` in words.
    """
    things = [(s, _reason_untested(s, policy)) for s in summaries]
    if score is not None:
        things.append((score, _reason_untested(score, policy)))
    tested = sum(1 for _, reason in things if reason is None)
    found = []
    for summary, reason in things:
        name = "score" if summary is score else summary.baseline.name
        seen = known.get(name) or Reckoned(summary.dependence)
        effect = seen.certain(alpha_of("drift", policy.alpha) / max(tested, 1))
        untested = reason or _reason_dependent(summary, effect)
        if untested is None:
            found.append(_row(summary, policy, tested, effect, is_score=summary is score))
        else:
            found.append(_untested(summary, untested, is_score=summary is score))
    return found


def cells_of(summary: Summary, effect: float = 1.0) -> Cells:
    """Return the counts that a distance compares.

    Numbers: the cells of the baseline's histogram. Categories: the baseline's frequent values,
    and one cell for the rare ones, the new ones and those that were not kept by name. Where
    ``effect`` rows count as one, a value that came in one run of rows is rare all the same.
    """
    base = summary.baseline
    if base.type == "number":
        before = np.asarray(base.counts, dtype=np.int64)
        now = np.zeros_like(before) if summary.counts is None else summary.counts
        return Cells(before, now)
    run = effect if effect >= CLUSTERED else 1.0
    least = RARE_ROWS * run
    if OTHER in base.categories:  # those kept by name had at least as many rows as the rarest
        least = max(least, min((n for k, n in base.categories.items() if k != OTHER), default=0))
    frequent = [k for k, n in base.categories.items() if n >= least and k != OTHER]
    named = set(frequent)
    kept_before = [base.categories[k] for k in frequent]
    kept_now = [summary.categories.get(k, 0) for k in frequent]
    rare_before = sum(n for k, n in base.categories.items() if k not in named)
    rare_now = sum(n for k, n in summary.categories.items() if k not in named)
    # Turing's estimate (Good, Biometrika 40, 1953): values seen r + 1 times have about as many
    # rows to come as those seen r times had; summed from r on, r rows of each seen r times leave.
    # Rows that come in runs are counted by the run.
    turned = sum(n for n in kept_before if n < least + run) / max(sum(kept_before), 1)
    before, now = np.array([*kept_before, rare_before]), np.array([*kept_now, rare_now])
    return Cells(before, now, turned)


def _reason_untested(summary: Summary, policy: MonitorPolicy) -> str | None:
    """Return why a column cannot be judged, or None if it can."""
    base = summary.baseline
    known = base.rows - base.missing
    if summary.vanished:
        return "the column was in none of the rows"
    if known < policy.min_rows:
        return f"the baseline has {known:,} values of it, {policy.min_rows:,} are needed"
    if summary.present == 0:
        return f"none of the {summary.rows:,} rows has a value"
    if summary.present < policy.min_rows:
        return f"{summary.present:,} rows have a value, {policy.min_rows:,} are needed"
    return None


def _reason_dependent(summary: Summary, effect: float) -> str | None:
    """Return why rows that depend on each other are too few, or None if they are not."""
    fewer = summary.present / effect
    if effect <= 1 or fewer >= LEAST_INDEPENDENT:
        return None
    return (
        f"the {summary.present:,} rows depend on each other so much that they count for"
        f" {fewer:.0f}, and {LEAST_INDEPENDENT} are needed"
    )


def _untested(summary: Summary, reason: str, *, is_score: bool) -> Row:
    return {
        **_start(summary, is_score=is_score),
        "distance": None,
        "radius": None,
        "smallest": None,
        "certain": False,
        "material": False,
        "verdict": "too few rows",
        "why": f"Not judged: {reason}.",
    }


def _start(summary: Summary, *, is_score: bool) -> Row:
    base = summary.baseline
    return {
        "column": "score" if is_score else base.name,
        "kind": "score_drift" if is_score else "drift",
        "type": base.type,
        "method": "KS distance" if base.type == "number" else "total variation",
        "share": 1.0 if is_score else base.share,
        "rows": summary.present,
        "baseline_rows": base.rows - base.missing,
        "effects": {str(k): round(v, 3) for k, v in summary.dependence.effects.items()},
    }


def _row(
    summary: Summary, policy: MonitorPolicy, tested: int, effect: float, *, is_score: bool
) -> Row:
    row = _start(summary, is_score=is_score)
    cells = cells_of(summary, effect)
    alpha = alpha_of("drift", policy.alpha)
    n, m = (max(row[side] / effect, 1.0) for side in ("baseline_rows", "rows"))
    radius = certain_radius(n, m, tested, alpha)
    if summary.baseline.type == "number":
        distance = ks_from_counts(cells.before, cells.now)
    else:
        raw = total_variation(cells.before, cells.now)
        # What samples of one population differ by on average is no shift.
        bias = total_variation_bias(cells.before / cells.before.sum(), n, m) + cells.turned
        distance = max(raw - bias, 0.0)
    line = policy.material_score if is_score else policy.material
    certain, material = distance > radius, distance > line
    relevant = is_score or summary.baseline.share >= policy.relevant
    verdict = "quiet"
    if certain and material:
        verdict = "alarm" if relevant else "notice"
    row |= {
        "distance": distance,
        "radius": radius,
        "smallest": max(radius, line),
        "smallest_in_words": smallest_in_words(summary, max(radius, line)),
        "line": line,
        "tested": tested,
        "effect": effect,
        "place": [round(one, 6) for one in place_of(cells.now)],
        "certain": certain,
        "material": material,
        "relevant": relevant,
        "verdict": verdict,
        **_shown(summary, cells),
    }
    row["why"] = _words(row, policy)
    return row


def smallest_in_words(summary: Summary, smallest: float) -> str:
    """Return what a distance is about, in words: a shift of the mean, or points of a category."""
    if smallest >= 1:
        return "no shift at all"
    base = summary.baseline
    if base.type == "category":
        return f"{100 * smallest:.2g} points from one category to others"
    deviations = mean_shift_seen(base.edges, base.counts, base.std or 0.0, smallest)
    if deviations is None:
        return f"{100 * smallest:.2g} points of rows across some value"
    return f"{deviations:.2g} standard deviations of the mean"


def _shown(summary: Summary, cells: Cells) -> Mapping[str, Any]:
    """Return the measures people know, for display."""
    base = summary.baseline
    before, now = cells.before, cells.now
    shown: dict[str, Any] = {}
    if base.type == "number":
        cuts = equal_share_cuts(before)
        before, now = coarsen(before, cuts), coarsen(now, cuts)
        shown["wasserstein"] = _moved(summary, cells)
        shown["mean"], shown["baseline_mean"] = summary.mean, base.mean
    else:
        shown["moved"] = _most_moved(summary)
    used = int(((before + now) > 0).sum())
    shown["psi"] = psi(before, now)
    shown["psi_bias"] = psi_bias(max(used, 1), int(before.sum()), int(now.sum()))
    shown["js"] = jensen_shannon(before, now)
    return shown


def _moved(summary: Summary, cells: Cells) -> float | None:
    """Return about how far values moved on average, in standard deviations of the baseline.

    The area between the cumulative counts, taken as straight between two edges.
    """
    base = summary.baseline
    if base.low is None or base.high is None or summary.low is None or summary.high is None:
        return None
    edges = np.asarray(base.edges)
    gaps = np.cumsum(cells.before / cells.before.sum() - cells.now / cells.now.sum())[:-1]
    points = np.concatenate(
        ([min(base.low, summary.low, edges[0])], edges, [max(base.high, summary.high, edges[-1])])
    )
    heights = np.abs(np.concatenate(([0.0], gaps, [0.0])))
    with np.errstate(over="ignore", invalid="ignore"):
        area = float((np.diff(points) * (heights[1:] + heights[:-1]) / 2).sum())
    moved = area / (base.std or 1.0)
    return moved if np.isfinite(moved) else None


def _most_moved(summary: Summary) -> list[Row]:
    """Return the five categories whose shares changed most."""
    base, n, m = (
        summary.baseline,
        summary.baseline.rows - summary.baseline.missing,
        summary.present,
    )
    names = base.categories.keys() | summary.categories.keys()
    found: list[Row] = [
        {
            "category": name,
            "before": base.categories.get(name, 0) / n,
            "now": summary.categories.get(name, 0) / m,
        }
        for name in names
        if name != OTHER
    ]
    found.sort(key=lambda one: (-abs(one["now"] - one["before"]), one["category"]))
    return found[:5]


def _words(row: Row, policy: MonitorPolicy) -> str:
    told = (
        f"{row['method']} {row['distance']:.3f} between {row['rows']:,} rows and"
        f" {row['baseline_rows']:,} at training"
    )
    told += dependent(row)
    if not row["certain"]:
        return (
            f"{told}; chance alone reaches {row['radius']:.3f}, and this window could not have"
            f" seen less than {row['smallest']:.3f} (about {row['smallest_in_words']})."
        )
    told = f"{told}; chance reaches {row['radius']:.3f} in one of {1 / policy.alpha:,.0f} windows"
    if not row["material"]:
        return f"{told}. A certain shift, but below {row['line']:g}, where it begins to matter."
    parts = [f"{told}, and from {row['line']:g} on it matters.", _from_to(row)]
    if row["column"] != "score" or row["kind"] == "drift":
        listens = "and" if row["relevant"] else "but only"
        parts.append(f"It moved, {listens} {_percent(row['share'])} of the model's response"
                     " hangs on it.")  # fmt: skip
    return " ".join(part for part in parts if part)


def dependent(row: Row) -> str:
    """Return in words for how many independent rows the rows count, if for fewer.

    Below 1.5 there is nothing to tell: so much an estimate is raised by not knowing it exactly.
    """
    if row["effect"] < 1.5:
        return ""
    fewer = row["rows"] / row["effect"]
    return f" (rows depend on those before them and count for {fewer:,.0f})"


def _from_to(row: Row) -> str:
    if row["type"] == "number":
        if row["mean"] is None or row["baseline_mean"] is None:
            return ""
        return f"Its mean went from {row['baseline_mean']:.4g} to {row['mean']:.4g}."
    first = row["moved"][0]
    return (
        f"Most moved: {first['category']!r}, from {_percent(first['before'])} to"
        f" {_percent(first['now'])}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

"""Judge drift where a season is declared: windows of one phase with those of the same phase.

Mornings are not evenings. Where the season is longer than a window, every window has a phase of
it, and is compared twice, each with half of the chance that drift may spend: with the quiet
windows of its phase before, and, once a whole season is seen, all windows of that season together
with training. So a window that is unlike its phase is an alarm at once, and a first season
that is unlike training at its end. A phase that was not seen before is not judged by itself: there
is nothing to compare it with. Windows that hold whole seasons are compared with training as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import MonitorPolicy, Window
from mainspring.monitoring.columns import Summary
from mainspring.monitoring.drift import Row, cells_of, judge_drift, smallest_in_words
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.streaks import Reckoned
from mainspring.numerics.distances import certain_radius, ks_from_counts, total_variation
from mainspring.numerics.distances import total_variation_bias as bias_of
from mainspring.numerics.histograms import coarsen, equal_share_cuts
from mainspring.numerics.intervals import wilson

Counts = npt.NDArray[np.int64]

#: Cells of a number, and categories by name, that windows keep for those that come after.
KEPT_CELLS = 32


@dataclass(frozen=True, slots=True)
class Phase:
    """Which part of the season a window is, of how many, and how many windows a season has."""

    number: int
    of: int
    windows: int


def phase_of(policy: MonitorPolicy, start: float) -> Phase | None:
    """Return the phase of a window; None if none is declared or windows hold whole seasons.

    >>> phase_of(MonitorPolicy(window_s=21600.0, season_s=86400.0), start=108000.0)
    Phase(number=1, of=4, windows=4)
    """
    if policy.season_s is None or policy.window_s >= policy.season_s:
        return None
    windows = round(policy.season_s / policy.window_s)
    phases = policy.season_phases or windows
    share = (start % policy.season_s) / policy.season_s
    # A start that lies a rounding before its phase belongs to it.
    return Phase(int(share * phases + 1e-6) % phases, phases, windows)


def judge_in_season(
    summaries: Sequence[Summary],
    score: Summary | None,
    policy: MonitorPolicy,
    known: Mapping[str, Reckoned],
    span: tuple[float, float],
    earlier: Sequence[Window],
    version: int | None,
) -> list[Row]:
    """Return the rows of :func:`mainspring.monitoring.drift.judge_drift`, in their season.

    A row says besides: ``phase`` of ``phases``, ``seen`` (windows of its phase it was compared
    with), ``cells`` (its counts, for the windows after it) and ``whole`` (distance and radius of
    the whole season against training, None before there is one).
    """
    phase = phase_of(policy, span[0])
    if phase is None:
        return judge_drift(summaries, score, policy, known)
    half = msgspec.structs.replace(policy, alpha=policy.alpha / 2)
    rows = judge_drift(summaries, score, half, known)
    before = [window for window in earlier if window.version == version]
    every = [*summaries, *([score] if score is not None else [])]
    return [
        _in_phase(row, summary, half, phase, span, before)
        for row, summary in zip(rows, every, strict=True)
    ]


def usual_for_phase(
    rows: Sequence[Row], phase: Phase | None, policy: MonitorPolicy, earlier: Sequence[Window]
) -> list[Row]:
    """Return the rows of quality, missing values judged by what is usual in their phase.

    At night a sensor may sleep: a rate that is not certainly above that of the same phase before
    is a notice, also where the phase was never seen before.
    """
    if phase is None:
        return list(rows)
    chance = alpha_of("quality", policy.alpha) / max(len(rows), 1)
    found = []
    for row in rows:
        if row["verdict"] != "alarm" or row["check"] != "missing":
            found.append(row)
            continue
        past = [
            other
            for window in _same_phase(earlier, policy, phase)
            for other in window.quality
            if (other["column"], other["check"]) == (row["column"], "missing")
            and other["verdict"] != "alarm"
        ]
        count, seen = sum(r["count"] for r in past), sum(r["rows"] for r in past)
        fewer = max(int(seen / row["effect"]), 1)
        usual = wilson(min(round(count / row["effect"]), fewer), fewer, 1 - chance)
        if seen and row["low"] > usual.high:
            found.append(row)
        else:
            words = "as usual in this phase" if seen else "and this phase was not seen before"
            found.append(row | {"verdict": "notice", "why": f"{row['why'][:-1]}, {words}."})
    return found


def _in_phase(
    row: Row,
    summary: Summary,
    policy: MonitorPolicy,
    phase: Phase,
    span: tuple[float, float],
    before: Sequence[Window],
) -> Row:
    place = {"phase": phase.number, "phases": phase.of, "seen": 0, "whole": None}
    if row["distance"] is None:
        return row | place
    cells = _kept_cells(summary)
    row |= {**place, "cells": cells.tolist()}
    past = [
        np.asarray(other["cells"], dtype=np.int64)
        for window in _same_phase(before, policy, phase)
        for other in window.drift
        if _is_usual(other, row, cells.size)
    ]
    row["whole"] = _whole(row, summary, policy, cells, phase, span, before)
    row["seen"] = len(past)
    if past:
        usual = np.sum(past, axis=0)
        row |= _distance(row, summary, policy, usual, cells)
        row["baseline_rows"] = int(usual.sum())
    return row | _verdict(row, summary, phase)


def _verdict(row: Row, summary: Summary, phase: Phase) -> Row:
    whole = row["whole"]
    unlike = whole is not None and whole["distance"] > max(whole["radius"], row["line"])
    moved = row["seen"] > 0 and row["certain"] and row["material"]
    found = "alarm" if row["relevant"] else "notice"
    told = f"Phase {phase.number + 1} of {phase.of} of the season"
    against = f"{row['seen']} quiet windows of the same phase ({row['baseline_rows']:,} rows)"
    if moved:
        why = (
            f"{told}: {row['method']} {row['distance']:.3f} to {against}, of which chance reaches"
            f" {row['radius']:.3f}, and from {row['line']:g} on it matters."
        )
    elif unlike:
        why = (
            f"The whole season until now is {whole['distance']:.3f} from training by"
            f" {row['method']}; chance reaches {whole['radius']:.3f}, and from {row['line']:g} on"
            " it matters."
        )
    elif row["seen"]:
        why = (
            f"{told}: {row['method']} {row['distance']:.3f} to {against}; this window could not"
            f" have seen less than {row['smallest']:.3f} (about"
            f" {smallest_in_words(summary, row['smallest'])})."
        )
    else:
        why = f"{told} was not seen before: there is nothing to compare it with yet."
        row |= {"distance": None, "radius": None, "smallest": None, "smallest_in_words": ""}
        row |= {"certain": False, "material": False}
    if (moved or unlike) and row["kind"] == "drift":
        listens = "" if row["relevant"] else "only "
        why += f" Of the model's response {listens}{100 * row['share']:.3g} % hangs on it."
    quiet = "quiet" if row["seen"] else "not judged"
    return {"verdict": found if moved or unlike else quiet, "why": why}


def _distance(
    row: Row, summary: Summary, policy: MonitorPolicy, before: Counts, now: Counts
) -> Row:
    """Return how far two counts over the kept cells are apart, and what that says."""
    n, m = (max(int(side.sum()) / row["effect"], 1.0) for side in (before, now))
    radius = certain_radius(n, m, row["tested"], alpha_of("drift", policy.alpha))
    if summary.baseline.type == "number":
        distance = ks_from_counts(before, now)
    else:
        distance = total_variation(before, now) - bias_of(before / before.sum(), n, m)
        distance = max(distance, 0.0)
    smallest = max(radius, row["line"])
    return {
        "distance": distance,
        "radius": radius,
        "smallest": smallest,
        "smallest_in_words": smallest_in_words(summary, smallest),
        "certain": distance > radius,
        "material": distance > row["line"],
    }


def _whole(
    row: Row,
    summary: Summary,
    policy: MonitorPolicy,
    cells: Counts,
    phase: Phase,
    span: tuple[float, float],
    before: Sequence[Window],
) -> dict[str, Any] | None:
    """Return how far the season that ends with this window is from training, if all is known."""
    since = span[1] - (policy.season_s or 0.0) - policy.window_s / 2
    parts = [
        np.asarray(other["cells"], dtype=np.int64)
        for window in before
        if since < window.start < span[0]
        for other in window.drift
        if other["column"] == row["column"] and len(other.get("cells", ())) == cells.size
    ]
    if len(parts) < phase.windows - 1:
        return None
    season = np.sum([cells, *parts], axis=0)
    found = _distance(row, summary, policy, _kept_cells(summary, of_baseline=True), season)
    return {"distance": found["distance"], "radius": found["radius"], "windows": len(parts) + 1}


def _same_phase(earlier: Sequence[Window], policy: MonitorPolicy, phase: Phase) -> list[Window]:
    return [window for window in earlier if phase_of(policy, window.start) == phase]


def _is_usual(other: Row, row: Row, size: int) -> bool:
    """Return whether another window's row may serve as what is usual for this one."""
    return (
        other["column"] == row["column"]
        and other["verdict"] in ("quiet", "not judged")
        and len(other.get("cells", ())) == size
    )


def _kept_cells(summary: Summary, *, of_baseline: bool = False) -> Counts:
    """Return counts of few cells, the same in every window of a version."""
    cells = cells_of(summary)
    counts = cells.before if of_baseline else cells.now
    if summary.baseline.type == "number":
        return coarsen(counts, equal_share_cuts(cells.before, KEPT_CELLS))
    if counts.size <= KEPT_CELLS:
        return counts
    frequent = np.sort(np.argsort(-cells.before[:-1], kind="stable")[: KEPT_CELLS - 1])
    kept = counts[frequent]
    return np.append(kept, counts.sum() - kept.sum())

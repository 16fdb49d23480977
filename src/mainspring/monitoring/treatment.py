"""Measure how the two facets of one comparison are treated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Facet, Signature
from mainspring.monitoring import facets
from mainspring.monitoring.facets import Bools, Floats, Split
from mainspring.numerics import fairness
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.fairness import Confusion
from mainspring.numerics.flips import count_flips, flip_interval
from mainspring.numerics.intervals import CONFIDENCE, Interval

Ints = npt.NDArray[np.int64]

#: Rows of each facet that a figure needs, and rows under a fraction that is no share.
LEAST_ROWS = 30
LEAST_SUPPORT = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """The metrics of one comparison; what could not be measured, and why."""

    rows_a: int
    rows_d: int
    measured: Mapping[str, Interval] = field(default_factory=dict)  # at 95 %
    certain: Mapping[str, Interval] = field(default_factory=dict)  # at the level of an alarm
    missing: Mapping[str, str] = field(default_factory=dict)


def measure(
    rows: pl.DataFrame,
    split: Split,
    facet: Facet,
    signature: Signature,
    scores: Floats,
    truth: Floats | None,
    level: float | None = None,
) -> Figures:
    """Return the metrics of one comparison; ``truth`` None leaves out what needs labels.

    ``level`` is the confidence of ``certain``, which is empty without it.
    """
    said = facets.said_good(scores, facet, signature)
    good = None if truth is None else facets.truly_good(truth, facet, signature)
    d, a = split.of_d & split.known, ~split.of_d & split.known
    rows_a, rows_d = int(a.sum()), int(d.sum())
    if min(rows_a, rows_d) < LEAST_ROWS:
        return Figures(rows_a, rows_d)
    classes = len(signature.classes) if signature.kind == "multiclass" else 0
    labels = None
    if classes and truth is not None:
        labels = [np.bincount(truth[who].astype(int), minlength=classes) for who in (a, d)]
    groups = {}
    if facet.group:
        groups["CDDPL"] = _by_group(rows, facet.group, said, a, d)
        if good is not None:
            groups["CDDL"] = _by_group(rows, facet.group, good, a, d)
    flips = count_flips(*_flips(rows, facet, signature, said, a, d))
    missing: dict[str, str] = {}

    def at(confidence: float) -> dict[str, Interval]:
        counts = int(said[a].sum()), rows_a, int(said[d].sum()), rows_d
        found = fairness.label_free(*counts, confidence)
        if good is not None:
            found |= _with_labels(good, said, a, d, labels, missing, confidence)
        for name, counted in groups.items():
            try:
                found[name] = fairness.conditional_disparity(counted, confidence)
            except NumericsError as error:
                missing[name] = f"Not judged: {error}"
        found["FT"] = flip_interval(flips, confidence)
        return found

    certain = {} if level is None else at(level)
    return Figures(rows_a, rows_d, at(CONFIDENCE), certain, missing)


def _with_labels(
    good: Bools,
    said: Bools,
    a: Bools,
    d: Bools,
    labels: Sequence[Ints] | None,
    missing: dict[str, str],
    confidence: float,
) -> dict[str, Interval]:
    of_a, of_d = _confusion(good[a], said[a]), _confusion(good[d], said[d])
    two = [[int((~good[who]).sum()), int(good[who].sum())] for who in (a, d)]
    found = fairness.pre_training(two[0], two[1], confidence=confidence)
    if labels is not None:
        whole = fairness.pre_training(
            labels[0].tolist(), labels[1].tolist(), confidence=confidence
        )
        # DPL is of the class that is good to get; the distances are of all classes.
        found = {**whole, "DPL": found["DPL"]}
    found |= fairness.post_training(of_a, of_d, confidence)
    for name in ("DCA", "DCR", "TE"):
        support = fairness.support(name, of_a, of_d)
        if support < LEAST_SUPPORT:
            found.pop(name)
            missing[name] = (
                f"Not judged: it divides by {support} rows, {LEAST_SUPPORT} are needed."
            )
    return found


def _confusion(good: Bools, said: Bools) -> Confusion:
    return Confusion(
        tp=int((good & said).sum()),
        fp=int((~good & said).sum()),
        fn=int((good & ~said).sum()),
        tn=int((~good & ~said).sum()),
    )


def _by_group(
    rows: pl.DataFrame, group: str, kept: Bools, a: Bools, d: Bools
) -> dict[str, tuple[int, int, int, int]]:
    named = facets.texts(rows[group]).fill_null("")
    cell = np.where(kept, 0, 2) + d
    counted = (
        pl.DataFrame({"group": named, "cell": cell, "counts": a | d})
        .filter("counts")
        .group_by("group", "cell")
        .len()
    )
    found: dict[str, list[int]] = {}
    for name, place, count in counted.rows():
        found.setdefault(name, [0, 0, 0, 0])[place] += count
    return {name: (one[0], one[1], one[2], one[3]) for name, one in found.items()}


def _flips(
    rows: pl.DataFrame, facet: Facet, signature: Signature, said: Bools, a: Bools, d: Bools
) -> tuple[Floats, Bools, Floats, Bools]:
    """Return inputs and answers of a and of d, at most FLIP_ROWS of each."""
    rng = np.random.default_rng(0)
    chosen = []
    for who in (a, d):
        places = np.flatnonzero(who)
        if len(places) > facets.FLIP_ROWS:
            places = np.sort(rng.choice(places, facets.FLIP_ROWS, replace=False))
        chosen.append(places)
    both = np.concatenate(chosen)
    inputs = facets.comparable(rows[both], facet, signature)
    cut = len(chosen[0])
    return inputs[:cut], said[chosen[0]], inputs[cut:], said[chosen[1]]

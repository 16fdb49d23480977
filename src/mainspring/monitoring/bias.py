"""Say whether a model treats facets differently: Clarify's figures, window by window.

Every figure has its interval, the same figure of the version's reference rows beside it, and an
allowed range. A figure whose 95 % interval lies wholly outside of its range is a notice; it
alarms if the interval at the policy's chance of a false alarm, shared among all comparisons and
metrics of the window, does too. The finding named after the comparison (``sex = F``) carries the
alarm for all its metrics, so that one cause pages once.

Before labels are mature the figures are of what was said; then all are taken again, with the
truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from mainspring.ground.objects import Facet, Finding, MonitorPolicy, Signature
from mainspring.monitoring import facets
from mainspring.monitoring.columns import scores_of
from mainspring.monitoring.facets import Floats
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.monitoring.treatment import LEAST_ROWS, Figures, measure
from mainspring.numerics import fairness
from mainspring.numerics.intervals import Interval
from mainspring.numerics.profiles import OTHER

USUAL = (-0.1, 0.1)
FOUR_FIFTHS = (0.8, 1.25)
#: Shown and judged only where a range is given: CI says who came and not how they were treated,
#: the distances say again what DPL says, TE and GE have no range that is right everywhere.
SHOWN = frozenset({"CI", "KL", "JS", "LP", "TVD", "KS", "TE", "GE"})


def bias_on_inputs(sight: Sight) -> list[Finding]:
    """Return what the answers of a window say of each facet; no label is needed."""
    return _look(sight, None)


def bias_on_labels(sight: Sight) -> list[Finding]:
    """Return all figures of a window whose labels are mature.

    What needs no label is of all rows of the window still.
    """
    return [] if sight.joined is None else _look(sight, sight.joined.rows)


def report(
    reference: pl.DataFrame, facet: Facet, signature: Signature, policy: MonitorPolicy
) -> list[Finding]:
    """Return the figures of a version on rows with ``_score`` and ``_y``, as before deployment."""
    told = unusable(facet, reference, signature)
    if told:
        return [_not_judged(facet.column, told)]
    scores, truth = reference_scores(reference)
    cut = facet.disadvantaged or facet.below is not None or facet.above is not None
    counts = {} if cut else facets.counts(reference[facet.column])
    asked = list(facets.splits(reference, facet, facets.values_of(counts)))
    level = _level(policy, len(asked))
    found: list[Finding] = []
    for split in asked:
        now = measure(reference, split, facet, signature, scores, truth, level)
        found += _judged(split.subject, now, Figures(0, 0), facet)
    return found


def reference_scores(reference: pl.DataFrame) -> tuple[Floats, Floats]:
    """Return scores of shape (rows, k) and targets of reference rows."""
    scores = np.asarray(reference["_score"].to_list(), dtype=np.float64)
    return scores.reshape(reference.height, -1), reference["_y"].to_numpy().astype(np.float64)


def unusable(facet: Facet, frame: pl.DataFrame, signature: Signature) -> str:
    """Return why a facet cannot be measured on rows; empty if it can."""
    if facet.column not in frame.columns:
        return f"Not judged: there is no column {facet.column!r} in the rows."
    if facet.group is not None and facet.group not in frame.columns:
        return f"Not judged: there is no column {facet.group!r} to group by in the rows."
    if signature.kind == "regression":
        if facet.positive_above is None:
            return "Not judged: a regression needs positive_above, from where on a value is good."
    elif facets.positive_place(facet, signature) < 0:
        classes = ", ".join(signature.classes)
        return f"Not judged: positive must be one of {classes}, found {facet.positive}."
    return ""


def _look(sight: Sight, labelled: pl.DataFrame | None) -> list[Finding]:
    found: list[Finding] = []
    asked: list[tuple[Facet, str]] = []
    rows, scores = _scored(sight, sight.frame)
    for facet in sight.policy.bias:
        told = unusable(facet, sight.frame, sight.signature)
        if told:
            found.append(_not_judged(facet.column, told))
        else:
            values = _values(sight, facet)
            asked += [(facet, one.subject) for one in facets.splits(rows, facet, values)]
    level = _level(sight.policy, len(asked))
    for facet, subject in asked:
        now = _of(sight, facet, subject, rows, scores, None, level)
        if labelled is not None:
            known, said = _scored(sight, labelled)
            truth = known["_y"].to_numpy().astype(np.float64)
            now = _joined(_of(sight, facet, subject, known, said, truth, level), now)
        found += _judged(subject, now, _at_training(sight, facet, subject), facet)
    return found


def _scored(sight: Sight, frame: pl.DataFrame) -> tuple[pl.DataFrame, Floats]:
    """Return the rows that the window's version gave finite scores, and these."""
    scores, taken = scores_of(frame, sight.version)
    sound = np.isfinite(scores).all(axis=1)
    return frame.filter(pl.Series(taken)).filter(pl.Series(sound)), scores[sound]


def _of(
    sight: Sight,
    facet: Facet,
    subject: str,
    rows: pl.DataFrame,
    scores: Floats,
    truth: Floats | None,
    level: float | None,
) -> Figures:
    """Return the figures of the comparison with that name among some rows."""
    same = facets.splits(rows, facet, _values(sight, facet))
    split = next(one for one in same if one.subject == subject)
    return measure(rows, split, facet, sight.signature, scores, truth, level)


def _joined(labelled: Figures, whole: Figures) -> Figures:
    """Return the figures of labelled rows, with those that need no label of the whole window."""
    missing = dict(labelled.missing)
    if not labelled.measured and whole.measured:
        missing["labels"] = (
            f"Not judged on labels: {labelled.rows_d:,} labelled rows against"
            f" {labelled.rows_a:,}, {LEAST_ROWS} of each are needed."
        )
    return Figures(
        whole.rows_a,
        whole.rows_d,
        {**labelled.measured, **whole.measured},
        {**labelled.certain, **whole.certain},
        {**whole.missing, **missing},
    )


def _level(policy: MonitorPolicy, comparisons: int) -> float:
    """Return the confidence at which an interval must be apart, two-sided."""
    return 1 - alpha_of("bias", policy.alpha) / (max(comparisons, 1) * len(fairness.MEANINGS))


def _at_training(sight: Sight, facet: Facet, subject: str) -> Figures:
    reference = sight.reference
    if reference is None or unusable(facet, reference, sight.signature):
        return Figures(0, 0)
    scores, truth = reference_scores(reference)
    return _of(sight, facet, subject, reference, scores, truth, None)


def _values(sight: Sight, facet: Facet) -> list[str]:
    """Return the values to compare: those of training, or comparisons would come and go."""
    if facet.disadvantaged or facet.below is not None or facet.above is not None:
        return []
    known = {one.name: one.categories for one in sight.baseline.columns}
    counts = known.get(facet.column) or facets.counts(sight.frame[facet.column])
    return facets.values_of({value: rows for value, rows in counts.items() if value != OTHER})


def _ranges(facet: Facet, figures: Figures) -> dict[str, tuple[float, float]]:
    """Return the allowed range of every metric that is judged."""
    usual = {name: FOUR_FIFTHS if name == "DI" else USUAL for name in fairness.MEANINGS}
    return {
        name: facet.allowed.get(name, usual[name])
        for name in figures.measured
        if name in facet.allowed or name not in SHOWN
    }


def _judged(subject: str, now: Figures, before: Figures, facet: Facet) -> Iterator[Finding]:
    ranges = _ranges(facet, now)
    outside: list[str] = []
    rows = now.rows_a + now.rows_d
    for name, band in now.measured.items():
        allowed = ranges.get(name)
        why, apart = fairness.MEANINGS[name], False
        if not math.isfinite(band.estimate):
            why = f"{why}: infinite, there is nothing to divide by"
        elif allowed is not None and _apart(band, allowed):
            apart = True
            why = f"{why}: {_said(band)}, allowed is {allowed[0]:g} to {allowed[1]:g}"
        if allowed is not None and name in now.certain and _apart(now.certain[name], allowed):
            outside.append(f"{name} {_said(band)}, allowed {allowed[0]:g} to {allowed[1]:g}")
        old = before.measured.get(name)
        yield Finding(
            monitor="bias",
            subject=f"{subject}/{name}",
            value=_finite(band.estimate),
            low=_finite(band.low),
            high=_finite(band.high),
            baseline=None if old is None else _finite(old.estimate),
            line=_line(band, allowed),
            rows=band.n,
            verdict="notice" if apart else "quiet",
            why=f"{why}.",
            detail={
                "metric": name,
                "allowed": None if allowed is None else list(allowed),
                "rows_a": now.rows_a,
                "rows_d": now.rows_d,
            },
        )
    for name, why in now.missing.items():
        yield Finding(
            monitor="bias",
            subject=f"{subject}/{name}",
            value=None,
            rows=rows,
            verdict="not judged",
            why=why,
            detail={"metric": name},
        )
    yield _summary(subject, now, outside, len(ranges))


def _summary(subject: str, now: Figures, outside: list[str], judged: int) -> Finding:
    rows = {"rows_a": now.rows_a, "rows_d": now.rows_d}
    if not now.measured:
        return Finding(
            monitor="bias",
            subject=subject,
            value=None,
            rows=now.rows_a + now.rows_d,
            verdict="too few rows",
            why=f"Not judged: {now.rows_d:,} rows against {now.rows_a:,}, {LEAST_ROWS} of each"
            " are needed.",
            detail=rows,
        )
    told = f"{len(outside)} of {judged} figures lie outside of what is allowed"
    return Finding(
        monitor="bias",
        subject=subject,
        value=float(len(outside)),
        line=1.0,
        rows=now.rows_a + now.rows_d,
        verdict="alarm" if outside else "quiet",
        why=f"{told}: {'; '.join(outside)}." if outside else f"{told}.",
        detail={**rows, "outside": outside},
    )


def _apart(band: Interval, allowed: tuple[float, float]) -> bool:
    return band.low > allowed[1] or band.high < allowed[0]


def _line(band: Interval, allowed: tuple[float, float] | None) -> float | None:
    """Return the end of the allowed range that the figure is nearer to."""
    if allowed is None:
        return None
    middle = (allowed[0] + allowed[1]) / 2
    return allowed[1] if band.estimate >= middle else allowed[0]


def _said(band: Interval) -> str:
    return f"{band.estimate:.3g} ({band.low:.3g} to {band.high:.3g})"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _not_judged(subject: str, why: str) -> Finding:
    return Finding(monitor="bias", subject=subject, value=None, verdict="not judged", why=why)

"""Watch the champion's loss label by label, and say at which label its relation broke.

The detector bets, at each label, that the mean loss lies above the loss at training by more
than the tolerance. It goes on from window to window, with a few numbers of state that each
window hands to the next in its finding: a window judged twice starts both times from what the
window before it left, and labels that come after a window was judged change its performance
but are not fed again. So each label counts once, whatever is restarted or judged anew.

Where neighbours are alike (an evening of bad weather), a label counts for less than one: by the
design effect that the windows before had, or, in the first one, that it has itself.

How rare a false alarm is: as long as the mean loss does not lie above the base, at least
``run_length`` labels go by between two alarms on average, whatever losses look like. It is
20,000 or more: so many more that windows of this size meet at most one false alarm in
1 / (alpha x share), which leaves the rest of ``alpha`` to the alarm on the mean loss.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Finding
from mainspring.monitoring.graded import (
    BLOCKS,
    CERTAIN_EFFECT,
    FEW,
    LONG_BLOCKS,
    Graded,
    design_effect,
    graded,
    graded_reference,
    step_effect,
)
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.numerics.errors import TooFewError
from mainspring.numerics.intervals import mean_interval
from mainspring.numerics.sequential import SHIFTS, EDetector, follow_rise

Floats = npt.NDArray[np.float64]
State = dict[str, Any]


def concept_drift(sight: Sight) -> list[Finding]:
    """Return what the e-detector made of the labels of a window, in order of event time."""
    if sight.joined is None:
        return []
    own = graded(sight.joined.rows, sight.version, sight.signature)
    base, why = _base(sight)
    if base is None or own.rows == 0:
        before = _handed(sight, base)
        told = why or "No labelled row of this version in this window."
        return [_said(sight, own, base, f"Not judged: {told}", before)]
    run_length = max(sight.policy.run_length, own.rows / alpha_of("concept", sight.policy.alpha))
    before = _handed(sight, base) or _fresh(base, sight.version)
    detector = EDetector.from_list([before["detector"][0], run_length, *before["detector"][2:]])
    # How alike neighbours are is known from the windows before, or a rise would hide itself;
    # as long as they are few, the window's own word counts too.
    effect = max(design_effect(own.losses, blocks) for blocks in (BLOCKS, LONG_BLOCKS))
    total, windows = before["effects"]
    known = total / windows if windows else 1.0
    if windows < FEW:
        own_steps = (step_effect(own.losses, blocks) for blocks in (BLOCKS, LONG_BLOCKS))
        known = max(known, *own_steps)
    known = known if known > CERTAIN_EFFECT else 1.0
    after, first = detector.update(own.losses, 1 / known)
    state = {
        "version": sight.version,
        "detector": after.to_list(),
        "effects": [total + effect, windows + 1],
        "effect": known,
    }
    end = own.rows if first is None else first + 1
    scores, begun = _followed(
        own, before["scores"], before["begun"], (0, end), detector, 1 / known
    )
    since = begun[int(np.argmax(scores))]
    if first is not None:  # it starts afresh with the next label
        fresh = _fresh(base, sight.version)
        rest = (end, own.rows)
        scores, begun = _followed(own, fresh["scores"], fresh["begun"], rest, detector, 1 / known)
    return [
        _judged(sight, own, detector, {**state, "scores": scores, "begun": begun}, first, since)
    ]


def _followed(
    own: Graded,
    scores: list[float],
    begun: list[Any],
    part: tuple[int, int],
    detector: EDetector,
    weight: float,
) -> tuple[list[float], list[Any]]:
    """Return each bet's score after a part of the labels, and where its rise began.

    That is (label of this version, event time), None where nothing rises.
    """
    after, places = follow_rise(scores, own.losses[part[0] : part[1]], detector.base, weight)
    known = []
    for place, before in zip(places, begun, strict=True):
        at = part[0] + place
        if place < 0:
            known.append(before)
        elif at >= part[1]:
            known.append(None)
        else:
            known.append([detector.seen + at + 1, _when(own, at)])
    return after, known


def _base(sight: Sight) -> tuple[float | None, str]:
    """Return the mean loss above which a relation is broken: baseline, its error, tolerance."""
    if sight.baseline.loss is None:
        return None, "the version has no holdout loss."
    base = sight.baseline.loss + sight.policy.loss_tolerance
    kept = graded_reference(sight.reference, sight.signature)
    if kept is not None:
        try:
            band = mean_interval(kept.losses, 1 - 2 * alpha_of("concept", sight.policy.alpha))
            base += band.high - band.estimate  # the loss at training is an estimate too
        except TooFewError:
            pass  # one row has no scatter
    if not 0 < base < 1:
        return None, f"a base of {base:.4g} leaves nothing to bet on."
    return base, ""


def _handed(sight: Sight, base: float | None) -> State | None:
    """Return the state that the newest judged window of this version left, if there is one."""
    for window in sight.earlier:
        for one in window.found:
            state = one.detail.get("state") if one.monitor == "concept" else None
            if state:
                same = state["version"] == sight.version and base is not None
                # Another base, of another policy, makes what was won before meaningless.
                return state if same and abs(state["detector"][0] - base) < 1e-12 else None
    return None


def _fresh(base: float, version: int | None) -> State:
    detector = EDetector(base=base)
    return {
        "version": version,
        "detector": detector.to_list(),
        "scores": [0.0] * len(SHIFTS),
        "begun": [None] * len(SHIFTS),
        "effects": [0.0, 0],
    }


def _judged(
    sight: Sight,
    own: Graded,
    began: EDetector,
    state: State,
    first: int | None,
    since: list[Any] | None,
) -> Finding:
    watched = EDetector.from_list(state["detector"])
    told = (
        f"{own.rows:,} labels watched one by one for a mean loss above {watched.base:.4f};"
        f" a false alarm at most once in {watched.run_length:,.0f} labels on average."
    )
    if state["effect"] > 1:
        told += f" Neighbours are alike: {state['effect']:.3g} labels count as one."
    detail: dict[str, Any] = {
        "state": state,
        "run_length": watched.run_length,
        "labels_watched": watched.seen,
        "alarms": watched.alarms - began.alarms,
    }
    value = watched.evidence
    if first is not None:
        value = watched.run_length  # what it had won before it started afresh
        label = began.seen + first + 1
        row = own.frame["_id"][first] if "_id" in own.frame.columns else None
        detail |= {"label": label, "at": _when(own, first), "id": row, "since": since}
        rose = "" if since is None else f" It rose about label {since[0]:,}{_at(since[1])}."
        told = (
            f"Certain at label {label:,} of this version (prediction {row}): the mean loss lies"
            f" above {watched.base:.4f}.{rose} {told}"
        )
    return Finding(
        monitor="concept",
        subject="loss",
        value=value,
        baseline=sight.baseline.loss,
        line=watched.run_length,
        rows=own.rows,
        verdict="quiet" if first is None else "alarm",
        why=told,
        detail=detail,
    )


def _said(sight: Sight, own: Graded, base: float | None, why: str, state: State | None) -> Finding:
    return Finding(
        monitor="concept",
        subject="loss",
        value=None,
        baseline=sight.baseline.loss,
        rows=own.rows,
        verdict="not judged",
        why=why,
        detail={} if state is None else {"state": state, "base": base},
    )


def _when(own: Graded, place: int) -> float | None:
    """Return the event time of a label's prediction."""
    return float(own.frame["_time"][place]) if "_time" in own.frame.columns else None


def _at(moment: float | None) -> str:
    if moment is None:
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime(" (%Y-%m-%d %H:%M UTC)")

"""Say how good the answers of a window were, now that the truth is known, and how sure that is.

Measured on the rows a version scored, whether it answered them or stood beside the one that
did. The alarm is raised on the mean bounded loss alone: by how much it lies above the loss on
the rows kept at training must be more than chance explains (in the window, and in those rows),
and more than the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import MonitorPolicy, Signature, Window
from mainspring.monitoring.graded import (
    BLOCKS,
    LONG_BLOCKS,
    Graded,
    design_effect,
    graded,
    graded_reference,
    known_effect,
    rise_reach,
)
from mainspring.monitoring.labels import Joined
from mainspring.monitoring.maturity import arrivals
from mainspring.monitoring.measures import mean_of, measures, plain
from mainspring.monitoring.shares import alpha_of
from mainspring.numerics.intervals import wilson

Floats = npt.NDArray[np.float64]


def measure_performance(
    window: Window,
    joined: Joined,
    baseline_loss: float | None,
    policy: MonitorPolicy,
    signature: Signature,
    reference: pl.DataFrame | None = None,
    earlier: Sequence[Window] = (),
) -> dict[str, Any]:
    """Return what the labels of a window say.

    ``loss`` and every entry of ``metrics`` is an interval (estimate, low, high) at 95 %;
    ``coverage`` says what part of the window's rows has a label. ``lower_bound`` is what the
    verdict (quiet, alarm, too few rows, no baseline) compares with ``line``; ``smallest`` the
    least rise of the loss that this window could have alarmed on. ``by_version`` holds the same
    measures for every version that scored rows, ``before`` the metrics on the rows kept at
    training, ``arrival`` when the labels came, ``effect`` for how many labels one counts where
    neighbours are alike. ``earlier`` are windows before this one, whose effects are known.

    ``repeated`` labels said again what was known, ``contradicted`` said something else; in both
    cases the last one counts. ``batch`` is the newest label batch taken into account.
    """
    whole = joined.rows
    own = graded(whole, window.version, signature)
    kept = graded_reference(reference, signature)
    parts = {version: graded(whole, version, signature) for version in _versions(whole)}
    line = None if baseline_loss is None else baseline_loss + policy.loss_tolerance
    found = {
        **_of_rows(own, signature),
        "version": window.version,
        "labelled": whole.height,
        "coverage": _coverage(whole.height, window.rows),
        "unmatched": joined.unmatched,
        "replaced": joined.replaced,
        "repeated": joined.repeated,
        "contradicted": joined.contradicted,
        "foreign": joined.foreign,
        "batch": joined.batch,
        "mature_at": window.end + policy.label_delay_s,
        "arrival": arrivals(whole, signature),
        "baseline_loss": baseline_loss,
        "before": {} if kept is None else _of_rows(kept, signature)["metrics"],
        "line": line,
        "lower_bound": None,
        "radius": None,
        "smallest": None,
        "effect": max(design_effect(own.losses, blocks) for blocks in (BLOCKS, LONG_BLOCKS)),
        "by_version": {str(v): _of_rows(parts[v], signature) for v in sorted(parts)},
    }
    usual = known_effect(earlier, window.version)
    return {**found, **_verdict(own, kept, window, found, policy, usual)}


def _verdict(
    own: Graded,
    kept: Graded | None,
    window: Window,
    found: dict[str, Any],
    policy: MonitorPolicy,
    effect: float | None,
) -> dict[str, Any]:
    if "loss" in found["undefined"]:
        return {"verdict": "too few rows", "why": f"Not judged: {found['undefined']['loss']}"}
    least = max(policy.min_rows, 2)
    if own.rows < least:
        told = f"{own.rows:,} labelled rows of version {window.version}, {least:,} are needed"
        return {"verdict": "too few rows", "why": f"Not judged: {told}."}
    if found["line"] is None:
        return {"verdict": "no baseline", "why": "Not judged: the version has no holdout loss."}
    before = None if kept is None else kept.losses
    radius = rise_reach(own.losses, before, alpha_of("performance", policy.alpha), effect=effect)
    loss, line = found["loss"]["estimate"], found["line"]
    bound = loss - radius
    told = (
        f"Mean loss {loss:.4f} on {own.rows:,} labelled rows"
        f" ({_percent(found['coverage']['estimate'])} of the window), at least {bound:.4f};"
        f" {found['baseline_loss']:.4f} on the holdout, {line:.4f} is tolerated."
    )
    return {
        "verdict": "alarm" if bound > line else "quiet",
        "why": told,
        "lower_bound": bound,
        "radius": radius,
        "smallest": radius + policy.loss_tolerance,
    }


def _of_rows(own: Graded, signature: Signature) -> dict[str, Any]:
    """Return the measures of rows; what the rows do not define is named with its reason."""
    found: dict[str, Any] = {"rows": own.rows, "loss": None, "metrics": {}, "undefined": {}}
    if own.why:
        found["undefined"] = {"loss": own.why}
    if own.rows == 0:
        return found
    metrics, undefined = measures(own.scores, own.truth, own.losses, signature)
    return {**found, "loss": mean_of(own.losses), "metrics": metrics, "undefined": undefined}


def _coverage(labelled: int, rows: int) -> dict[str, Any]:
    if rows < 1:
        return {"estimate": 0.0, "low": None, "high": None, "n": 0}
    return plain(wilson(min(labelled, rows), rows))


def _versions(frame: pl.DataFrame) -> set[int]:
    found: set[int] = set()
    for name in ("_version", "_other_version"):
        if name in frame.columns:
            found |= {int(v) for v in frame[name].drop_nulls().unique().to_list()}
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

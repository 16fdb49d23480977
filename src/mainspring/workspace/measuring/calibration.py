"""Measure how far a candidate's probabilities are from what came."""

from __future__ import annotations

from mainspring.numerics import calibration
from mainspring.numerics.errors import NumericsError
from mainspring.readiness.measured import CalibrationMeasured
from mainspring.workspace.measuring.subject import Candidate, Fresh

LEAST_ROWS = 100


def measure(candidate: Candidate, fresh: Fresh | None) -> CalibrationMeasured:
    """Return calibration error and slope on the fresh rows, or why there are none.

    Of several classes it is the probability of the class that was said, and whether it came.
    """
    if candidate.served.signature.kind == "regression":
        return CalibrationMeasured(why="a regression says no probability")
    if fresh is None or fresh.rows.height < LEAST_ROWS:
        rows = 0 if fresh is None else fresh.rows.height
        return CalibrationMeasured(
            rows=rows, why=f"{rows} labelled fresh rows, {LEAST_ROWS} are needed"
        )
    said, came = fresh.scores[:, 0], fresh.target
    if fresh.scores.shape[1] > 1:
        came = (fresh.scores.argmax(axis=1) == fresh.target).astype(float)
        said = fresh.scores.max(axis=1)
    band = calibration.ece_interval(said, came)
    slope, why = None, ""
    try:
        slope = calibration.platt(said, came).intervals()[1]
    except NumericsError as error:
        why = str(error)
    return CalibrationMeasured(
        rows=fresh.rows.height,
        ece=band.estimate,
        ece_low=band.low,
        ece_high=band.high,
        slope=None if slope is None else slope.estimate,
        slope_low=None if slope is None else slope.low,
        slope_high=None if slope is None else slope.high,
        bins=[(one.rows, one.said, one.came) for one in calibration.reliability(said, came)],
        slope_why=why,
    )

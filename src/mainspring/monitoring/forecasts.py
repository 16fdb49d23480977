"""Say how good forecasts are: relative errors, against the naive, in their ranges, by horizon.

Where the ends of a range are declared, the alarm is on its coverage: the truth must certainly
lie outside more often than was said, by more than the tolerance. How far off forecasts are is
alarmed on as ever, by their bounded loss; a horizon whose relative error has certainly grown
against training is a notice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Finding, Forecast
from mainspring.monitoring.graded import Graded, graded, graded_reference, reach
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.numerics import forecasts as measures
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.intervals import Interval, mean_interval

Floats = npt.NDArray[np.float64]
Measure = Callable[[], Interval]

#: Horizons that are shown apart: those with most rows.
MOST_HORIZONS = 24
#: Rows a horizon needs to be shown apart.
_LEAST = 30


def forecasts(sight: Sight) -> list[Finding]:
    """Return the measures of a window's forecasts; nothing if they were not declared."""
    policy = sight.policy.forecast
    if policy is None or sight.joined is None:
        return []
    if sight.signature.kind != "regression":
        return [_not_judged("wape", "only numbers are forecast.")]
    own = graded(sight.joined.rows, sight.version, sight.signature)
    kept = graded_reference(sight.reference, sight.signature)
    if own.rows == 0:
        return [_not_judged("wape", own.why or "no labelled row of this version.")]
    found = _measured(own, kept, policy)
    found += _coverage(sight, own, policy)
    return found + _by_horizon(own, kept, policy)


def _measured(own: Graded, kept: Graded | None, policy: Forecast) -> list[Finding]:
    before = {} if kept is None else _asked(kept, policy)
    return [
        _finding(name, measure, before.get(name), own.rows)
        for name, measure in _asked(own, policy).items()
    ]


def _asked(own: Graded, policy: Forecast) -> dict[str, Measure]:
    said, came = own.scores[:, 0], own.truth

    def naive() -> Interval:
        plain, there = _column(own, policy.naive, "naive forecast")
        return measures.mase(said[there], came[there], plain[there])

    return {
        "wape": lambda: measures.wape(said, came),
        "smape": lambda: measures.smape(said, came),
        "mase": naive,
        "forecast_bias": lambda: mean_interval(said - came),
    }


def _column(own: Graded, name: str | None, what: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return a declared column as numbers, and where there is one.

    Raises:
        NumericsError: if it was not declared, is not there or holds no number.
    """
    if name is None:
        raise NumericsError(f"No column of the {what} is declared.")
    if name not in own.frame.columns:
        raise NumericsError(f"There is no column {name!r} in the captured rows.")
    values = own.frame[name].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    there = np.isfinite(values)
    if not there.any():
        raise NumericsError(f"Column {name!r} holds no number.")
    return np.asarray(values, dtype=np.float64), there


def _finding(name: str, measure: Measure, before: Measure | None, rows: int) -> Finding:
    usual = None
    if before is not None:
        try:
            usual = before().estimate
        except NumericsError:
            usual = None  # not defined on the rows at training
    try:
        band = measure()
    except NumericsError as error:
        return _not_judged(name, str(error), rows)
    why = f"{name} over {band.n:,} forecasts."
    if name == "mase":
        side = "better" if band.high < 1 else "worse" if band.low > 1 else "not certainly better"
        why = f"The error is {band.estimate:.3f} of the naive forecast's: {side} than it."
    return Finding(
        monitor="performance",
        subject=name,
        value=band.estimate,
        low=band.low,
        high=band.high,
        baseline=usual,
        rows=band.n,
        why=why,
    )


def _coverage(sight: Sight, own: Graded, policy: Forecast) -> list[Finding]:
    if policy.lower is None and policy.upper is None:
        return []
    try:
        low, left = _column(own, policy.lower, "lower end")
        high, right = _column(own, policy.upper, "upper end")
        there = left & right
        came = own.truth[there]
        band = measures.coverage(low[there], high[there], came)
    except NumericsError as error:
        return [_not_judged("range_coverage", str(error), own.rows)]
    inside = ((low <= own.truth) & (own.truth <= high))[there].astype(np.float64)
    least = max(sight.policy.min_rows, 2)
    told: dict[str, Any] = {"verdict": "too few rows", "why": f"{least:,} ranges are needed."}
    line = policy.coverage - policy.tolerance
    if inside.size >= least:
        radius = reach(1 - inside, alpha_of("forecast", sight.policy.alpha))
        most = band.estimate + radius
        told = {
            "radius": radius,
            "smallest": radius + policy.tolerance,
            "verdict": "alarm" if most < line else "quiet",
            "why": f"{band.estimate:.1%} of {inside.size:,} actuals lay inside of their range, at"
            f" most {most:.1%} by chance; {policy.coverage:.0%} was said,"
            f" {line:.0%} is tolerated.",
        }
    found = Finding(
        monitor="performance",
        subject="range_coverage",
        value=band.estimate,
        low=band.low,
        high=band.high,
        baseline=policy.coverage,
        line=line,
        rows=int(inside.size),
        **told,
    )
    score = _finding(
        "interval_score",
        lambda: measures.interval_score(low[there], high[there], came, policy.coverage),
        None,
        own.rows,
    )
    return [found, score]


def _by_horizon(own: Graded, kept: Graded | None, policy: Forecast) -> list[Finding]:
    """Return the relative error of every horizon, beside that of training."""
    if policy.horizon is None:
        return []
    if policy.horizon not in own.frame.columns:
        why = f"there is no column {policy.horizon!r} in the captured rows."
        return [_not_judged(f"wape/{policy.horizon}", why, own.rows)]
    parts = _parts(own, policy.horizon)
    before = {} if kept is None else _parts(kept, policy.horizon)
    found = []
    for name, mask in parts.items():
        subject = f"wape/{policy.horizon}={name}"
        part = _only(own, mask)
        usual = None
        if kept is not None and name in before:
            usual = _only(kept, before[name])
        one = _finding(subject, _wape(part), None if usual is None else _wape(usual), part.rows)
        found.append(_grown(one, part, usual, len(parts)))
    return found


def _parts(own: Graded, column: str) -> dict[str, npt.NDArray[np.bool_]]:
    if column not in own.frame.columns:
        return {}
    text = own.frame[column].cast(pl.String).alias("value")
    counted = text.drop_nulls().value_counts(name="rows").filter(pl.col("rows") >= _LEAST)
    most = counted.sort(["rows", "value"], descending=[True, False]).head(MOST_HORIZONS)
    names = sorted(most["value"].to_list(), key=_as_number)
    return {name: (text == name).fill_null(value=False).to_numpy() for name in names}


def _as_number(name: str) -> tuple[float, str]:
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _only(own: Graded, mask: npt.NDArray[np.bool_]) -> Graded:
    rows = own.frame.filter(pl.Series(mask))
    return Graded(rows, own.scores[mask], own.truth[mask], own.losses[mask])


def _wape(part: Graded) -> Measure:
    return lambda: measures.wape(part.scores[:, 0], part.truth)


def _grown(one: Finding, part: Graded, usual: Graded | None, tested: int) -> Finding:
    """Return the finding as a notice, if its error has certainly grown against training."""
    if usual is None or one.value is None or one.baseline is None:
        return one
    confidence = 1 - 0.05 / tested
    try:
        bands = [
            measures.wape(rows.scores[:, 0], rows.truth, confidence) for rows in (part, usual)
        ]
    except NumericsError:
        return one
    radius = math.hypot(*(band.high - band.estimate for band in bands))
    if one.value - one.baseline <= radius:
        return msgspec.structs.replace(one, radius=radius)
    why = f"{one.why} {one.baseline:.4f} at training: it has certainly grown."
    return msgspec.structs.replace(one, verdict="notice", radius=radius, why=why)


def _not_judged(subject: str, why: str, rows: int = 0) -> Finding:
    return Finding(
        monitor="performance",
        subject=subject,
        value=None,
        rows=rows,
        verdict="not judged",
        why=f"Not judged: {why}",
    )

"""Warn where a model would learn from its own decisions.

Two things make training rows the model's own work. Its decision may be why a label exists at all
(only granted loans are paid back or not): then the share of rows with a label depends on the
score, which can be seen. Or its decision changes what happens (a blocked payment is no fraud any
more): no log shows that, and only whoever declares the decision knows which rows it touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Record
from mainspring.numerics.intervals import Interval
from mainspring.numerics.selection import Selection, label_selection

#: So few rows with a score say nothing of how labels depend on it.
LEAST_ROWS = 200
#: The rows are cut into so many stretches of time, and compared within each.
_STRETCHES = 5


class Feedback(Record, frozen=True, kw_only=True):
    """Which part of the training rows a model's own decisions shaped."""

    rows: int  #: training rows
    served: int  #: of them captured, so answered by a version of this model
    served_share: float | None  #: None without training rows
    asked: int = 0  #: captured rows, labelled or not, old enough to have their label
    labelled: int = 0  #: of these
    rates: list[dict[str, float]] = []  #: label rate by score: low and high score, rows, rate
    spread: tuple[float, float, float] | None = None  #: of two rates, with its lower and upper end
    shaped_share: tuple[float, float, float] | None = None  #: of all training rows
    decided_share: float | None = None  #: of captured rows for which the declared decision held
    at_random: float | None = None  #: declared: rows labelled whatever the score
    found: str = ""  #: one sentence with figures
    warning: str = ""  #: empty where there is nothing to warn of


def look(
    training: int,
    served: int,
    captured: pl.DataFrame,
    labelled: set[str] | pl.Series,
    until: float,
    *,
    decision: str | None = None,
    at_random: float | None = None,
) -> Feedback:
    """Return which part of ``training`` rows, ``served`` of them captured, the model shaped.

    ``captured`` are all captured rows of the span, labelled or not (``_id``, ``_time``,
    ``_score`` and, for a declared decision, the raw columns); ``labelled`` the ids whose label
    is known. Rows later than ``until`` are left out: their label may only be late. ``decision``
    is SQL over the raw columns and ``score``, true where the model's answer was acted on.

    Raises:
        BadInputError: if the decision cannot be computed from these rows.
    """
    share = served / training if training else None
    told: dict[str, Any] = {"rows": training, "served": served, "served_share": share}
    told["at_random"] = at_random
    part = "There are no training rows" if share is None else f"{share:.0%} of the training rows"
    old = captured.filter(pl.col("_time") <= until) if captured.height else captured
    if old.height < LEAST_ROWS:
        found = f"{part} were answered by this model" if share is not None else part
        few = f"; only {old.height} captured rows are old enough to ask about their labels."
        return Feedback(**told, asked=old.height, found=found + few)
    known = old["_id"].is_in(pl.Series(labelled, dtype=pl.String).implode())
    scores = _scores(old["_score"])
    held = None if decision is None else decided(old, decision)
    selection = label_selection(
        scores,
        known.to_numpy(),
        _stretches(old["_time"].to_numpy()),
        groups=None if held is None else held.astype(np.int64),
        at_random=at_random,
    )
    told |= _figures(selection, known, share or 0.0)
    told["decided_share"] = None if held is None else float(held.mean())
    found = _sentence(part, selection, told)
    warning = _warning(selection, told, found)
    return Feedback(**told, found=found, warning=warning)


def decided(rows: pl.DataFrame, decision: str) -> npt.NDArray[np.bool_]:
    """Return for which rows a declared decision held; never where it cannot be told.

    Raises:
        BadInputError: if it cannot be computed, or is no condition.
    """
    frame = rows.with_columns(score=pl.Series(_scores(rows["_score"])))
    try:
        found = frame.select(pl.sql_expr(decision).alias("held"))["held"]
    except PolarsError as error:
        first = str(error).partition("\n")[0]
        raise BadInputError(
            f"The decision {decision!r} cannot be computed from captured rows: {first}",
            field="decision",
            hint='Write a condition over the raw columns and score, such as "score >= 0.5".',
        ) from error
    if found.dtype != pl.Boolean:
        raise BadInputError(
            f"The decision {decision!r} gives {found.dtype}, and not true or false.",
            field="decision",
        )
    return np.asarray(found.fill_null(value=False).to_numpy())


def _scores(values: pl.Series) -> npt.NDArray[np.float64]:
    """Return one number a row: the score, or the chance of the likeliest class."""
    single = values.list.max() if values.dtype == pl.List else values
    if single.dtype == pl.Array:
        single = single.arr.max()
    return np.asarray(np.nan_to_num(single.cast(pl.Float64).fill_null(0.0).to_numpy()))


def _stretches(times: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    place = np.empty(times.size, dtype=np.int64)
    place[np.argsort(times, kind="stable")] = np.arange(times.size)
    return place * _STRETCHES // max(times.size, 1)


def _figures(selection: Selection, known: pl.Series, share: float) -> dict[str, Any]:
    rates = [
        {"from": low, "to": high, "rows": float(rate.n), "rate": rate.estimate,
         "low": rate.low, "high": rate.high}
        for rate, (low, high) in zip(selection.rates, selection.edges, strict=True)
    ]  # fmt: skip
    return {
        "asked": known.len(),
        "labelled": int(known.sum()),
        "rates": rates,
        "spread": _three(selection.spread),
        "shaped_share": _three(selection.shaped, share) if selection.depends else (0.0, 0.0, 0.0),
    }


def _three(band: Interval, times: float = 1.0) -> tuple[float, float, float]:
    return band.estimate * times, band.low * times, band.high * times


def _sentence(part: str, selection: Selection, told: dict[str, Any]) -> str:
    rates = [one.estimate for one in selection.rates]
    spread = selection.spread
    how = "does not depend on the score as far as can be seen"
    if selection.depends:
        how = f"depends on the score: they differ by {spread.estimate:.0%}"
        how += f" ({spread.low:.0%} to {spread.high:.0%})"
    return (
        f"{part} were answered by this model. Of {told['asked']:,} captured rows"
        f" {told['labelled']:,} have a label; between {min(rates):.0%} and {max(rates):.0%} by"
        f" score, which {how}."
    )


def _warning(selection: Selection, told: dict[str, Any], found: str) -> str:
    lines = []
    if selection.depends and told["labelled"]:
        middle, low, high = told["shaped_share"]
        lines.append(
            f"Feedback loop: {middle:.0%} ({low:.0%} to {high:.0%}) of the training rows have a"
            f" label only because of how this model scored them. {found} Label a random share of"
            " the rows whatever the score, and declare it as random_share."
        )
    if told["decided_share"]:
        lines.append(
            f"The declared decision held for {told['decided_share']:.0%} of the captured rows. If"
            " it changes what happens, their labels tell of the decision too, which no log shows."
        )
    return " ".join(lines)

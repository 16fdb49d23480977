"""Say of a captured column for how many independent rows its rows count.

Rows of one customer, one hour, one machine are alike and come together. What is measured here is
the design effect of a column's values (numbers below the quartiles of the baseline, categories
by halves) and of its flaws (missing, out of range, unseen), in the order of event time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import ColumnProfile, Window
from mainspring.monitoring.columns import YES_NO, Floats, Summary, as_numbers
from mainspring.numerics.dependence import Dependence, design_effects, pooled
from mainspring.numerics.histograms import equal_share_cuts
from mainspring.numerics.profiles import OTHER, score_column

Order = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: The flaws of a column are looked at from this share of rows on: fewer cannot be alarming.
FLAWS_FROM = 0.01
MANY = 200_000
#: From so many quiet windows on their design effect is taken, and not the window's own: a column
#: that breaks in the middle of a window would otherwise look like one that comes in long runs.
LEARNED_FROM = 3


def event_order(frame: pl.DataFrame) -> Order | None:
    """Return the places of a frame's rows in the order of their event time, or None.

    None where rows have no time; empty where they stand in that order already.
    """
    if "_time" not in frame.columns or frame.height == 0:
        return None
    times = frame["_time"]
    if times.is_sorted():
        return np.empty(0, dtype=np.int64)
    keys = ["_time", "_id"] if "_id" in frame.columns else ["_time"]
    # By the id where times are equal, so that the order rows came in makes no difference.
    ordered = frame.select(keys).with_row_index("_at").sort(keys)["_at"]
    return ordered.to_numpy().astype(np.int64)


def with_streaks(summary: Summary, column: pl.Series | None, order: Order | None) -> Summary:
    """Return the summary of a column with what is known of its dependence."""
    if column is None or order is None or summary.present == 0:
        return summary
    base = summary.baseline
    if order.size:
        column = column.gather(order)
    if base.type == "number":
        values, _ = as_numbers(column)
        known = ~np.isnan(values)
        values = values if known.all() else values[known]
        flags = _below_quartiles(values, base)
    else:
        text = column.drop_nulls()
        known, flags = column.is_not_null().to_numpy(), _halves(text, base)
    return replace(summary, dependence=design_effects(flags), gaps=_flaws(summary, column, known))


def with_score_streaks(summary: Summary, scores: Floats, order: Order | None) -> Summary:
    """Return the summary of a score with what is known of its dependence.

    ``order`` is that of the scored rows.
    """
    if order is None or scores.shape[0] == 0:
        return summary
    column = score_column(scores[order] if order.size else scores)
    if summary.baseline.type == "number":
        values = column[np.isfinite(column)] if column.dtype.kind == "f" else np.empty(0)
        flags = _below_quartiles(values, summary.baseline)
    else:
        flags = _halves(pl.Series(column.tolist(), dtype=pl.String).drop_nulls(), summary.baseline)
    return replace(summary, dependence=design_effects(flags))


def order_among(order: Order | None, taken: Flags) -> Order | None:
    """Return the order of those rows that were taken, numbered among themselves."""
    if order is None or order.size == 0:
        return order
    number = np.cumsum(taken) - 1
    return np.asarray(number[order[taken[order]]], dtype=np.int64)


def learned(
    own: Dependence, subject: str, earlier: Sequence[Window], version: int | None
) -> Dependence:
    """Return the dependence of a column as quiet windows before saw it, or else its own."""
    seen = []
    for window in earlier:
        if window.version != version:
            continue
        for row in window.drift:
            if row.get("column") == subject and row["verdict"] == "quiet" and row.get("effects"):
                effects = {int(blocks): effect for blocks, effect in row["effects"].items()}
                seen.append(Dependence(effects))
    if len(seen) >= LEARNED_FROM:
        return pooled(seen)
    return pooled([own, *seen]) if own.effects else own


def _below_quartiles(values: Floats, base: ColumnProfile) -> list[Flags]:
    counts = np.asarray(base.counts, dtype=np.int64)
    if counts.size == 0 or not base.edges:
        return []
    cuts = equal_share_cuts(counts, 4)
    return [np.asarray(values <= base.edges[cut]) for cut in cuts]


def _halves(column: pl.Series, base: ColumnProfile) -> list[Flags]:
    """Split categories in two, twice, so that both halves are common and cut across each other."""
    if column.dtype != pl.Boolean:
        column = column.cast(pl.String, strict=False)
        if base.categories.keys() <= {"true", "false"}:
            column = column.str.to_lowercase().replace(YES_NO)
    names = sorted(base.categories, key=lambda name: (-base.categories[name], name))
    found = []
    # Looking up a million texts takes 20 ms, and so many rows tell enough by one half.
    for place in (0, 1) if column.len() < MANY else (0,):
        half = [name for rank, name in enumerate(names) if (rank >> place) & 1]
        if not half:
            continue
        if column.dtype == pl.Boolean:
            flags = column if "true" in half else ~column
        else:
            flags = column.is_in(half)
        found.append(flags.to_numpy().astype(bool))
    return found


def _flaws(summary: Summary, column: pl.Series, known: Flags) -> dict[str, Dependence]:
    """Return the dependence of those flaws that are frequent enough to be alarming."""
    base, least = summary.baseline, FLAWS_FROM * summary.rows
    found = {}
    # Where training had every value, gaps are news however they come.
    if base.missing and summary.missing > least:
        found["missing"] = design_effects([~known])
    if summary.outside > least and base.low is not None and base.high is not None:
        values, _ = as_numbers(column)
        found["out of range"] = design_effects([(values < base.low) | (values > base.high)])
    if sum(summary.unseen.values()) > least:
        text = column.cast(pl.String, strict=False)
        kept = [name for name in base.categories if name != OTHER]
        new = (~text.is_in(kept)).fill_null(value=False)
        found["unseen category"] = design_effects([new.to_numpy().astype(bool)])
    return found

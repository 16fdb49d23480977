"""Say of a captured column for how many independent rows its rows count.

Rows of one customer, one hour, one machine are alike and come together. What is measured here is
the design effect of a column's values (numbers below the quartiles of the baseline, categories
by halves) and of its flaws (missing, out of range, unseen), in the order of event time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import ColumnProfile, Window
from mainspring.monitoring.columns import YES_NO, Floats, Summary, as_numbers
from mainspring.numerics.dependence import Dependence, between_windows, design_effects, pooled
from mainspring.numerics.histograms import equal_share_cuts
from mainspring.numerics.profiles import OTHER, score_column

Order = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Row = dict[str, Any]

#: The flaws of a column are looked at from this share of rows on: fewer cannot be alarming.
FLAWS_FROM = 0.01
#: From so many differences between windows on it is known how much they differ from each other.
WINDOWS_FROM = 20
#: Of more rows than twice this, so many are looked at, at equal distances.
LOOKED_AT = 65_536
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
    step = max(column.len() // LOOKED_AT, 1)
    column = column.gather(order[::step]) if order.size else column.gather_every(step)
    if base.type == "number":
        values, _ = as_numbers(column)
        known = ~np.isnan(values)
        values = values if known.all() else values[known]
        flags = _below_quartiles(values, base)
    else:
        text = column.drop_nulls()
        known, flags = column.is_not_null().to_numpy(), _halves(text, base)
    gaps = _flaws(summary, column, known, step)
    return replace(summary, dependence=_effects(flags, step), gaps=gaps)


def with_score_streaks(summary: Summary, scores: Floats, order: Order | None) -> Summary:
    """Return the summary of a score with what is known of its dependence.

    ``order`` is that of the scored rows.
    """
    if order is None or scores.shape[0] == 0:
        return summary
    step = max(scores.shape[0] // LOOKED_AT, 1)
    column = score_column(scores[order[::step]] if order.size else scores[::step])
    if summary.baseline.type == "number":
        values = column[np.isfinite(column)] if column.dtype.kind == "f" else np.empty(0)
        flags = _below_quartiles(values, summary.baseline)
    else:
        flags = _halves(pl.Series(column.tolist(), dtype=pl.String).drop_nulls(), summary.baseline)
    return replace(summary, dependence=_effects(flags, step))


def _effects(flags: Sequence[Flags], step: int) -> Dependence:
    """Return the design effects of all rows, from every ``step``-th of them.

    Those between two that were looked at are like them, if the dependence reaches that far; if
    it does not, it takes away less of so many rows than would matter.
    """
    found = design_effects(flags)
    if step == 1:
        return found
    return Dependence({k: max(v, 1 + step * (v - 1)) for k, v in found.effects.items()})


def order_among(order: Order | None, taken: Flags) -> Order | None:
    """Return the order of those rows that were taken, numbered among themselves."""
    if order is None or order.size == 0:
        return order
    number = np.cumsum(taken) - 1
    return np.asarray(number[order[taken[order]]], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Reckoned:
    """For how many rows those of a column count as one, and how that is known."""

    rows: Dependence  # from the rows of windows
    windows: Dependence | None = None  # from how windows differ from each other

    def certain(self, chance: float) -> float:
        """Return the design effect to reckon with, when ``chance`` may be missed."""
        apart = 1.0 if self.windows is None else self.windows.certain(chance)
        return max(self.rows.certain(chance), apart)


def place_of(counts: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return where the rows of a window lie on average among cells, and how they scatter there.

    Cells are ranked from 0 to 1 by their number; what is compared is one window with another.
    """
    ranks = np.arange(counts.size) / max(counts.size - 1, 1)
    shares = counts / max(int(counts.sum()), 1)
    mean = float(shares @ ranks)
    return mean, float(shares @ (ranks - mean) ** 2)


def reckoned(
    own: Dependence,
    subject: str,
    earlier: Sequence[Window],
    version: int | None,
    phase: Callable[[Window], object] = lambda _: None,
) -> Reckoned:
    """Return the dependence to reckon with for a column.

    Of its rows: as quiet windows before saw it, or else its own. Of windows: how much quiet ones
    of the same phase differ from one to the next, in units of what independent rows would; days
    that differ for a reason of their own show here and not within one. It counts from
    :data:`WINDOWS_FROM` differences on.
    """
    same = [window for window in earlier if window.version == version]
    quiet = [
        (window, row)
        for window in same
        for row in window.drift
        if row.get("column") == subject and row["verdict"] in ("quiet", "not judged")
    ]
    return Reckoned(_learned(own, subject, same), _between(quiet, phase))


def _between(
    quiet: Sequence[tuple[Window, Row]], phase: Callable[[Window], object]
) -> Dependence | None:
    by_phase: dict[object, list[Row]] = {}
    for window, row in quiet:
        if row.get("place") and row["place"][1] > 0:
            by_phase.setdefault(phase(window), []).append(row)
    squares, degrees = 0.0, 0
    for rows in by_phase.values():
        units = float(np.mean([row["place"][1] / max(row["rows"], 1) for row in rows]))
        scatter = between_windows([row["place"][0] for row in rows])
        if scatter is not None:
            squares += scatter / units * (len(rows) - 1)
            degrees += len(rows) - 1
    return Dependence({degrees + 1: squares / degrees}) if degrees >= WINDOWS_FROM else None


def _learned(own: Dependence, subject: str, earlier: Sequence[Window]) -> Dependence:
    seen = []
    for window in earlier:
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
    for place in (0, 1):
        half = [name for rank, name in enumerate(names) if (rank >> place) & 1]
        if not half:
            continue
        if column.dtype == pl.Boolean:
            flags = column if "true" in half else ~column
        else:
            flags = column.is_in(half)
        found.append(flags.to_numpy().astype(bool))
    return found


def _flaws(summary: Summary, column: pl.Series, known: Flags, step: int) -> dict[str, Dependence]:
    """Return the dependence of those flaws that are frequent enough to be alarming."""
    base, least = summary.baseline, FLAWS_FROM * summary.rows
    found = {}
    # Where training had every value, gaps are news however they come.
    if base.missing and summary.missing > least:
        found["missing"] = _effects([~known], step)
    if summary.outside > least and base.low is not None and base.high is not None:
        values, _ = as_numbers(column)
        found["out of range"] = _effects([(values < base.low) | (values > base.high)], step)
    if sum(summary.unseen.values()) > least:
        text = column.cast(pl.String, strict=False)
        kept = [name for name in base.categories if name != OTHER]
        new = (~text.is_in(kept)).fill_null(value=False)
        found["unseen category"] = _effects([new.to_numpy().astype(bool)], step)
    return found

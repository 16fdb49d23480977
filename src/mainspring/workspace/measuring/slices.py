"""Measure a candidate on parts of the fresh rows: declared slices, and the worst of a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Gate
from mainspring.monitoring.slicing import Cut, check_slices, condition, cut_column
from mainspring.numerics import segments
from mainspring.readiness.checks.slices import tolerance_of
from mainspring.readiness.measured import SliceFigures, SlicesMeasured
from mainspring.workspace.measuring.subject import Candidate, Floats, Fresh

Mask = npt.NDArray[np.bool_]

#: The chance of refusing a candidate for a slice that is not bad, all slices together.
ALPHA = 0.05
#: Of that, what declared slices may use up where there is a search as well.
_DECLARED = 0.5
#: Columns that are searched: those the version listens to most.
MOST_COLUMNS = 12
#: From so many days on, whole days are searched or judged, as rows of a day hang together.
_LEAST_DAYS = 10


def measure(candidate: Candidate, fresh: Fresh | None, policy: Gate) -> SlicesMeasured | None:
    """Return what is lost in each slice; None where nothing was asked or can be compared."""
    if fresh is None or not fresh.rows.height:
        why = "there is no labelled fresh row"
        return SlicesMeasured(why=why) if policy.slices else None
    if fresh.theirs is None and policy.worst_slice is None and not policy.slices:
        return None
    declared, unread = _declared(candidate, fresh.rows, policy.slices)
    # A slice is judged by its loss, by its loss beside the champion's, or by both.
    questions = max((policy.worst_slice is not None) + (fresh.theirs is not None), 1)
    alpha = ALPHA * _DECLARED if declared and policy.search_slices else ALPHA
    figures = [
        _figures(name, mask, fresh, alpha / (len(declared) * questions)) for name, mask in declared
    ]
    looked = 0
    if policy.search_slices:
        rest = ALPHA - alpha if declared else ALPHA
        more, looked = _searched(candidate, fresh, policy, rest / questions, dict(declared))
        figures += more
    return SlicesMeasured(slices=figures, looked=looked, alpha=ALPHA, unread=unread)


def _declared(
    candidate: Candidate, rows: pl.DataFrame, asked: Sequence[str]
) -> tuple[list[tuple[str, Mask]], list[str]]:
    signature = candidate.served.signature
    names = {column.name for column in signature.columns}
    found: list[tuple[str, Mask]] = []
    unread: list[str] = []
    for text in asked:
        if text in names:
            cut = _cut(candidate, rows, text)
            if cut is None:
                unread.append(f"{text}: the column holds one value only, or none")
                continue
            codes = cut.codes(rows)
            found += [(name, codes == place) for place, name in enumerate(cut.names)]
            continue
        try:
            check_slices([text], signature.columns)
            found.append((text, condition(text, rows)))
        except BadInputError as error:
            unread.append(f"{text}: {error}")
    return found, unread


def _figures(
    name: str, mask: Mask, fresh: Fresh, alpha: float, *, found: bool = False
) -> SliceFigures:
    one = segments.judge(mask, fresh.losses, fresh.theirs, fresh.blocks, alpha=alpha)
    rows = int(mask.sum())
    if one is None:
        why = f"{rows} rows, {segments.LEAST_ROWS} are needed"
        return SliceFigures(name=name, rows=rows, found=found, why=why)
    gap = one.difference
    return SliceFigures(
        name=name,
        rows=rows,
        loss=one.loss.estimate,
        low=one.loss.low,
        high=one.loss.high,
        champion_loss=one.other,
        difference=None if gap is None else gap.estimate,
        difference_low=None if gap is None else gap.low,
        difference_high=None if gap is None else gap.high,
        by_block=one.by_block,
        found=found,
    )


def _searched(
    candidate: Candidate, fresh: Fresh, policy: Gate, alpha: float, declared: dict[str, Mask]
) -> tuple[list[SliceFigures], int]:
    """Return slices that are bad in one half of the rows, as the other half sees them."""
    columns = []
    for name in candidate.heaviest(MOST_COLUMNS):
        cut = _cut(candidate, fresh.rows, name) if name in fresh.rows.columns else None
        if cut is not None:
            columns.append(segments.Column(cut.names, cut.codes(fresh.rows)))
    excesses: list[Floats] = []
    if fresh.theirs is not None:
        excesses.append(fresh.losses - fresh.theirs - tolerance_of(policy))
    if policy.worst_slice is not None:
        excesses.append(fresh.losses - policy.worst_slice)
    first, looked = _half(fresh), 0
    chosen: dict[str, segments.Found] = {}
    for excess in excesses:
        found, looked = segments.search(excess, columns, first)
        chosen |= {one.name: one for one in found if one.name not in declared}
    each = alpha / max(len(chosen), 1)
    return [
        _figures(one.name, one.judged, fresh, each, found=True) for one in chosen.values()
    ], looked


def _half(fresh: Fresh) -> Mask:
    """Return which rows are searched, always the same: every other day, or every other row."""
    days, at = np.unique(fresh.blocks, return_inverse=True)
    places = at if days.size >= _LEAST_DAYS else np.arange(fresh.rows.height)
    even: Mask = places % 2 == 0
    return even


def _cut(candidate: Candidate, rows: pl.DataFrame, name: str) -> Cut | None:
    kept = candidate.reference if candidate.reference is not None else rows
    return cut_column(name, candidate.baseline, kept)

"""Watch parts of the traffic apart: slices that were declared, and the worst that are found.

A slice is bad if the mean loss of its rows has risen above that of the same slice at training,
by more than chance explains and by more than the tolerance. Declared slices share the chance of
a false alarm among them. Searched ones are found on one half of the rows and tested on the
other, at a chance shared among those found: what the search picked out by luck fails there, so
what is left is as honest as if it had been declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Finding
from mainspring.monitoring.graded import (
    Graded,
    graded,
    graded_reference,
    rise_reach,
    stretches_of,
)
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.monitoring.slicing import Cut, condition, cut_column
from mainspring.numerics.errors import TooFewError
from mainspring.numerics.intervals import mean_interval

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Columns that are searched: those the model listens to most.
MOST_COLUMNS = 12
#: Slices that are taken over to the other half and tested there.
CANDIDATES = 5
#: Rows that a slice needs in each half, and at training, to be worth a look.
_LEAST = 50
#: Of the chance of all slices, what those that were declared may use up, if there are any.
_DECLARED = 0.5
#: How sure a slice that was found has to be for a notice.
_NOTICE = 0.05


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of a window, and the rows at training that they are compared with."""

    name: str
    now: Mask
    before: Mask  # of the rows at training; empty where there are none


def slices(sight: Sight) -> list[Finding]:
    """Return what labels say of every declared slice, and of the worst that were found."""
    if sight.joined is None:
        return []
    own = graded(sight.joined.rows, sight.version, sight.signature)
    kept = graded_reference(sight.reference, sight.signature)
    alpha = alpha_of("slice", sight.policy.alpha)
    told, asked = _declared(sight, own, kept)
    mine = alpha * _DECLARED if sight.policy.search_slices else alpha
    found = [_judged(sight, own, kept, one, mine / len(asked)) for one in asked]
    if sight.policy.search_slices:
        rest = alpha * (1 - _DECLARED) if asked else alpha
        found += _searched(sight, own, kept, rest, {one.name for one in asked})
    return told + found


def _declared(sight: Sight, own: Graded, kept: Graded | None) -> tuple[list[Finding], list[Slice]]:
    columns = {column.name for column in sight.signature.columns}
    told: list[Finding] = []
    found: list[Slice] = []
    for text in sight.policy.slices:
        if text in columns or text in own.frame.columns:
            cut = _cut(sight, kept, text)
            if cut is None:
                told.append(_not_judged(text, "the column held no value at training."))
            else:
                found += _of_cut(cut, own, kept)
            continue
        try:
            before = np.empty(0, np.bool_) if kept is None else condition(text, kept.frame)
            found.append(Slice(text, condition(text, own.frame), before))
        except BadInputError as error:
            told.append(_not_judged(text, str(error)))
    return told, found


def _cut(sight: Sight, kept: Graded | None, name: str) -> Cut | None:
    return cut_column(name, sight.baseline, None if kept is None else kept.frame)


def _of_cut(cut: Cut, own: Graded, kept: Graded | None) -> list[Slice]:
    codes = cut.codes(own.frame)
    before = np.empty(0, np.int64) if kept is None else cut.codes(kept.frame)
    return [Slice(name, codes == place, before == place) for place, name in enumerate(cut.names)]


def _judged(sight: Sight, own: Graded, kept: Graded | None, one: Slice, alpha: float) -> Finding:
    rows, least = int(one.now.sum()), max(min(sight.policy.min_rows, 2 * _LEAST), 2)
    if rows < least:
        why = f"Not judged: {rows:,} labelled rows in this slice, {least:,} are needed."
        return Finding(
            monitor="slice",
            subject=one.name,
            value=None,
            rows=rows,
            verdict="too few rows",
            why=why,
        )
    losses = own.losses[one.now]
    usual, before, told = _usual(sight, kept, one.before)
    if usual is None:
        return _not_judged(one.name, told, rows)
    try:
        radius = rise_reach(losses, before, alpha, stretches_of(own.rows)[one.now])
    except TooFewError:
        return _not_judged(one.name, "all of its rows lie in one stretch of time.", rows)
    found = _of_loss(sight, one.name, losses, usual, told, radius, own.losses, rows)
    # A slice may always have been harder than the rest, which is no news.
    if before is None and found.verdict == "alarm":
        return msgspec.structs.replace(found, verdict="notice")
    return found


def _of_loss(
    sight: Sight,
    name: str,
    losses: Floats,
    usual: float,
    told: str,
    radius: float,
    whole: Floats,
    rows: int,
    detail: dict[str, Any] | None = None,
) -> Finding:
    band = mean_interval(losses)
    line = usual + sight.policy.loss_tolerance
    bad = band.estimate - radius > line
    return Finding(
        monitor="slice",
        subject=name,
        value=band.estimate,
        low=band.low,
        high=band.high,
        baseline=usual,
        line=line,
        radius=radius,
        smallest=radius + sight.policy.loss_tolerance,
        rows=rows,
        verdict="alarm" if bad else "quiet",
        why=f"Mean loss {band.estimate:.4f} on {rows:,} rows, at least"
        f" {band.estimate - radius:.4f}; {usual:.4f} {told}, {line:.4f} is tolerated.",
        detail={"of_all": float(whole.mean()), "share": rows / whole.size, **(detail or {})},
    )


def _usual(
    sight: Sight, kept: Graded | None, before: Mask
) -> tuple[float | None, Floats | None, str]:
    """Return the loss of a slice at training, the losses it is the mean of, and what it is."""
    if kept is not None and int(before.sum()) >= _LEAST:
        losses = kept.losses[before]
        return float(losses.mean()), losses, "in this slice at training"
    if sight.baseline.loss is not None:
        return sight.baseline.loss, None, "of all rows at training (too few of this slice)"
    return None, None, "the version has no holdout loss."


def _searched(
    sight: Sight, own: Graded, kept: Graded | None, alpha: float, declared: set[str]
) -> list[Finding]:
    """Return the slices that were bad in one half of the rows, as the other half sees them."""
    if kept is None or own.rows < max(sight.policy.min_rows, 4 * _LEAST):
        return []
    first, early = _half(own), np.arange(kept.rows) % 2 == 0
    # What rose everywhere is no slice's: where the whole got worse, one must be worse than that.
    whole_rise = max(float(own.losses.mean() - kept.losses.mean()), 0.0)
    ranked: list[tuple[float, str, Slice]] = []
    looked = 0
    for one in _every(sight, own, kept):
        if one.name in declared:
            continue
        looked += 1
        now, then = own.losses[one.now & first], kept.losses[one.before & early]
        left = int((one.now & ~first).sum()), int((one.before & ~early).sum())
        if min(now.size, then.size, *left) < _LEAST:
            continue
        error = np.sqrt(now.var() / now.size + then.var() / then.size)
        rise = now.mean() - then.mean() - whole_rise - sight.policy.loss_tolerance
        if rise > 2 * error:  # the rest would not stand the test
            ranked.append((float(rise / max(error, 1e-12)), one.name, one))
    chosen = _apart(sorted(ranked, key=lambda found: (-found[0], found[1])))
    found = []
    for one in chosen:
        losses = own.losses[one.now & ~first]
        before = kept.losses[one.before & ~early]
        usual = float(before.mean())
        told = "in this slice at training, and what all rows rose by; found by search"
        places = stretches_of(own.rows)[one.now & ~first]
        try:
            radius = rise_reach(losses, before, alpha / len(chosen), places)
            weaker = rise_reach(losses, before, _NOTICE / len(chosen), places)
        except TooFewError:  # all in one stretch of time: one event, and no slice
            continue
        finding = _of_loss(
            sight,
            one.name,
            losses,
            usual + whole_rise,
            told,
            radius,
            own.losses,
            int(losses.size),
            {"found_by": "search", "rows_in_all": int(one.now.sum())},
        )
        if finding.verdict == "alarm":
            found.append(finding)
        elif finding.value is not None and finding.value - weaker > (finding.line or 0.0):
            found.append(msgspec.structs.replace(finding, verdict="notice"))
    why = (
        f"Looked through {looked:,} slices of one column or two on one half of {own.rows:,} rows;"
        f" {len(chosen)} were tested on the other half, {len(found)} stood the test."
    )
    whole = Finding(
        monitor="slice", subject="search", value=float(len(found)), rows=own.rows, why=why
    )
    return [whole, *found]


def _every(sight: Sight, own: Graded, kept: Graded) -> Iterator[Slice]:
    """Yield the slices of single columns, then of pairs of them."""
    shares = {one.name: one.share for one in sight.baseline.columns}
    names = [c.name for c in sight.signature.columns if c.name in own.frame.columns]
    names = sorted(names, key=lambda name: (-shares.get(name, 0.0), name))[:MOST_COLUMNS]
    cuts = [cut for name in names if (cut := _cut(sight, kept, name)) is not None]
    coded = [(cut, cut.codes(own.frame), cut.codes(kept.frame)) for cut in cuts]
    for cut, now, then in coded:
        large = np.bincount(now[now >= 0], minlength=len(cut.names)) >= 2 * _LEAST
        for place in np.flatnonzero(large).tolist():
            yield Slice(cut.names[place], now == place, then == place)
    for (left, now, then), (right, now2, then2) in combinations(coded, 2):
        width = len(right.names)
        both = np.where((now >= 0) & (now2 >= 0), now * width + now2, -1)
        before = np.where((then >= 0) & (then2 >= 0), then * width + then2, -1)
        large = np.bincount(both[both >= 0], minlength=1) >= 2 * _LEAST
        for code in np.flatnonzero(large).tolist():
            name = f"{left.names[code // width]} & {right.names[code % width]}"
            yield Slice(name, both == code, before == code)


def _apart(ranked: list[tuple[float, str, Slice]]) -> list[Slice]:
    """Return the best slices, without those that are mostly rows of a better one."""
    chosen: list[Slice] = []
    for _, _, one in ranked:
        if len(chosen) == CANDIDATES:
            break
        rows = int(one.now.sum())
        shared = [int((one.now & other.now).sum()) for other in chosen]
        if all(2 * both < rows for both in shared):
            chosen.append(one)
    return chosen


def _half(own: Graded) -> Mask:
    """Return one half of the rows, always the same: by the ids of their predictions."""
    if "_id" not in own.frame.columns:
        return np.asarray(np.arange(own.rows) % 2 == 0, dtype=np.bool_)
    ids = own.frame["_id"].cast(str).to_list()
    digests = np.array([crc32(name.encode()) for name in ids], dtype=np.int64)
    even: Mask = digests % 2 == 0
    return even


def _not_judged(name: str, why: str, rows: int = 0) -> Finding:
    return Finding(
        monitor="slice",
        subject=name,
        value=None,
        rows=rows,
        verdict="not judged",
        why=f"Not judged: {why}",
    )

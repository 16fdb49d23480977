"""Say how good the order of answers is, where rows are answers to queries.

A query counts once, however many answers it has, so intervals are over queries. The alarm is on
a fall of NDCG at the shown depth, which the loss of single rows does not see: it must be more
than chance explains (in this window's queries, and in those kept at training) and more than the
tolerance declared with the query column.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Finding
from mainspring.monitoring.graded import Graded, graded, graded_reference, rise_reach
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.intervals import mean_interval
from mainspring.numerics.ranking import Ranked, ranking

Floats = npt.NDArray[np.float64]

#: Queries that an alarm needs, as a mean of few is not near to normal.
_LEAST = 50


def rankings(sight: Sight) -> list[Finding]:
    """Return NDCG, precision, MAP and MRR of a window; nothing if no query is declared."""
    policy = sight.policy.ranking
    if policy is None or sight.joined is None:
        return []
    main = f"ndcg@{policy.top}"
    if sight.signature.kind == "multiclass":
        return [_not_judged(main, "one of several classes has no order.")]
    own = graded(sight.joined.rows, sight.version, sight.signature)
    if policy.query not in own.frame.columns:
        return [_not_judged(main, f"there is no column {policy.query!r} in the captured rows.")]
    try:
        now = _ranked(own, policy.query, policy.top)
    except NumericsError as error:
        return [_not_judged(main, str(error), own.rows)]
    kept = graded_reference(sight.reference, sight.signature)
    before: Ranked | None = None
    if kept is not None and policy.query in kept.frame.columns:
        try:
            before = _ranked(kept, policy.query, policy.top)
        except NumericsError:  # no query of training has a relevant answer
            before = None
    names = {
        main: "ndcg",
        f"precision@{policy.top}": "precision",
        "map": "average_precision",
        "mrr": "reciprocal_rank",
    }
    found = [_shown(name, now, before, part) for name, part in names.items()]
    return [_judged(sight, found[0], now, before), *found[1:]]


def _ranked(own: Graded, query: str, top: int) -> Ranked:
    there = own.frame[query].is_not_null().to_numpy()
    names = own.frame[query].cast(pl.String).filter(pl.Series(there)).to_numpy()
    return ranking(names, own.scores[there, 0], own.truth[there], top)


def _shown(name: str, now: Ranked, before: Ranked | None, part: str) -> Finding:
    values: Floats = getattr(now, part)
    usual = None if before is None else float(getattr(before, part).mean())
    low = high = None
    if values.size > 1:
        band = mean_interval(values)
        low, high = max(band.low, 0.0), min(band.high, 1.0)
    return Finding(
        monitor="performance",
        subject=name,
        value=float(values.mean()),
        low=low,
        high=high,
        baseline=usual,
        rows=now.rows,
        why=f"Over {now.queries:,} queries; {now.empty:,} without a relevant answer are left out.",
        detail={"queries": now.queries, "empty": now.empty},
    )


def _judged(sight: Sight, found: Finding, now: Ranked, before: Ranked | None) -> Finding:
    if before is None or sight.policy.ranking is None:
        why = f"{found.why} Not judged: no queries of training to compare with."
        return msgspec.structs.replace(found, verdict="not judged", why=why)
    if min(now.queries, before.queries) < _LEAST:
        why = f"{found.why} Not judged: {_LEAST} queries are needed on either side."
        return msgspec.structs.replace(found, verdict="too few rows", why=why)
    tolerance = sight.policy.ranking.tolerance
    radius = rise_reach(1 - now.ndcg, 1 - before.ndcg, alpha_of("ranking", sight.policy.alpha))
    usual = float(before.ndcg.mean())
    line, best = usual - tolerance, float(now.ndcg.mean()) + radius
    return msgspec.structs.replace(
        found,
        line=line,
        radius=radius,
        smallest=radius + tolerance,
        verdict="alarm" if best < line else "quiet",
        why=f"{found.subject} {found.value:.4f}, at most {best:.4f}; {usual:.4f} at training,"
        f" {line:.4f} is tolerated. {found.why}",
    )


def _not_judged(subject: str, why: str, rows: int = 0) -> Finding:
    return Finding(
        monitor="performance",
        subject=subject,
        value=None,
        rows=rows,
        verdict="not judged",
        why=f"Not judged: {why}",
    )

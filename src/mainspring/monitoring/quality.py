"""Say of every column whether its values are there, of the right type, and of a known kind.

A rate is an alarm only if its Wilson interval lies wholly above that of the baseline, at a
confidence shared among all checks of the window, and if it rose by at least
:data:`MATERIAL_RATE`. What happens to a column the model hardly listens to is a notice. Flaws
that come in runs count for as many independent ones as their design effect says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from types import MappingProxyType
from typing import Any

from mainspring.ground.objects import ColumnProfile, MonitorPolicy
from mainspring.monitoring.columns import UNKNOWN, Summary
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.streaks import Reckoned
from mainspring.numerics.dependence import Dependence
from mainspring.numerics.intervals import Interval, wilson
from mainspring.numerics.profiles import OTHER

#: A rise of a rate below this does not matter, however certain it is.
MATERIAL_RATE = 0.02
#: From this design effect on rows are taken to come in runs; an estimate of 1 is raised so far.
RUNS_FROM = 2.5

Row = dict[str, Any]

_WORDS = {
    "missing": "have no value",
    "wrong type": "are of another type than the model was trained on",
    "out of range": "are outside of what training saw",
    "unseen category": "hold a value that training never saw",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One rate to compare: ``count`` of ``rows`` now, ``before`` of ``before_rows`` then."""

    column: str
    name: str
    share: float
    count: int
    rows: int
    before: int
    before_rows: int
    detail: str = ""
    effect: float = 1.0  # of the column's values; that of the flaws themselves may be larger
    seen: Dependence = UNKNOWN


def judge_quality(
    summaries: Sequence[Summary],
    score: Summary | None,
    extra: Iterable[str],
    policy: MonitorPolicy,
    known: Mapping[str, Reckoned] = MappingProxyType({}),
) -> list[Row]:
    """Return one row a check: ``column``, ``check``, its rates, ``verdict`` and ``why``.

    ``score`` is checked for being there at all. ``extra`` names captured columns that the
    baseline does not know; each is a notice. ``known`` is as in
    :func:`mainspring.monitoring.drift.judge_drift`.
    """
    chance = alpha_of("quality", policy.alpha)
    checks = []
    for one in summaries:
        seen = known.get(one.baseline.name) or Reckoned(one.dependence)
        checks += _checks(one, seen.certain(chance))
    if score is not None:
        checks.append(_missing(score, "score", 1.0))
    things = max(sum(1 for check in checks if _why_untested(check, policy) is None), 1)
    rows = [_judged(check, policy, chance / things) for check in checks]
    rows += [_vanished(s, policy) for s in summaries if s.vanished]
    return rows + [_new(name) for name in sorted(extra)]


def _checks(summary: Summary, effect: float) -> list[Check]:
    """Return the checks of a column whose rows come in runs of about ``effect``."""
    if summary.vanished:
        return []
    base = summary.baseline
    name, share, known = base.name, base.share, base.rows - base.missing
    given = summary.present + summary.wrong
    checks = [
        _missing(summary, name, share),
        Check(name, "wrong type", share, summary.wrong, given, 0, base.rows),
    ]
    if base.type == "number" and base.low is not None:
        detail = f"training saw {base.low:.4g} to {base.high:.4g}"
        if summary.low is not None:
            detail += f", the window {summary.low:.4g} to {summary.high:.4g}"
        # A fresh row lies beyond the extremes of n others with chance 2 / (n + 1).
        outside = min(ceil(2 * effect), known)
        now = (summary.outside, summary.present, outside, known, detail)
        checks.append(_seen(Check(name, "out of range", share, *now, effect), summary))
    if base.type == "category" and base.categories and OTHER not in base.categories:
        top = sorted(summary.unseen, key=lambda value: (-summary.unseen[value], value))[:3]
        detail = "such as " + ", ".join(repr(value[:40]) for value in top) if top else ""
        new = sum(summary.unseen.values())
        now = (new, summary.present, _singles(base, effect), known, detail)
        checks.append(_seen(Check(name, "unseen category", share, *now, effect), summary))
    return checks


def _seen(check: Check, summary: Summary) -> Check:
    return replace(check, seen=summary.gaps.get(check.name, UNKNOWN))


def _missing(summary: Summary, name: str, share: float) -> Check:
    base = summary.baseline
    gone = summary.missing - summary.wrong
    check = Check(name, "missing", share, gone, summary.rows, base.missing, base.rows)
    return _seen(check, summary)


def _singles(base: ColumnProfile, effect: float) -> int:
    """Return how many rows of the baseline hold a value that may have come there but once.

    Over its rows, that is the chance of a new value in the next row (Good and Turing's
    estimate; Good, The population frequencies of species, Biometrika 40, 1953). Where rows come
    in runs, a value that came once is in as many rows as a run has, and some runs are long.
    """
    most = 2 * effect if effect >= RUNS_FROM else 1
    return sum(count for count in base.categories.values() if count <= most)


def _why_untested(check: Check, policy: MonitorPolicy) -> str | None:
    if check.before_rows < 1:
        return "the baseline has no rows"
    if check.rows < policy.min_rows:
        return f"{check.rows:,} rows to look at, {policy.min_rows:,} are needed"
    return None


def _judged(check: Check, policy: MonitorPolicy, chance: float) -> Row:
    row: Row = {
        "column": check.column,
        "check": check.name,
        "share": check.share,
        "count": check.count,
        "rows": check.rows,
        "rate": check.count / check.rows if check.rows else None,
        "baseline": check.before / check.before_rows if check.before_rows else None,
        "low": None,
        "high": None,
        "baseline_high": None,
        "smallest": None,
    }
    reason = _why_untested(check, policy)
    if reason is not None:
        return {**row, "verdict": "too few rows", "why": f"Not judged: {reason}."}
    effect = max(check.seen.certain(chance), check.effect)
    now = _interval(check.count, check.rows, effect, chance, floor)
    before = _interval(check.before, check.before_rows, effect, chance, ceil)
    rate, usual = check.count / check.rows, check.before / check.before_rows
    certain = now.low > before.high
    material = rate - usual > MATERIAL_RATE
    relevant = check.share >= policy.relevant
    verdict = "quiet"
    if certain:
        verdict = "alarm" if material and relevant else "notice"
    elif material and effect > 1 and _certain_if_independent(check, chance):
        verdict = "notice"
    smallest = _smallest(check.rows, effect, chance, max(before.high, usual + MATERIAL_RATE))
    row |= {"low": now.low, "high": now.high, "baseline_high": before.high}
    row |= {"effect": effect, "smallest": smallest, "verdict": verdict}
    return {**row, "why": _words(check, row, certain=certain and material and not relevant)}


def _words(check: Check, row: Row, *, certain: bool) -> str:
    why = (
        f"{_percent(row['rate'])} of {check.rows:,} rows {_WORDS[check.name]} (at least"
        f" {_percent(row['low'])}); at training it was {_percent(row['baseline'])} (at most"
        f" {_percent(row['baseline_high'])})."
    )
    if check.count and check.detail:
        why = f"{why[:-1]}; {check.detail}."
    if row["effect"] >= 1.5:
        fewer = check.rows / row["effect"]
        why += f" They come in runs, and the rows count for {fewer:,.0f} independent ones."
    if row["verdict"] == "quiet" and row["smallest"] is not None:
        why += f" From {_percent(row['smallest'])} on it would have been an alarm."
    if certain:
        why += f" Only {_percent(check.share)} of the model's response hangs on it."
    return why


def _interval(
    count: int, rows: int, effect: float, chance: float, whole: Callable[[float], int]
) -> Interval:
    """Return the Wilson interval of a rate over the independent rows that the rows count for."""
    if effect <= 1:
        return wilson(count, rows, 1 - chance)
    fewer = max(int(rows / effect), 1)
    return wilson(min(whole(count / effect), fewer), fewer, 1 - chance)


def _certain_if_independent(check: Check, chance: float) -> bool:
    now = wilson(check.count, check.rows, 1 - chance)
    return now.low > wilson(check.before, check.before_rows, 1 - chance).high


def _smallest(rows: int, effect: float, chance: float, line: float) -> float | None:
    """Return the least rate that this window could have alarmed on; None if none could."""
    fewer = max(int(rows / effect), 1)
    if line >= 1 or wilson(fewer, fewer, 1 - chance).low <= line:
        return None
    low, high = int(line * fewer), fewer
    while low < high:
        middle = (low + high) // 2
        if wilson(middle, fewer, 1 - chance).low > line:
            high = middle
        else:
            low = middle + 1
    return low / fewer


def _vanished(summary: Summary, policy: MonitorPolicy) -> Row:
    base = summary.baseline
    enough = summary.rows >= policy.min_rows
    verdict = "alarm" if base.share >= policy.relevant else "notice"
    return {
        "column": base.name,
        "check": "missing column",
        "share": base.share,
        "count": summary.rows,
        "rows": summary.rows,
        "rate": 1.0 if summary.rows else None,
        "baseline": base.missing / base.rows if base.rows else None,
        "verdict": verdict if enough else "too few rows",
        "why": f"None of the {summary.rows:,} rows has this column.",
    }


def _new(name: str) -> Row:
    return {
        "column": name,
        "check": "new column",
        "verdict": "notice",
        "why": "The model was trained without this column and does not use it.",
    }


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

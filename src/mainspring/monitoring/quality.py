"""Say of every column whether its values are there, of the right type, and of a known kind.

A rate is an alarm only if its Wilson interval lies wholly above that of the baseline, at a
confidence shared among all checks of the window, and if it rose by at least
:data:`MATERIAL_RATE`. What happens to a column the model hardly listens to is a notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mainspring.ground.objects import ColumnProfile, MonitorPolicy
from mainspring.monitoring.columns import Summary
from mainspring.numerics.intervals import wilson
from mainspring.numerics.profiles import OTHER

#: A rise of a rate below this does not matter, however certain it is.
MATERIAL_RATE = 0.02

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


def judge_quality(
    summaries: Sequence[Summary],
    score: Summary | None,
    extra: Iterable[str],
    policy: MonitorPolicy,
) -> list[Row]:
    """Return one row a check: ``column``, ``check``, its rates, ``verdict`` and ``why``.

    ``score`` is checked for being there at all. ``extra`` names captured columns that the
    baseline does not know; each is a notice.
    """
    checks = [check for summary in summaries for check in _checks(summary)]
    if score is not None:
        checks.append(_missing(score, "score", 1.0))
    things = max(sum(1 for check in checks if _why_untested(check, policy) is None), 1)
    confidence = 1 - policy.alpha / things
    rows = [_judged(check, policy, confidence) for check in checks]
    rows += [_vanished(s, policy) for s in summaries if s.vanished]
    return rows + [_new(name) for name in sorted(extra)]


def _checks(summary: Summary) -> list[Check]:
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
        outside = min(2, known)
        now = (summary.outside, summary.present)
        checks.append(Check(name, "out of range", share, *now, outside, known, detail))
    if base.type == "category" and base.categories and OTHER not in base.categories:
        top = sorted(summary.unseen, key=lambda value: (-summary.unseen[value], value))[:3]
        detail = "such as " + ", ".join(repr(value[:40]) for value in top) if top else ""
        now = (sum(summary.unseen.values()), summary.present)
        checks.append(Check(name, "unseen category", share, *now, _singles(base), known, detail))
    return checks


def _missing(summary: Summary, name: str, share: float) -> Check:
    base = summary.baseline
    gone = summary.missing - summary.wrong
    return Check(name, "missing", share, gone, summary.rows, base.missing, base.rows)


def _singles(base: ColumnProfile) -> int:
    """Return how many values the baseline holds once.

    Over its rows, that is the chance of a new value in the next row (Good and Turing's
    estimate; Good, The population frequencies of species, Biometrika 40, 1953).
    """
    return sum(1 for count in base.categories.values() if count == 1)


def _why_untested(check: Check, policy: MonitorPolicy) -> str | None:
    if check.before_rows < 1:
        return "the baseline has no rows"
    if check.rows < policy.min_rows:
        return f"{check.rows:,} rows to look at, {policy.min_rows:,} are needed"
    return None


def _judged(check: Check, policy: MonitorPolicy, confidence: float) -> Row:
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
    }
    reason = _why_untested(check, policy)
    if reason is not None:
        return {**row, "verdict": "too few rows", "why": f"Not judged: {reason}."}
    now = wilson(check.count, check.rows, confidence)
    before = wilson(check.before, check.before_rows, confidence)
    certain = now.low > before.high
    material = now.estimate - before.estimate > MATERIAL_RATE
    relevant = check.share >= policy.relevant
    verdict = "quiet"
    if certain:
        verdict = "alarm" if material and relevant else "notice"
    why = (
        f"{_percent(now.estimate)} of {check.rows:,} rows {_WORDS[check.name]} (at least"
        f" {_percent(now.low)}); at training it was {_percent(before.estimate)} (at most"
        f" {_percent(before.high)})."
    )
    if check.count and check.detail:
        why = f"{why[:-1]}; {check.detail}."
    if certain and material and not relevant:
        why += f" Only {_percent(check.share)} of the model's response hangs on it."
    row |= {"low": now.low, "high": now.high, "baseline_high": before.high}
    return {**row, "verdict": verdict, "why": why}


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

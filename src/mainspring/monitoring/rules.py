"""Decide what a series comes to: N of M windows beyond a line or band, whatever is missing.

Pure. A rule is put to slots, one a window, oldest first; what it says depends on them alone
(and, where missing windows are ignored, on the state before).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import Alarm, Finding, MonitorPolicy, Record, Window
from mainspring.ground.rules import AlarmRule, Missing, StateName
from mainspring.monitoring import composites
from mainspring.monitoring.findings import of_window
from mainspring.numerics.bands import Band, expected_band

MOST_WINDOWS = 500  #: that one rule may look back on
MOST_EMPTY = 100  #: windows without a row between two, that count as missing
_FIGURES = ("value", "low", "high", "baseline", "line", "radius", "smallest", "rows")
_MISSING = ("ignore", "breaching", "not_breaching", "insufficient")


class Series(Record, frozen=True, kw_only=True):
    """Which figure of which findings."""

    monitor: str
    subject: str
    figure: str = "value"

    def __str__(self) -> str:
        inner = "" if self.figure == "value" else f"/{self.figure}"
        return f"{self.monitor}{inner}:{self.subject}"


class Slot(Record, frozen=True, kw_only=True):
    """One window of a series; ``value`` None where it has none."""

    at: float  #: the window's end, event time
    window: str = ""
    value: float | None = None
    verdict: str = ""
    why: str = ""


class Judgement(Record, frozen=True, kw_only=True):
    """What a rule says at its newest slot."""

    state: StateName
    reason: str
    at: float = 0.0
    window: str = ""
    value: float | None = None
    low: float | None = None  #: the expected band at the newest window, where the rule has one
    high: float | None = None


def series_of(text: str) -> Series:
    """Return the series that a text names: ``drift:temp``, ``performance/low:auc``.

    Raises:
        BadInputError: if it is not MONITOR:SUBJECT or MONITOR/FIGURE:SUBJECT.

    >>> series_of("drift/distance:temp").figure, str(series_of("drift:temp"))
    ('distance', 'drift:temp')
    """
    left, mark, subject = text.partition(":")
    monitor, _, figure = left.partition("/")
    if not (mark and monitor and subject.strip()):
        raise BadInputError(
            f"A series is MONITOR:SUBJECT or MONITOR/FIGURE:SUBJECT, found {text[:80]!r}.",
            field="series",
            hint="Such as drift:temp, quality:temp/missing, performance/low:auc, traffic:rows.",
        )
    return Series(monitor=monitor, subject=subject, figure=figure or "value")


def check(rule: AlarmRule) -> None:
    """Refuse a rule that cannot be put to anything.

    Raises:
        BadInputError: naming the field that is wrong.
    """
    check_name(rule.name, "name")
    check_name(rule.endpoint, "endpoint")
    kinds = [rule.above is not None or rule.below is not None, rule.band is not None, rule.when]
    if sum(map(bool, kinds)) != 1:
        raise BadInputError(
            "A rule has exactly one of: a line (above, below), a band, or other rules (when).",
            field="above",
            hint="Such as --series drift:temp --above 0.1, or --when 'hot and not planned'.",
        )
    if bool(rule.when) == bool(rule.series):
        raise BadInputError("A line or band needs a series; 'when' has none.", field="series")
    if rule.when:
        composites.parse(rule.when)
    else:
        series_of(rule.series)
    for field in ("above", "below", "band"):
        value = getattr(rule, field)
        if value is not None and not math.isfinite(value):
            raise BadInputError(f"{field} must be a finite number, found {value}.", field=field)
    _check_counts(rule)


def _check_counts(rule: AlarmRule) -> None:
    if rule.band is not None and not 0 < rule.band <= 1000:
        raise BadInputError(f"band must be above 0, found {rule.band}.", field="band")
    if not 1 <= rule.at_least <= rule.of <= MOST_WINDOWS:
        raise BadInputError(
            f"at_least must be 1 to of, and of at most {MOST_WINDOWS}, found {rule.at_least} of"
            f" {rule.of}.",
            field="at_least",
        )
    if not (1 <= rule.season <= rule.history <= MOST_WINDOWS):
        raise BadInputError(
            f"season must be 1 to history, and history at most {MOST_WINDOWS}, found season"
            f" {rule.season} and history {rule.history}.",
            field="season",
        )
    if rule.band is not None and rule.history < 4 * rule.season:
        raise BadInputError(
            f"A season of {rule.season} windows needs a history of at least"
            f" {4 * rule.season}, found {rule.history}.",
            field="history",
        )
    if rule.missing not in _MISSING:
        raise BadInputError(
            f"missing is one of {', '.join(_MISSING)}, found {rule.missing!r}.", field="missing"
        )
    if not (rule.cooldown_s >= 0 and math.isfinite(rule.cooldown_s)):
        raise BadInputError(
            f"cooldown must be 0 s or more, found {rule.cooldown_s}.", field="cooldown_s"
        )


# ---------------------------------------------------------------- series


def slots_of(windows: Sequence[Window], series: Series) -> list[Slot]:
    """Return a slot for each window, oldest first; ``windows`` are given oldest first.

    A stretch in which whole windows had no row is as many slots without a value (at most
    100). What the newest windows could not be asked yet (labels that are not mature) is left
    out rather than missing.
    """
    return slots_in([(window, of_window(window)) for window in windows], series)


def slots_in(found: Sequence[tuple[Window, Sequence[Finding]]], series: Series) -> list[Slot]:
    """Return :func:`slots_of` windows whose findings are at hand."""
    last = 0
    for count, (_, findings) in enumerate(found, start=1):
        if any(one.monitor == series.monitor for one in findings):
            last = count
    slots: list[Slot] = []
    before: Window | None = None
    for window, findings in found[:last]:
        slots += _empty_between(before, window)
        slots.append(_slot(window, findings, series))
        before = window
    return slots


def value_of(finding: Finding, figure: str) -> float | None:
    """Return one figure of a finding: a field of it, or a number in its detail."""
    if figure in _FIGURES:
        found = getattr(finding, figure)
    else:
        found = finding.detail.get(figure)
        if found is None and figure in ("distance", "rate", "estimate"):
            found = finding.value
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return float(found)


def _slot(window: Window, findings: Sequence[Finding], series: Series) -> Slot:
    for one in findings:
        if one.monitor == series.monitor and one.subject == series.subject:
            return Slot(
                at=window.end,
                window=window.id,
                value=value_of(one, series.figure),
                verdict=one.verdict,
                why=one.why,
            )
    return Slot(at=window.end, window=window.id, why=f"{window.id} has no {series}.")


def _empty_between(before: Window | None, window: Window) -> list[Slot]:
    """Return the slots of windows that were passed over because nothing was asked in them."""
    if before is None:
        return []
    length, gap = window.end - window.start, window.start - before.end
    if length <= 0 or gap < length * 0.999 or abs(before.end - before.start - length) > 1e-6:
        return []  # windows cut by count: time between them says nothing
    count = min(round(gap / length), MOST_EMPTY)
    return [
        Slot(at=window.start - (count - 1 - place) * length, why="Nothing was asked.")
        for place in range(count)
    ]


# ---------------------------------------------------------------- N of M


def decide(
    breaches: Sequence[bool | None],
    at_least: int,
    of: int,
    missing: Missing = "insufficient",
    before: StateName = "INSUFFICIENT_DATA",
) -> StateName:
    """Return the state that slots come to, oldest first; None is a slot without a value.

    The newest ``of`` slots are looked at; ALARM if at least ``at_least`` breach. A slot
    without a value counts as the policy says:

    * ``breaching`` and ``not_breaching``: as that;
    * ``insufficient``: as unknown. ALARM and OK only where no unknown slot could change it;
    * ``ignore``: as not there, so that older slots move up; if the newest has no value the
      state stays ``before``.

    Slots before the first one are unknown under every policy.

    >>> decide([True, False, None], 1, 3), decide([False, None], 1, 2)
    ('ALARM', 'INSUFFICIENT_DATA')
    """
    if missing == "ignore":
        if not breaches or breaches[-1] is None:
            return before
        breaches = [one for one in breaches if one is not None]
    newest = list(breaches[-of:])
    assumed = {"breaching": True, "not_breaching": False}.get(missing)
    known = [assumed if one is None else one for one in newest]
    surely = known.count(True)
    unknown = known.count(None) + of - len(known)
    if surely >= at_least:
        return "ALARM"
    return "OK" if surely + unknown < at_least else "INSUFFICIENT_DATA"


def verdict_breach(verdict: str) -> bool | None:
    """Return whether a monitor's own verdict breaches; None where it could not judge."""
    return {"alarm": True, "quiet": False, "notice": False}.get(verdict)


def needed(rule: AlarmRule) -> int:
    """Return how many windows a rule looks back on."""
    windows = rule.of + (rule.history if rule.band is not None else 0)
    # Windows that are ignored are not there, so that older ones must be at hand.
    return min(windows * (4 if rule.missing == "ignore" else 1), 2 * MOST_WINDOWS)


def evaluate(
    rule: AlarmRule, slots: Sequence[Slot], before: StateName = "INSUFFICIENT_DATA"
) -> Judgement:
    """Return what a rule over one series says after the newest of ``slots`` (oldest first)."""
    if not slots:
        return Judgement(state=before, reason=f"There is no window with {rule.series} yet.")
    depth = needed(rule) - (rule.history if rule.band is not None else 0)
    bands: list[Band | None] = []
    breaches: list[bool | None] = []
    for place in range(max(0, len(slots) - depth), len(slots)):
        band = _band(rule, slots, place)
        bands.append(band)
        breaches.append(_breach(rule, slots[place], band))
    state = decide(breaches, rule.at_least, rule.of, rule.missing, before)
    newest, band = slots[-1], bands[-1]
    return Judgement(
        state=state,
        reason=_reason(rule, newest, breaches, band),
        at=newest.at,
        window=newest.window,
        value=newest.value,
        low=None if band is None else band.low,
        high=None if band is None else band.high,
    )


def replay(rule: AlarmRule, slots: Sequence[Slot]) -> list[Judgement]:
    """Return what a rule would have said after each slot, as it came."""
    before: StateName = "INSUFFICIENT_DATA"
    found = []
    keep = needed(rule)
    for end in range(1, len(slots) + 1):
        judged = evaluate(rule, slots[max(0, end - keep) : end], before)
        before = judged.state
        found.append(judged)
    return found


def repeated(
    raised: Sequence[Alarm], earlier: Sequence[Window], policy: MonitorPolicy
) -> list[Alarm]:
    """Return the alarms of a window that enough of the newest windows agree on.

    ``earlier`` are the windows before it, newest first. Which monitors wait for N of M windows
    says the policy's ``raise_after``; all others raise at once.
    """
    kept = []
    for alarm in raised:
        at_least, of = policy.raise_after.get(alarm.kind, (1, 1))
        before = sum(_raises(window, alarm) for window in earlier[: of - 1])
        if 1 + before >= at_least:
            kept.append(alarm)
    return kept


def _raises(window: Window, alarm: Alarm) -> bool:
    return any(
        one.monitor == alarm.kind
        and one.verdict == "alarm"
        and alarm.subject in (one.subject, one.subject.rpartition("/")[0])
        for one in of_window(window)
    )


def join(rule: AlarmRule, states: Mapping[str, StateName]) -> Judgement:
    """Return what a rule over other rules says."""
    node = composites.parse(rule.when)
    found = composites.truth(node, states)
    state: StateName = "INSUFFICIENT_DATA" if found is None else "ALARM" if found else "OK"
    told = ", ".join(
        f"{name} is {states.get(name, 'INSUFFICIENT_DATA')}"
        for name in sorted(composites.names(node))
    )
    return Judgement(state=state, reason=f"{rule.when}: {told}.")


def _band(rule: AlarmRule, slots: Sequence[Slot], place: int) -> Band | None:
    if rule.band is None:
        return None
    history = slots[max(0, place - rule.history) : place]
    values = [np.nan if one.value is None else one.value for one in history]
    return expected_band(values, rule.band, rule.season)


def _breach(rule: AlarmRule, slot: Slot, band: Band | None) -> bool | None:
    value = slot.value
    if value is None:
        return None
    if rule.band is not None:
        return None if band is None else not band.low <= value <= band.high
    over = rule.above is not None and value > rule.above
    return over or (rule.below is not None and value < rule.below)


def _reason(
    rule: AlarmRule, newest: Slot, breaches: Iterable[bool | None], band: Band | None
) -> str:
    looked = list(breaches)[-rule.of :]
    beyond = sum(one is True for one in looked)
    missing = sum(one is None for one in looked)
    value = "no value" if newest.value is None else f"{newest.value:.4g}"
    if rule.band is not None:
        line = (
            f"too little history for a band (season {rule.season})"
            if band is None
            else f"expected {band.low:.4g} to {band.high:.4g}"
        )
    else:
        line = " or ".join(
            f"{word} {limit:.4g}"
            for word, limit in (("above", rule.above), ("below", rule.below))
            if limit is not None
        )
    told = f"{rule.series}: {beyond} of the newest {rule.of} windows breach ({line})"
    told += f", {missing} without a figure" if missing else ""
    return f"{told}; newest {value}."

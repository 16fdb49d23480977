"""Say what is behind an alarm: which inputs, since when, and what it may cost.

Pure: takes windows and the alarm, returns what they tell. What changed upstream at that time is
gathered by whoever knows runs, data and versions.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.ground.clock import iso
from mainspring.ground.objects import Alarm, Finding, Profile, Record, Window
from mainspring.monitoring import rules
from mainspring.monitoring.findings import of_window
from mainspring.monitoring.rules import Series
from mainspring.numerics.bands import change_point

#: A change point of a series counts as one from this score on.
SURE = 3.0
_INPUTS = ("drift", "quality", "joint", "skew")


class Suspect(Record, frozen=True, kw_only=True):
    """One input column, and how much speaks against it."""

    column: str
    score: float  #: share of the model's response times how far it moved; ranks suspects
    share: float  #: of the model's response, 0 to 1; 0 where it is not known
    moved: float  #: the furthest figure found of it, 0 to 1
    alarms: int  #: checks of it that were alarming
    why: list[str]


class Onset(Record, frozen=True, kw_only=True):
    """When a series came to be what it is."""

    series: str
    at: float  #: event time: the start of the first window of the new level
    window: str
    score: float  #: how surely; see :func:`mainspring.numerics.bands.change_point`
    before: float  #: median level
    after: float
    points: list[tuple[float, float | None]]  #: (window's end, value), oldest first


class Effect(Record, frozen=True, kw_only=True):
    """What the shift may do to quality, in mean bounded loss (0 to 1)."""

    touched: float  #: share of the response times shift, over all suspects: 0 to 1
    low: float  #: rise of the loss that is expected at least
    high: float  #: and at most, if all that is touched is answered wrongly
    known: float | None = None  #: the rise that labels showed, where they came
    estimated: float | None = None  #: the rise estimated without labels
    words: str = ""


def suspects(window: Window, baseline: Profile | None) -> list[Suspect]:
    """Return the input columns of a window in which something moved, the most suspect first.

    Ranked by the share of the model's response times how far the column moved (its distance
    from the baseline, or the rise of a rate of bad values), so that a column the model ignores
    comes last however far it went.
    """
    shares = {one.name: one.share for one in (baseline.columns if baseline else [])}
    by_column: dict[str, list[Finding]] = {}
    for one in of_window(window):
        if one.monitor not in _INPUTS or one.verdict not in ("alarm", "notice"):
            continue
        for column in _columns(one, shares):
            by_column.setdefault(column, []).append(one)
    found = []
    for column, several in by_column.items():
        share = shares.get(column, 0.0)
        moved = max(_moved(one) for one in several)
        found.append(
            Suspect(
                column=column,
                score=share * moved,
                share=share,
                moved=moved,
                alarms=sum(one.verdict == "alarm" for one in several),
                why=[f"{one.monitor}: {one.why}" for one in several if one.why],
            )
        )
    return sorted(found, key=lambda one: (-one.score, -one.alarms, -one.moved, one.column))


def _columns(one: Finding, shares: dict[str, float]) -> list[str]:
    if one.monitor == "quality":
        return [one.subject.rpartition("/")[0] or one.subject]
    if one.monitor == "joint":  # a pair of columns, however its subject is written
        pair = one.detail.get("columns")
        named = pair if isinstance(pair, list) else one.subject.replace(" x ", "|").split("|")
        return [str(name).strip() for name in named if str(name).strip() in shares]
    return [one.subject]


def _moved(one: Finding) -> float:
    value = abs(one.value or 0.0)
    if one.monitor in ("quality", "joint") and one.baseline is not None:
        value = abs((one.value or 0.0) - one.baseline)
    return min(1.0, value)


def series_of_alarm(alarm: Alarm, window: Window | None) -> Series | None:
    """Return the series that an alarm is about; of several checks of a column the worst."""
    if alarm.kind == "rule" or window is None:
        return None
    several = [one for one in of_window(window) if one.monitor == alarm.kind]
    for one in several:
        if one.subject == alarm.subject:
            return Series(monitor=one.monitor, subject=one.subject)
    of_column = [one for one in several if one.subject.rpartition("/")[0] == alarm.subject]
    loud = [one for one in of_column if one.verdict == "alarm"] or of_column
    worst = max(loud, key=_moved, default=None)
    return None if worst is None else Series(monitor=worst.monitor, subject=worst.subject)


def onset(windows: Sequence[Window], series: Series) -> Onset | None:
    """Return when a series came to its present level, or None if no change is seen.

    ``windows`` are oldest first and end with the alarm's. The newest windows after the place
    where the level changed most are the new level; a change in the newest window alone cannot
    be told by two values on each side, and is taken at its word if it is beyond all before.
    """
    slots = rules.slots_of(windows, series)
    values = [float("nan") if one.value is None else one.value for one in slots]
    found = change_point(values)
    place = found[0] if found is not None and found[1] >= SURE else None
    if place is not None:
        place = _settled(values, place)
    score = found[1] if found is not None else 0.0
    present = [one for one in slots if one.value is not None]
    if place is None and len(present) >= 2:
        newest, before = present[-1], [one.value or 0.0 for one in present[:-1]]
        if not min(before) <= (newest.value or 0.0) <= max(before):
            place = slots.index(newest)
    if place is None:
        return None
    starts = {one.id: one.start for one in windows}
    first = slots[place]
    return Onset(
        series=str(series),
        at=starts.get(first.window, first.at),
        window=first.window,
        score=score,
        before=_middle([one.value for one in slots[:place]]),
        after=_middle([one.value for one in slots[place:]]),
        points=[(one.at, one.value) for one in slots],
    )


def _settled(values: Sequence[float], place: int) -> int:
    """Return the first place from ``place`` on whose value is nearer to the new level."""
    while place < len(values) - 1:
        before = _middle([v for v in values[:place] if v == v])
        after = _middle([v for v in values[place + 1 :] if v == v])
        value = values[place]
        if value == value and not abs(value - before) < abs(value - after):
            break
        place += 1
    return place


def _middle(values: Sequence[float | None]) -> float:
    known = sorted(value for value in values if value is not None)
    if not known:
        return float("nan")
    half = len(known) // 2
    return known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2


def effect(window: Window, found: Sequence[Suspect], baseline: Profile | None) -> Effect:
    """Return what the shift of a window may do to quality.

    The part of the response that is touched is, column by column, the share of the response
    times how far the column moved; at worst all of it is answered wrongly that was answered as
    well as the rest, so the mean bounded loss rises by at most touched x (1 - loss at
    training). What labels showed, and what was estimated without them, stands beside it.
    """
    loss = baseline.loss if baseline is not None else None
    touched = min(1.0, sum(one.score for one in found))
    high = touched * (1.0 - (loss or 0.0))
    known = _rise(window, "performance", loss)
    estimated = _rise(window, "estimate", loss)
    words = (
        f"{touched:.1%} of the model's response is touched: the mean bounded loss may rise by"
        f" up to {high:.3f}"
    )
    if estimated is not None:
        words += f"; without labels a change of {estimated:+.3f} is estimated"
    if known is not None:
        words += f"; labels showed {known:+.3f}"
    return Effect(
        touched=touched, low=0.0, high=high, known=known, estimated=estimated, words=words + "."
    )


def _rise(window: Window, monitor: str, loss: float | None) -> float | None:
    for one in of_window(window):
        if one.monitor == monitor and one.subject == "loss" and one.value is not None:
            usual = one.baseline if one.baseline is not None else loss
            return None if usual is None else one.value - usual
    return None


def told_onset(one: Onset) -> str:
    """Return when a series changed, in words."""
    return (
        f"{one.series} went from {one.before:.4g} to {one.after:.4g} in the window that began"
        f" {iso(one.at)}"
    )

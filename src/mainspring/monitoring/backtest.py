"""Ask history before switching on: how often would a rule, or a policy, have fired, and when.

Pure: takes windows that are kept and what each would have said, and lays that beside what was
really raised and what labels showed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mainspring.ground.objects import Alarm, Record, Window
from mainspring.ground.rules import AlarmRule, StateName
from mainspring.monitoring import composites, rules
from mainspring.monitoring.findings import of_window

#: What labels showed of the windows of a firing.
HARM = ("harmful", "harmless", "not known")


class Firing(Record, frozen=True, kw_only=True):
    """One time that it would have fired: from the window it began in until it was over."""

    subject: str  #: the rule, or what a monitor would have been alarmed about
    since: float  #: event time: the end of the first window
    until: float | None  #: None: it would still be in ALARM
    first: str  #: that window
    windows: int  #: that it would have lasted
    reason: str
    harm: str  #: one of :data:`HARM`
    raised: list[str]  #: alarms that were really raised about these windows


class Backtest(Record, frozen=True, kw_only=True):
    """How something would have done on the windows that are kept."""

    what: str
    endpoint: str
    windows: int
    labelled: int  #: windows of which labels say whether quality was worse
    since: float | None
    until: float | None
    firings: list[Firing]
    alarming: int  #: windows it would have been in ALARM
    unknown: int  #: windows it would have had no data
    harmful: int  #: firings that labels call harmful
    harmless: int
    missed: int  #: harmful windows in which it would have been silent
    really: int  #: alarms that were raised in that time
    both: int  #: firings about which an alarm was really raised


def of_rule(
    rule: AlarmRule,
    windows: Sequence[Window],
    raised: Sequence[Alarm],
    known: Mapping[str, AlarmRule] | None = None,
) -> Backtest:
    """Return how a rule would have done; ``windows`` are oldest first.

    A rule over other rules is given those it asks about in ``known``.
    """
    said = _said(rule, windows, known or {})
    return _tested(rule.name, rule.endpoint, windows, {rule.name: said}, raised)


def of_verdicts(
    what: str,
    endpoint: str,
    windows: Sequence[Window],
    verdicts: Mapping[str, Sequence[str]],
    raised: Sequence[Alarm],
    reasons: Mapping[tuple[str, str], str] | None = None,
) -> Backtest:
    """Return how changed monitors would have done.

    ``verdicts`` holds, by window, the subjects (``drift:temp``) that would have been alarming.
    """
    subjects = sorted({one for several in verdicts.values() for one in several})
    said: dict[str, list[rules.Judgement]] = {}
    for subject in subjects:
        said[subject] = [
            rules.Judgement(
                state="ALARM" if subject in verdicts.get(window.id, ()) else "OK",
                reason=(reasons or {}).get((window.id, subject), ""),
                at=window.end,
                window=window.id,
            )
            for window in windows
        ]
    return _tested(what, endpoint, windows, said, raised)


def harm_of(windows: Iterable[Window]) -> dict[str, str]:
    """Return what labels showed of each window: harmful, harmless or not known.

    Harmful is a window whose mean bounded loss was alarming, or surely above its line.
    """
    found = {}
    for window in windows:
        found[window.id] = "not known"
        for one in of_window(window):
            if one.monitor != "performance" or one.subject != "loss" or one.value is None:
                continue
            if one.verdict == "alarm":
                found[window.id] = "harmful"
            elif one.verdict in ("quiet", "notice"):
                found[window.id] = "harmless"
    return found


def _said(
    rule: AlarmRule, windows: Sequence[Window], known: Mapping[str, AlarmRule]
) -> list[rules.Judgement]:
    """Return what a rule would have said at the end of each window."""
    if not rule.when:
        series = rules.series_of(rule.series)
        by_end = {}
        for judged in rules.replay(rule, rules.slots_of(windows, series)):
            by_end[judged.at] = judged
        silent = rules.Judgement(state="INSUFFICIENT_DATA", reason=f"There is no {series}.")
        said, last = [], silent
        for window in windows:
            last = by_end.get(window.end, last)
            said.append(last)
        return said
    parts: dict[str, list[StateName]] = {}
    for name in composites.names(composites.parse(rule.when)):
        if ":" in name:
            parts[name] = _own_states(windows, rules.series_of(name))
        elif name in known:
            parts[name] = [one.state for one in _said(known[name], windows, known)]
    joined = []
    for place, window in enumerate(windows):
        states = {name: several[place] for name, several in parts.items()}
        found = rules.join(rule, states)
        joined.append(
            rules.Judgement(
                state=found.state, reason=found.reason, at=window.end, window=window.id
            )
        )
    return joined


def _own_states(windows: Sequence[Window], series: rules.Series) -> list[StateName]:
    slots = {one.window: one for one in rules.slots_of(windows, series)}
    found: list[StateName] = []
    for window in windows:
        slot = slots.get(window.id)
        breach = None if slot is None else rules.verdict_breach(slot.verdict)
        found.append(rules.decide([breach], 1, 1))
    return found


def _tested(
    what: str,
    endpoint: str,
    windows: Sequence[Window],
    said: Mapping[str, Sequence[rules.Judgement]],
    raised: Sequence[Alarm],
) -> Backtest:
    harm = harm_of(windows)
    ids = {window.id for window in windows}
    here = [one for one in raised if one.window in ids]
    firings = [
        firing
        for subject, several in said.items()
        for firing in _firings(subject, windows, several, harm, here)
    ]
    loud = {
        window.id
        for several in said.values()
        for window, judged in zip(windows, several, strict=True)
        if judged.state == "ALARM"
    }
    unknown = sum(
        bool(said)
        and all(several[place].state == "INSUFFICIENT_DATA" for several in said.values())
        for place in range(len(windows))
    )
    return Backtest(
        what=what,
        endpoint=endpoint,
        windows=len(windows),
        labelled=sum(one != "not known" for one in harm.values()),
        since=windows[0].start if windows else None,
        until=windows[-1].end if windows else None,
        firings=sorted(firings, key=lambda one: (one.since, one.subject)),
        alarming=len(loud),
        unknown=unknown,
        harmful=sum(one.harm == "harmful" for one in firings),
        harmless=sum(one.harm == "harmless" for one in firings),
        missed=sum(one == "harmful" and name not in loud for name, one in harm.items()),
        really=len(here),
        both=sum(bool(one.raised) for one in firings),
    )


def _firings(
    subject: str,
    windows: Sequence[Window],
    said: Sequence[rules.Judgement],
    harm: Mapping[str, str],
    raised: Sequence[Alarm],
) -> list[Firing]:
    found: list[Firing] = []
    begun: int | None = None
    for place in range(len(windows) + 1):
        loud = place < len(windows) and said[place].state == "ALARM"
        if loud and begun is None:
            begun = place
        elif not loud and begun is not None:
            during = windows[begun:place]
            names = {window.id for window in during}
            told = [harm[name] for name in names]
            found.append(
                Firing(
                    subject=subject,
                    since=during[0].end,
                    until=windows[place].end if place < len(windows) else None,
                    first=during[0].id,
                    windows=len(during),
                    reason=said[begun].reason,
                    harm=next((one for one in HARM if one in told), "not known"),
                    raised=sorted(one.id for one in raised if one.window in names),
                )
            )
            begun = None
    return found

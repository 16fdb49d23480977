"""Put judged windows to every rule: states move, alarms are raised and end, groups form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Finding, LoopSpec, MonitorPolicy, Window
from mainspring.ground.rules import AlarmRule, AlarmState, StateName
from mainspring.monitoring import (
    composites,
    groups,
    news,
    rulebook,
    rules,
    states,
    watches,
    windows,
)
from mainspring.monitoring.findings import of_window
from mainspring.readiness import decisions
from mainspring.scaling.serving import endpoints

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx

Looked = list[tuple[Window, list[Finding]]]  # oldest first
Judged = tuple[str, str, rules.Judgement]


def look(tx: Tx, endpoint: str, waiting: Sequence[tuple[int, str]]) -> Looked:
    """Return the windows of an endpoint that rules may ask about, with their findings."""
    depth = max((rules.needed(r) for r in rulebook.every(tx, endpoint).values()), default=1)
    spec = loop_of(tx, endpoint)
    if spec is not None:
        depth = max([depth, *(of for _, of in spec.monitor.raise_after.values())])
    asked = {one for _, one in waiting}
    found = windows.list_windows(tx, endpoint, limit=depth + len(asked) + 1)
    older = asked - {one.id for one in found}
    for name in older:  # labels that came late, for a window of long ago
        try:
            old = windows.get(tx, name)
        except NotFoundError:
            continue  # deleted meanwhile
        if old.side is not None:
            continue  # what one version answered is no window of the endpoint
        found += [old, *windows.before(tx, endpoint, old.start, depth)]
    unique = {one.id: one for one in found}
    ordered = sorted(unique.values(), key=lambda one: (one.end, one.id))
    return [(one, of_window(one)) for one in ordered]


def put(
    tx: Tx, endpoint: str, waiting: Sequence[tuple[int, str]], looked: Looked, now: float
) -> int:
    """Put windows to the monitors' own rules and to people's; return how many states moved.

    All of it is one transaction with the end of its task, and doing it twice changes nothing.
    """
    spec = loop_of(tx, endpoint)
    policy = spec.monitor if spec is not None else MonitorPolicy()
    mine = rulebook.every(tx, endpoint)
    moved = 0
    for name in dict.fromkeys(one for _, one in waiting):
        place = next((i for i, (window, _) in enumerate(looked) if window.id == name), None)
        if place is None:
            continue
        seen = looked[: place + 1]
        known = {one.id: one for one in states.listed(tx, endpoint)}
        judged = [*_own(seen, policy, known.values()), *_rules(looked, seen, mine, known)]
        applied = states.apply(tx, endpoint, judged, now)
        moved += len(applied.changed)
        settle(tx, applied, seen[-1][0], now, spec, before=seen[-2][0] if place else None)
    news.done(tx, endpoint, waiting[-1][0])
    return moved


def settle(
    tx: Tx,
    applied: states.Applied,
    window: Window | None,
    now: float,
    spec: LoopSpec | None = None,
    before: Window | None = None,
) -> None:
    """Do what follows from states that moved: composites, decisions, groups, what loops hear."""
    known = rulebook.every(tx)
    changed = list(applied.changed)
    every = [applied]
    for name in composites.refuse_circles(known):
        rule = known[name]
        if rule.when and rule.enabled and _is_touched(rule, changed):
            joined = joined_now(tx, rule, window)
            found = states.apply(tx, rule.endpoint, [("rule", name, joined)], now)
            every.append(found)
            changed += found.changed
    for one in every:
        for over in one.ended:
            decisions.record(tx, over.decision)
    _group(tx, changed, known, window, spec, before)
    for state in changed:
        _tell_loop(tx, state, known)


def loop_of(tx: Tx, endpoint: str) -> LoopSpec | None:
    """Return how an endpoint is watched, if it is; without a name where no loop does it."""
    try:
        found = endpoints.get(tx, endpoint)
    except NotFoundError:
        return None
    spec = reactor.spec_or_none(tx, found.loop) if found.loop else None
    watch = watches.find(tx, endpoint) if spec is None else None
    return spec if watch is None else watch.as_loop()


# ---------------------------------------------------------------- judgements


def _own(seen: Looked, policy: MonitorPolicy, known: Iterable[AlarmState]) -> list[Judged]:
    """Return what the monitors' own verdicts come to in the newest window, one a subject."""
    window, findings = seen[-1]
    judged: list[Judged] = []
    here = {(one.monitor, one.subject): one for one in findings}
    for (monitor, subject), one in here.items():
        at_least, of = policy.raise_after.get(monitor, (1, 1))
        breaches = [
            rules.verdict_breach(_verdict(earlier, monitor, subject)) for _, earlier in seen[-of:]
        ]
        count = f" ({breaches.count(True)} of {of} windows)" if of > 1 else ""
        judged.append(
            (
                monitor,
                subject,
                rules.Judgement(
                    state=rules.decide(breaches, at_least, of),
                    reason=(one.why or f"{one.verdict}.") + count,
                    at=window.end,
                    window=window.id,
                    value=one.value,
                ),
            )
        )
    # What a monitor that looked did not find any more has no data: a column that is gone.
    looked = {one.monitor for one in findings}
    for state in known:
        if state.kind in looked and (state.kind, state.subject) not in here:
            gone = rules.Judgement(
                state="INSUFFICIENT_DATA",
                reason=f"{window.id} has no {state.kind}:{state.subject}.",
                at=window.end,
                window=window.id,
            )
            judged.append((state.kind, state.subject, gone))
    return judged


def _verdict(findings: Sequence[Finding], monitor: str, subject: str) -> str:
    for one in findings:
        if one.monitor == monitor and one.subject == subject:
            return one.verdict
    return ""


def _rules(
    looked: Looked,
    seen: Looked,
    mine: Mapping[str, AlarmRule],
    known: Mapping[str, AlarmState],
) -> list[Judged]:
    """Return what people's rules over series say, each at the newest window it may look at."""
    judged: list[Judged] = []
    for rule in mine.values():
        if rule.when or not rule.enabled:
            continue
        before = known.get(states.state_id(rule.endpoint, "rule", rule.name))
        # Late labels of an older window are looked at from where the rule stands already.
        until = max(seen[-1][0].end, before.at if before is not None else 0.0)
        reach = [pair for pair in looked if pair[0].end <= until]
        slots = rules.slots_in(reach, rules.series_of(rule.series))
        if not slots:
            continue
        state: StateName = before.state if before is not None else "INSUFFICIENT_DATA"
        judged.append(("rule", rule.name, rules.evaluate(rule, slots, state)))
    return judged


def _is_touched(rule: AlarmRule, changed: Sequence[AlarmState]) -> bool:
    asked = composites.names(composites.parse(rule.when))
    return any(
        (one.kind == "rule" and one.subject in asked) or f"{one.kind}:{one.subject}" in asked
        for one in changed
    )


def joined_now(tx: Tx, rule: AlarmRule, window: Window | None = None) -> rules.Judgement:
    """Return what a rule over other rules says of how they stand now."""
    known = rulebook.every(tx)
    asked: dict[str, str] = {}
    for name in composites.names(composites.parse(rule.when)):
        kind, mark, subject = name.partition(":")
        key = (rule.endpoint, kind, subject)
        if not mark and name in known:
            key = (known[name].endpoint, "rule", name)
        asked[states.state_id(*key)] = name
    found = states.some(tx, asked)
    said = rules.join(rule, {asked[one.id]: one.state for one in found})
    before = states.some(tx, [states.state_id(rule.endpoint, "rule", rule.name)])
    return rules.Judgement(
        state=said.state,
        reason=said.reason,
        at=max([one.at for one in (*found, *before)], default=0.0),
        window=window.id if window is not None else "",
    )


# ---------------------------------------------------------------- what follows


def _group(
    tx: Tx,
    changed: Sequence[AlarmState],
    known: Mapping[str, AlarmRule],
    window: Window | None,
    spec: LoopSpec | None,
    before: Window | None,
) -> None:
    """Put what came to ALARM into groups, and close those of which nothing is in ALARM."""
    new_version = None
    if window is not None and before is not None and window.version != before.version:
        new_version = window.version
    for endpoint in dict.fromkeys(one.endpoint for one in changed):
        mine = [one for one in changed if one.endpoint == endpoint and one.state == "ALARM"]
        if mine:
            items = [groups.item_of(one, known) for one in mine]
            found = groups.causes(
                items,
                version=new_version,
                sources=spec.monitor.sources if spec is not None else None,
                open_causes=groups.open_causes(tx, endpoint),
                window=window.id if window is not None else mine[0].window,
                began=window.start if window is not None else mine[0].at,
            )
            names = {item.state: item.name for item in items}
            groups.join(tx, endpoint, found, names, mine[0])
        at = max(one.at for one in changed if one.endpoint == endpoint)
        groups.close_those_over(tx, endpoint, at)


def _tell_loop(tx: Tx, state: AlarmState, known: Mapping[str, AlarmRule]) -> None:
    """Ask the loop of a rule's endpoint for a new version, where the rule says so."""
    rule = known.get(state.subject) if state.kind == "rule" else None
    if rule is None or rule.then != "retrain" or state.state != "ALARM" or state.alarm is None:
        return
    spec = loop_of(tx, rule.endpoint)
    if spec is None or not spec.name:
        return
    event = m.RetrainRequested(
        loop=spec.name, at=state.at, by=f"rule:{rule.name}", reason=state.reason
    )
    reactor.emit(tx, event, f"rule:{state.alarm}")

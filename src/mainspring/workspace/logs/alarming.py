"""Put the newest lines to the rules over the logs: an alarm of kind ``log`` begins, or ends."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record
from mainspring.ground.rules import AlarmState
from mainspring.monitoring import states
from mainspring.monitoring.rules import Judgement
from mainspring.readiness import decisions
from mainspring.workspace.alarming.evaluating import settle
from mainspring.workspace.logs import reading, rules
from mainspring.workspace.logs.rules import LogRule

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

LOOK_S = 5.0  #: between two looks
KIND = "log"


class RuleStanding(Record, frozen=True, kw_only=True):
    """A rule over the logs, and how it stands."""

    rule: LogRule
    lines: int  #: within its time, now
    state: str  #: OK, ALARM, or INSUFFICIENT_DATA before the first look
    since: float | None = None
    alarm: str | None = None  #: the alarm that stands for it, while in ALARM and afterwards


class RateSeries(Record, frozen=True, kw_only=True):
    """How many lines of a rule there were, stretch by stretch; those without are left out."""

    rule: str
    step_s: float
    points: list[tuple[float, int]]  #: (start of the stretch in UTC seconds, lines)


def keep_watch(ws: Workspace, stop: threading.Event, told: MutableMapping[str, str]) -> None:
    """Look at the logs every few seconds until ``stop`` is set; ``told`` hears of trouble."""
    while not stop.wait(LOOK_S):
        try:
            look(ws)
        except (MainspringError, OSError) as error:
            told["logs"] = str(error)
        else:
            told.pop("logs", None)


def look(ws: Workspace) -> list[str]:
    """Put the lines of now to every rule; return the names of those whose state moved.

    Nothing is written while no state moves.
    """
    own = ws.acting_as(service("engine"))
    now = ws.clock.now()
    known = own.read(Permission.WORK, rules.every)
    said = {rule.name: (rule, _judged(own, rule, now)) for rule in known}

    def moving(tx: Tx) -> list[str]:
        names = {_state_id(rule): name for name, (rule, _) in said.items()}
        there = {names[one.id]: one.state for one in states.some(tx, names)}
        return [name for name, (_, j) in said.items() if there.get(name) != j.state]

    moved = own.read(Permission.WORK, moving)

    def put(tx: Tx) -> None:
        still = {rule.name for rule in rules.every(tx)}
        for name in moved:
            rule, judgement = said[name]
            if name in still:
                applied = states.apply(tx, rule.endpoint or "", [(KIND, name, judgement)], now)
                settle(tx, applied, None, now)

    if moved:
        own.write(Permission.WORK, put)
    return moved


def standing(ws: Workspace) -> list[RuleStanding]:
    """Return every rule and how it stands."""

    def work(tx: Tx) -> list[tuple[LogRule, list[AlarmState]]]:
        return [(one, states.some(tx, [_state_id(one)])) for one in rules.every(tx)]

    now = ws.clock.now()
    return [
        RuleStanding(
            rule=rule,
            lines=_count(ws, rule, now),
            state=found[0].state if found else "INSUFFICIENT_DATA",
            since=found[0].since if found else None,
            alarm=found[0].alarm if found else None,
        )
        for rule, found in ws.read(Permission.READ, work)
    ]


def rates(ws: Workspace, name: str, since_s: float, step_s: float = 60.0) -> RateSeries:
    """Return how many lines a rule would count, minute by minute, over the newest ``since_s``.

    It is read from the lines that are kept, so it reaches back before the rule was made.

    Raises:
        NotFoundError: if there is no such rule.
    """
    rule = ws.read(Permission.READ, lambda tx: rules.get(tx, name))
    now = ws.clock.now()
    wider = msgspec.structs.replace(rule.query(now), since=now - since_s)
    found = reading.counts(ws.home / "logs", wider, step_s)
    return RateSeries(rule=name, step_s=step_s, points=list(found.items()))


def forget(tx: Tx, rule: LogRule, now: float) -> None:
    """End what stands for a rule that is no more."""
    for ended in states.forget(
        tx, rule.endpoint or "", KIND, rule.name, "Its rule over the logs was removed.", now
    ):
        decisions.record(tx, ended.decision)


def _judged(ws: Workspace, rule: LogRule, now: float) -> Judgement:
    count = _count(ws, rule, now)
    over = count > rule.above
    # No line is quoted: alarms are shown to people who may not read the logs.
    told = f"{count} {rule.words()}; {'more than ' if over else 'at most '}{rule.above} are "
    told += "too many." if over else "allowed."
    note = f" {rule.note}" if rule.note and over else ""
    return Judgement(
        state="ALARM" if over else "OK", reason=told + note, at=now, value=float(count)
    )


def _count(ws: Workspace, rule: LogRule, now: float) -> int:
    return sum(1 for _ in reading.matches(ws.home / "logs", rule.query(now)))


def _state_id(rule: LogRule) -> str:
    return states.state_id(rule.endpoint or "", KIND, rule.name)

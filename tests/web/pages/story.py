"""A home that looks as if a loop had run for thirty weeks: for the tests of the pages.

Thirty weekly windows of flights, six versions: 1, 2, 3 and 5 were promoted, 4 was rolled back
in its canary, 6 meets traffic now. All of it is written by the rooms' own functions, and the
decisions are those that the loop itself takes when it is told these events.
"""

from __future__ import annotations

import random
from typing import Any

from pages_records import (
    CARD,
    LOOP,
    NOW,
    START,
    WEEK,
    WEEKS,
    a_failed_run,
    a_run,
    a_version,
    a_window,
    some_checks,
)

from mainspring.engine import reactor
from mainspring.engine.reactor import Reactor
from mainspring.ground import messages as m
from mainspring.ground.objects import (
    Alarm,
    LoopSpec,
    RetrainingPolicy,
    Rollout,
    Strategy,
)
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.readiness import decisions, gate, registry
from mainspring.scaling.serving import endpoints, rollouts

SPEC = LoopSpec(
    name=LOOP,
    model=LOOP,
    pipeline="project:train",
    endpoint=LOOP,
    target="delayed",
    kind="binary",
    retraining=RetrainingPolicy(cooldown_s=WEEK, check_every_s=None),
    card=CARD,
)


class Story:
    """Tells the loop one event after the other, and lets the rooms answer."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.at = START
        self.serial = 0
        self.reactor = Reactor(decisions.record, self._end_alarm)

    @staticmethod
    def _end_alarm(tx: Tx, alarm: str, outcome: str, decision: str | None) -> None:
        alarms.end(tx, alarm, outcome, decision or "")

    def tell(self, event: type[m.Event], **fields: Any) -> None:
        """Emit an event of this loop, now, and react to it."""
        self.serial += 1
        reactor.emit(self.tx, event(loop=LOOP, at=self.at, **fields), f"story:{self.serial}")
        self.react()

    def react(self) -> None:
        while self.reactor.react_once(self.tx, NOW):
            pass

    @property
    def command(self) -> str:
        return str(reactor.view(self.tx, LOOP).command)

    def train(self, number: int, *, passed: bool = True) -> None:
        """Let the loop's run end, register its model and judge it."""
        run = f"run_{number:03d}"
        a_run(self.tx, run, number, self.at)
        self.tell(m.Trained, command=self.command, run=run, ok=True)
        registry.register(self.tx, a_version(number, run, self.at))
        self.tell(m.Registered, command=self.command, version=number)
        verdict = gate.result(LOOP, number, some_checks(number, passed=passed), self.at, "engine")
        gate.store_result(self.tx, verdict)
        told = "All 5 checks passed." if passed else "1 of 5 checks failed: auc (0.611)."
        self.tell(m.Judged, command=self.command, version=number, passed=passed, reason=told)

    def roll_out(self, champion: int, number: int) -> str:
        """Start the canary of a version."""
        name = f"rollout_{number}"
        rollout = Rollout(
            id=name,
            endpoint=LOOP,
            model=LOOP,
            champion=champion,
            challenger=number,
            strategy=Strategy.CANARY,
            share=0.2,
            state="running",
            started=self.at,
            rows=1834,
        )
        rollouts.start(self.tx, rollout)
        return name

    def decide(self, number: int, verdict: str, reason: str) -> None:
        """Let the canary decide itself."""
        name = f"rollout_{number}"
        evidence = {"wealth": 24.7, "rows": 2950, "mean_gain": 0.0131}
        fields = {"rollout": name, "version": number, "verdict": verdict, "reason": reason}
        self.tell(m.Verdict, **fields, evidence=evidence)
        if verdict == "better":
            rollouts.end(self.tx, name, "promoted", at=self.at)
            self.promote(number, reason)
        else:
            rollouts.end(self.tx, name, "rolled_back", at=self.at)
            champion = registry.champion(self.tx, LOOP)
            told = {"command": self.command, "reason": reason}
            self.tell(m.RolledBack, version=number, champion=champion, **told)

    def promote(self, number: int, reason: str) -> None:
        previous = registry.promote(self.tx, LOOP, number, reason=reason, at=self.at)
        fields = {"version": number, "previous": previous, "reason": reason}
        self.tell(m.Promoted, command=self.command, **fields)

    def alarm(self, kind: Any, subject: str, reason: str) -> None:
        """Raise an alarm of the window that just closed."""
        window = windows.window_id(LOOP, self.at - WEEK)
        key = alarms.alarm_id(LOOP, kind, subject, window)
        one = Alarm(
            id=key,
            endpoint=LOOP,
            kind=kind,
            subject=subject,
            reason=reason,
            raised=self.at,
            window=window,
        )
        alarms.raise_(self.tx, one)
        ref = m.AlarmRef(id=key, kind=kind, subject=subject)
        self.tell(m.WindowClosed, window=window, alarms=[ref])

    def regret(self, *, pays: bool, reason: str) -> None:
        evidence = {"regret": 0.0124 if pays else 0.0003, "rows": 8000}
        self.tell(
            m.RegretMeasured, command=self.command, pays=pays, reason=reason, evidence=evidence
        )


def furnish(tx: Tx) -> None:
    """Write the whole story into an empty home."""
    endpoints.ensure(tx, LOOP, LOOP, at=START, loop=LOOP)
    reactor.declare(tx, SPEC, at=START)
    story = Story(tx)
    story.react()
    story.train(1)
    story.promote(1, "The first version; all 5 checks passed.")
    draw = random.Random(7)
    for week in range(WEEKS):
        story.at = START + (week + 1) * WEEK
        windows.save(tx, a_window(draw, week))
        _week(story, week)
    for number in range(40):
        a_run(tx, f"run_try_{number:02d}", number, NOW - number * 5000.0, experiment="sweep")
    a_failed_run(tx)


DRIFT = "KS distance 0.142 between 6,120 rows and 48,000 at training; chance reaches 0.031."
PAYS = "A fresh version would lose at least 0.0068 less on each of 8,000 rows: that pays."
BETTER = "2,950 paired rows: the chance of this by luck is below 1 in 20."
WORSE = "Worse than the champion by 0.0210 on 1,120 paired rows; it is withdrawn."
LOSS = "Mean loss 0.1712 on 5,860 labelled rows, at least 0.1631; 0.1600 is tolerated."
MISSING = "11 % of 6,240 rows have no value (at least 9.9 %)."
#: week -> alarm raised at its end
_ALARMS = {
    4: ("drift", "wind_speed", DRIFT),
    6: ("performance", "loss", LOSS),
    9: ("drift", "sched_dep_hour", DRIFT),
    14: ("drift", "precip", DRIFT),
    20: ("score_drift", "score", DRIFT),
    25: ("quality", "temp", MISSING),
    28: ("drift", "dest", DRIFT),
}
#: week -> (champion, version that begins its canary)
_CANARIES = {6: (1, 2), 9: (2, 3), 14: (3, 4), 20: (3, 5), 28: (5, 6)}
#: week -> (version, how its canary ended)
_ENDS = {
    8: (2, "better", BETTER),
    11: (3, "better", BETTER),
    16: (4, "worse", WORSE),
    23: (5, "better", BETTER),
}


def _week(story: Story, week: int) -> None:
    if week in _ALARMS:
        story.alarm(*_ALARMS[week])
    if week == 4:
        story.regret(pays=False, reason="A fresh version would gain nothing that is certain.")
    if week in _CANARIES:
        champion, number = _CANARIES[week]
        if week != 6:  # a performance alarm asks for no regret
            story.regret(pays=True, reason=PAYS)
        story.train(number)
        story.roll_out(champion, number)
    if week in _ENDS:
        story.decide(*_ENDS[week])

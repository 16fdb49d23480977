"""A home that looks as if a loop had run for thirty weeks: for the tests of the pages.

Thirty weekly windows of flights, six versions: 1, 2, 3 and 5 were promoted, 4 was rolled back
in its canary, 6 meets traffic now. All of it is written by the rooms' own functions, and the
decisions are those that the loop itself takes when it is told these events.
"""

from __future__ import annotations

import json
import math
import random
from typing import Any

from sqlalchemy import insert

from mainspring.engine import reactor
from mainspring.engine.reactor import Reactor
from mainspring.experiments import runs
from mainspring.ground import messages as m
from mainspring.ground.identity import sha256
from mainspring.ground.objects import (
    DAY_S,
    Alarm,
    Card,
    CheckResult,
    Column,
    LoopSpec,
    RetrainingPolicy,
    Rollout,
    Run,
    RunStatus,
    Signature,
    Strategy,
    Version,
    Window,
)
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.pipelines.tables import steps
from mainspring.readiness import decisions, gate, registry
from mainspring.scaling.serving import endpoints, rollouts

WEEK = 7 * DAY_S
START = 1_357_516_800.0  # Monday, 7 January 2013
NOW = 1_700_000_000.0
WEEKS = 30
LOOP = "flights"
CARD = Card(
    purpose="Tell which flights will be **late** by a quarter of an hour.",
    owner="operations",
    limitations="New York's three airports only.\n\n- no freight\n- no `<script>` in the data",
)
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
#: column -> (share of the response, weeks in which it drifts)
COLUMNS = {
    "score": (1.0, (9, 20, 21)),
    "sched_dep_hour": (0.41, (9, 19, 20, 21)),
    "carrier": (0.17, (20,)),
    "wind_speed": (0.12, (4, 9)),
    "visibility": (0.09, ()),
    "dest": (0.08, (20, 21, 22)),
    "precip": (0.05, (14,)),
    "distance": (0.03, ()),
    "temp": (0.02, (24, 25)),
    "pressure": (0.006, (11, 12, 13)),
}


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
        _run(self.tx, run, number, self.at)
        self.tell(m.Trained, command=self.command, run=run, ok=True)
        registry.register(self.tx, _version(number, run, self.at))
        self.tell(m.Registered, command=self.command, version=number)
        verdict = gate.result(LOOP, number, _checks(number, passed=passed), self.at, "engine")
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
        windows.save(tx, _window(draw, week))
        _week(story, week)
    for number in range(40):
        _run(tx, f"run_try_{number:02d}", number, NOW - number * 5000.0, experiment="sweep")
    _failed_run(tx)


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


#: week -> champion in it
_REIGNS = [(0, 1), (9, 2), (12, 3), (24, 5)]
_LOSS = {1: 0.148, 2: 0.144, 3: 0.141, 5: 0.139}


def _champion(week: int) -> int:
    return next(v for start, v in reversed(_REIGNS) if week >= start)


def _window(draw: random.Random, week: int) -> Window:
    version = _champion(week)
    start = START + week * WEEK
    rows = 5600 + int(600 * math.sin(week / 4)) + draw.randrange(300)
    begun = max(s for s, _ in _REIGNS if s <= week)
    decay = 0.0021 * (week - begun) + (0.012 if week in (6, 7, 8, 20, 21, 22) else 0.0)
    other = {7: 2, 8: 2, 10: 3, 11: 3, 15: 4, 16: 4, 21: 5, 22: 5, 23: 5, 29: 6}.get(week)
    loss = _LOSS[version] + decay + draw.uniform(-0.003, 0.003)
    own = _measures(loss, rows)
    by_version: dict[str, Any] = {str(version): own}
    if other is not None:
        gain = -0.021 if other == 4 else 0.012
        by_version[str(other)] = _measures(loss - gain, rows)
    shares = {str(version): {"rows": int(rows * 0.8) if other else rows, "share": 0.8}}
    if other is not None:
        shares[str(other)] = {"rows": rows - int(rows * 0.8), "share": 0.2}
    performance = {
        **own,
        "baseline_loss": _LOSS[version],
        "line": _LOSS[version] + 0.01,
        "verdict": "alarm" if week == 6 else "quiet",
        "by_version": by_version,
    }
    return Window(
        id=windows.window_id(LOOP, start),
        endpoint=LOOP,
        start=start,
        end=start + WEEK,
        rows=rows,
        version=version,
        drift=[_drift(draw, name, week) for name in COLUMNS],
        quality=_quality(week),
        traffic={"rows": rows, "rows_per_s": rows / WEEK, "versions": shares},
        performance=performance if week < WEEKS - 1 else None,
        labelled=rows - 200,
    )


def _measures(loss: float, rows: int) -> dict[str, Any]:
    def interval(value: float, half: float) -> dict[str, Any]:
        return {"estimate": value, "low": value - half, "high": value + half, "n": rows}

    return {
        "rows": rows,
        "loss": interval(loss, 0.0042),
        "metrics": {
            "auc": interval(0.9 - loss, 0.011),
            "accuracy": interval(0.95 - loss, 0.009),
            "log_loss": interval(loss * 3, 0.012),
        },
    }


def _drift(draw: random.Random, name: str, week: int) -> dict[str, Any]:
    share, drifting = COLUMNS[name]
    line, radius = (0.03 if name == "score" else 0.05), 0.029 + draw.uniform(0, 0.003)
    distance = draw.uniform(0.004, 0.027)
    verdict = "quiet"
    if week in drifting:
        distance = draw.uniform(0.09, 0.19)
        verdict = "alarm" if share >= 0.01 else "notice"
    return {
        "column": name,
        "kind": "score_drift" if name == "score" else "drift",
        "distance": distance,
        "radius": radius,
        "smallest": max(radius, line),
        "line": line,
        "share": share,
        "verdict": verdict,
        "why": f"KS distance {distance:.3f} between 5,900 rows and 48,000 at training.",
    }


def _quality(week: int) -> list[dict[str, Any]]:
    quiet = {"column": "dest", "check": "missing", "verdict": "quiet", "why": "0 % have no value."}
    if week not in (25, 26):
        return [quiet]
    why = "11 % of 6,240 rows have no value (at least 9.9 %); at training it was 0.2 %."
    return [quiet, {"column": "temp", "check": "missing", "verdict": "alarm", "why": why}]


def _checks(number: int, *, passed: bool) -> list[CheckResult]:
    auc = 0.752 + number / 500 if passed else 0.611
    return [
        CheckResult(name="auc", passed=passed, found=f"auc {auc:.3f}", wanted="at least 0.700"),
        CheckResult(name="latency", passed=True, found="p95 0.42 ms", wanted="at most 100 ms"),
        CheckResult(name="data", passed=True, found="no violation", wanted="no violation"),
        CheckResult(name="card", passed=True, found="complete", wanted="complete"),
        CheckResult(
            name="champion",
            passed=True,
            found="0.0031 less loss (-0.0009 to 0.0071) on 6,000 paired rows",
            wanted="not worse by more than 0",
        ),
    ]


def _version(number: int, run: str, at: float) -> Version:
    names = [name for name in COLUMNS if name != "score"]
    signature = Signature(
        columns=[Column(name=name, type="float") for name in names],
        kind="binary",
        target="delayed",
        classes=["0", "1"],
    )
    return Version(
        model=LOOP,
        number=number,
        run=run,
        package=sha256(str(number).encode()),
        signature=signature,
        card=CARD,
        metrics={"auc": 0.752 + number / 500, "loss": 0.15 - number / 500},
        created=at,
        by="service:engine",
        cause="first" if number == 1 else "regret",
        command=f"{LOOP}-{number:04d}",
        trained_until=at,
    )


def _run(tx: Tx, name: str, number: int, at: float, experiment: str = "flights") -> None:
    run = Run(
        id=name,
        experiment=experiment,
        name=f"train {number}",
        status=RunStatus.RUNNING,
        started=at,
        pipeline="project:train",
        cause=f"command:flights-{number:04d}",
        params={"trees": "200", "depth": str(3 + number % 4), "until": "2013-05-01"},
        tags={"git": "a1b2c3d"},
    )
    runs.create(tx, run)
    for step in range(12):
        values = {"auc": 0.70 + 0.05 * (1 - math.exp(-step / 3)), "loss": 0.2 - step / 200}
        runs.log(tx, name, values, step=step, at=at + step)
    graph = [("load", [], "reused"), ("split", ["load"], "done"), ("features", ["load"], "done")]
    graph += [("train", ["split", "features"], "done"), ("evaluate", ["train", "split"], "done")]
    _steps(tx, name, graph, at)
    if number % 13 == 7:
        runs.end(tx, name, RunStatus.CANCELLED, at=at + 12.4)
    elif not (experiment == "sweep" and number == 0):
        runs.end(tx, name, RunStatus.FINISHED, at=at + 74.4)


def _failed_run(tx: Tx) -> None:
    at = NOW - 900
    run = Run(
        id="run_failed",
        experiment="flights",
        name="train with a typo",
        status=RunStatus.RUNNING,
        started=at,
        pipeline="project:train",
    )
    runs.create(tx, run)
    graph = [
        ("load", [], "reused"),
        ("train", ["load"], "failed"),
        ("score", ["train"], "skipped"),
    ]
    _steps(tx, "run_failed", graph, at)
    runs.end(tx, "run_failed", RunStatus.FAILED, at=at + 3.2)


_TRACE = """Traceback (most recent call last):
  File "project.py", line 41, in train
    model = Model(HistGradientBoostingClassifier(), target="<b>delayd</b>")
KeyError: 'delayd'"""


def _steps(tx: Tx, run: str, graph: list[tuple[str, list[str], str]], at: float) -> None:
    why = {
        "reused": "the same code, inputs, params and environment as before",
        "done": "its input changed: split",
        "failed": "its code changed: train",
        "skipped": "train failed",
    }
    for place, (step, needs, state) in enumerate(graph):
        failed = state == "failed"
        tx.run(
            insert(steps).values(
                run=run,
                step=step,
                position=place,
                pipeline="project:train",
                target=f"project:{step}",
                args="{}",
                options="{}",
                needs=json.dumps(needs),
                code="0" * 64,
                code_parts="{}",
                env="0" * 64,
                fresh=False,
                state=state,
                why=why[state],
                parts="{}",
                started=at + place,
                ended=at + place + 1,
                attempt=1,
                error="KeyError: 'delayd'" if failed else "",
                trace=_TRACE if failed else "",
                wall_s=0.0 if state in ("reused", "skipped") else 1.84 * (place + 1),
                cpu_s=0.0 if state in ("reused", "skipped") else 1.5 * (place + 1),
            )
        )

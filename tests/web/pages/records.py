"""The records of a told home: windows, versions, gates and runs, as its story needs them."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from sqlalchemy import insert

from mainspring.experiments import runs
from mainspring.ground.identity import sha256
from mainspring.ground.objects import (
    DAY_S,
    Card,
    CheckResult,
    Column,
    Run,
    RunStatus,
    Signature,
    Version,
    Window,
)
from mainspring.ground.ports import Tx
from mainspring.monitoring import windows
from mainspring.pipelines.tables import steps

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

#: week -> champion in it
_REIGNS = [(0, 1), (9, 2), (12, 3), (24, 5)]
_LOSS = {1: 0.148, 2: 0.144, 3: 0.141, 5: 0.139}


def _champion(week: int) -> int:
    return next(v for start, v in reversed(_REIGNS) if week >= start)


def a_window(draw: random.Random, week: int) -> Window:
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
        "why": f"Mean loss {loss:.4f} on {rows:,} labelled rows.",
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


def some_checks(number: int, *, passed: bool) -> list[CheckResult]:
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


def a_version(number: int, run: str, at: float) -> Version:
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


def a_run(tx: Tx, name: str, number: int, at: float, experiment: str = "flights") -> None:
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


def a_failed_run(tx: Tx) -> None:
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

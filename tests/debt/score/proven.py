"""Facts of a model for which everything ran lately, so that every test gives its point."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.debt.score import facts as f
from mainspring.ground.objects import DAY_S, Evidence, Finding

NOW = 1_800_000_000.0
THEN = NOW - DAY_S


def ev(kind: str, subject: str = "tide/2", **given: Any) -> Evidence:
    told: dict[str, Any] = {
        "id": f"ev_{kind}_{given.get('at', THEN)}_{given.get('passed', True)}",
        "passed": True,
        "found": f"{kind} went well.",
        "at": THEN,
        "by": "service:engine",
        "opens": ["run:run_1"],
    }
    return Evidence(kind=kind, subject=subject, **{**told, **given})


LINES = {"project:load": [8, 10], "project:train": [5, 5]}
TESTS_RAN = ev("tests", "pipeline:project:tide", detail={"lines": LINES})
EVIDENCE = [
    TESTS_RAN,
    ev("ablation"),
    ev("feature_costs"),
    ev("feature_policy"),
    ev("privacy", "model:tide"),
    ev("approval", by="ada"),
    ev("staleness", "model:tide"),
    ev("bias"),
    ev("reproduced"),
    ev("smoke", "pipeline:project:tide"),
    ev("debuggable", "endpoint:tide"),
    ev("rollback_drill", "endpoint:tide"),
    ev("dependency_drill", "endpoint:tide"),
]


FIGURES: dict[str, dict[str, Any]] = {
    "baselines": {"models": [{"name": "linear", "low": -0.2}, {"name": "tree", "low": -0.1}]},
    "slices": {"slices": [{"loss": 0.1, "difference": -0.01}, {"loss": None}]},
    "latency": {},
}


def judged(number: int, **given: Any) -> f.Judged:
    checks = [
        f.Check(name=name, passed=True, found=f"{name} is fine", evidence=told)
        for name, told in FIGURES.items()
    ]
    told: dict[str, Any] = {"id": f"gate_{number}", "passed": True, "at": THEN, "checks": checks}
    return f.Judged(**{**told, **given})


def made(number: int, **given: Any) -> f.Made:
    told: dict[str, Any] = {
        "number": number,
        "created": THEN,
        "by": "grace",
        "run": f"run_{number}",
        "params": {"trees": 80.0},
        "commit": "ab" * 20,
        "branch": "main",
        "columns": ["a", "b"],
        "feature_steps": ["load"],
        "train_steps": ["train"],
        "gate": judged(number),
        "train_s": 10.0 + number,
        "latency_ms": 0.5,
        "memory_bytes": 1e8,
        "offline": 0.1 * number,
        "online": 0.1 * number + 0.01,
        "online_rows": 500,
    }
    return f.Made(**{**told, **given})


def found(monitor: str, value: float, **given: Any) -> Finding:
    why = f"{monitor} is well."
    return Finding(monitor=monitor, subject=monitor, value=value, rows=500, why=why, **given)


def window(**given: Any) -> f.Seen:
    told: dict[str, Any] = {
        "id": "tide:1",
        "page": "/endpoints/tide/report?window=tide:1",
        "at": THEN,
        "rows": 500,
        "version": 2,
        "drift": 2,
        "quality": 2,
        "found": [found("skew", 0.0), found("age", 3.0, line=30.0)],
        "performance": {"verdict": "quiet", "why": "Mean loss 0.1 on 500 labelled rows."},
    }
    return f.Seen(**{**told, **given})


def facts(**given: Any) -> f.Facts:
    """Return facts that give 28 points, or others where they are given."""
    whole = f.Facts(
        model="tide",
        now=NOW,
        champion=2,
        versions=[made(number) for number in (5, 4, 3, 2, 1)],
        moves=[
            f.Move(number=2, previous=1, at=THEN, gate="gate_2", rollout="canary", decision="d2"),
            f.Move(number=1, previous=None, at=THEN, gate="gate_1", decision="d1"),
        ],
        windows=[window()],
        tunings=[f.Tuned(run="run_9", at=THEN, params=["trees"], trials=20)],
        channels=[f.Told(name="ops")],
        arrived=[f.Arrived(column="a", seconds=3600.0), f.Arrived(column="b", seconds=60.0)],
        biases=[
            f.SliceBias(
                window="tide:1", slice="all rows", said=0.31, came=0.3, rows=500, biased=False
            )
        ],
        schema=f.Schema(digest="cd" * 32, columns=2),
        finite=f.Finite(
            trained=3, trained_bad=0, served=500, served_bad=0, at=THEN, page="/endpoints/tide"
        ),
        evidence=list(EVIDENCE),
    )
    return msgspec.structs.replace(whole, **given)


def without(*kinds: str) -> list[Evidence]:
    return [one for one in EVIDENCE if one.kind not in kinds]

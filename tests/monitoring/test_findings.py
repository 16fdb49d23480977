"""Everything that was found in a window has one shape."""

from __future__ import annotations

import pytest
from tests.monitoring.test_performance import BINARY, POLICY, predicted

from mainspring.ground.objects import Finding, Window
from mainspring.monitoring.findings import of_window, replaced


def _window(**given: object) -> Window:
    blank = {"id": "e:0", "endpoint": "e", "start": 0.0, "end": 1.0, "rows": 10, "version": 1}
    return Window(**{**blank, **given})  # type: ignore[arg-type]


def test_a_bare_window_has_no_findings() -> None:
    assert of_window(_window()) == []


def test_drift_quality_and_traffic_are_findings() -> None:
    drift = {"column": "x", "kind": "drift", "distance": 0.2, "line": 0.05, "rows": 9,
             "verdict": "alarm", "why": "It moved."}  # fmt: skip
    quality = {"column": "x", "check": "missing", "rate": 0.1, "verdict": "quiet"}
    traffic = {"rows": 10, "calls": None, "versions": {"1": {"rows": 10, "share": 1.0}}}
    found = of_window(_window(drift=[drift], quality=[quality], traffic=traffic))
    assert [(one.monitor, one.subject, one.value, one.verdict) for one in found] == [
        ("drift", "x", 0.2, "alarm"),
        ("quality", "x/missing", 0.1, "quiet"),
        ("traffic", "rows", 10.0, "quiet"),
        ("traffic", "share/1", 1.0, "quiet"),
    ]


def test_performance_is_a_finding_a_metric_with_its_interval() -> None:
    from mainspring.monitoring.judge import judge_labels

    joined = predicted(1000)
    told, _ = judge_labels(_window(end=1000.0, rows=1000, version=3), joined, 0.1, POLICY,
                           signature=BINARY)  # fmt: skip
    found = {one.subject: one for one in of_window(_window(performance=told))}
    assert {"loss", "coverage", "auc", "accuracy"} <= found.keys()
    loss = found["loss"]
    assert loss.low is not None
    assert loss.high is not None
    assert loss.value == pytest.approx(told["loss"]["estimate"])
    assert loss.low < loss.value < loss.high  # type: ignore[operator]
    assert found["coverage"].value == pytest.approx(1.0)


def test_findings_of_the_same_subject_are_replaced_and_others_stay() -> None:
    def one(subject: str, value: float) -> Finding:
        return Finding(monitor="joint", subject=subject, value=value)

    kept = replaced([one("a", 1.0), one("b", 2.0)], [one("b", 3.0), one("c", 4.0)])
    assert [(f.subject, f.value) for f in kept] == [("a", 1.0), ("b", 3.0), ("c", 4.0)]

"""Whether the same came of a run that was made again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments.capture import facts, packages
from mainspring.experiments.datasets import Dataset, Use
from mainspring.workspace import verdicts
from mainspring.workspace.again import CannotError, Past


def _record(**more: Any) -> dict[str, Any]:
    return {
        "id": "run_1", "name": "n", "status": "finished", "pipeline": None, "params": {},
        "metrics": {}, "tags": {"mainspring.nth": "0"}, **more,
    }  # fmt: skip


def _both(was: dict[str, Any], now: dict[str, Any], tolerance: float = 0.0) -> verdicts.Comparison:
    def one(name: str, given_: dict[str, Any]) -> Past:
        run = _record(id=name, **{k: v for k, v in given_.items() if k != "artifacts"})
        files = given_.get("artifacts", {})
        digest = given_.get("tags", {}).get("data")
        data = Dataset(name="rows", digest=digest or "", source_type="code", source="")
        inputs = [Use(dataset=data, context="training")] if digest else []
        ran_on = facts.EnvironmentFile(
            packages=packages.Packages(
                python="3.11.1", implementation="CPython", digest="",
                installed=given_.get("tags", {}).get("p", "six==1").split(),
            ),
            machine=None,
        )  # fmt: skip
        return Past(run=run, artifacts=files, source=None, ran_on=ran_on, inputs=inputs)

    return verdicts.compare(one("run_1", was), one("run_2", now), tolerance=tolerance, notes=())


def test_equal_runs_are_the_same_whatever_their_load_and_their_own_files() -> None:
    was = {
        "metrics": {"auc": 0.5, "bad": None, "system/cpu_percent": 3.0},
        "artifacts": {"m.bin": "d1", "mainspring/source.json": "d2"},
        "params": {"lr": "1"},
    }
    now = {**was, "metrics": {"auc": 0.5, "bad": None}, "artifacts": {"m.bin": "d1"}}
    found = _both(was, now)
    assert (found.verdict, found.why) == (
        "same", "1 params, 2 metrics, 1 artifacts are the same",
    )  # fmt: skip


def test_runs_that_logged_nothing_have_nothing_to_compare() -> None:
    found = _both({}, {})
    assert (found.verdict, found.why) == ("same", "there is nothing to compare")


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        ({"metrics": {"auc": 0.5}}, {"metrics": {"auc": 0.6}}, "1 of 1 metrics"),
        ({"metrics": {"auc": 0.5}}, {"metrics": {}}, "1 of 1 metrics"),
        ({"artifacts": {"m": "a"}}, {"artifacts": {"m": "b", "n": "c"}}, "2 of 2 artifacts"),
        ({"params": {"a": "1"}}, {"params": {"a": "2"}}, "1 of 1 params"),
        ({"tags": {"data": "a"}}, {"tags": {"data": "b"}}, "1 of 1 inputs"),
        ({}, {"status": "failed"}, "it finished then and failed now"),
        (
            {"metrics": {"a": 1.0}},
            {"metrics": {"a": 2.0}, "status": "failed", "params": {"b": "1"}},
            "it finished then and failed now; 1 of 1 params, 1 of 1 metrics",
        ),
    ],
)
def test_what_differs_is_counted(was: dict, now: dict, why: str) -> None:
    found = _both(was, now)
    assert (found.verdict, found.why) == ("differs", why)


def test_packages_are_told_and_decide_nothing() -> None:
    found = _both({"tags": {"p": "six==1 a==2"}}, {"tags": {"p": "six==2"}})
    assert found.verdict == "same"
    assert found.packages == ["a 2 -> gone", "six 1 -> 2"]


@given(st.floats(), st.floats(), st.floats(0, 0.5))
def test_a_metric_is_the_same_by_its_tolerance(a: float, b: float, tolerance: float) -> None:
    def same(x: float, y: float, t: float) -> bool:
        found = _both({"metrics": {"m": x}}, {"metrics": {"m": y}}, t)
        return found.verdict == "same"

    assert same(a, a, 0.0)
    assert same(a, b, tolerance) == same(b, a, tolerance)
    if same(a, b, 0.0):
        assert same(a, b, tolerance)


def test_the_run_of_the_same_place_is_the_one_made_again() -> None:
    past = Past(run=_record(tags={"mainspring.nth": "1"}), artifacts={}, source=None, ran_on=None)

    def made(*several: tuple[str, str, str]) -> list[dict[str, Any]]:
        return [
            {"id": one, "name": name, "tags": {"mainspring.nth": nth}}
            for one, name, nth in several
        ]

    assert verdicts.chosen(past, made(("a", "x", "0"), ("b", "y", "1"))) == "b"
    assert verdicts.chosen(past, made(("a", "x", "0"), ("b", "n", "2"))) == "b"
    assert verdicts.chosen(past, made(("a", "x", "0"))) == "a"
    with pytest.raises(CannotError, match="made no run"):
        verdicts.chosen(past, [])
    with pytest.raises(CannotError, match="none is clearly"):
        verdicts.chosen(past, made(("a", "x", "0"), ("b", "y", "2")))

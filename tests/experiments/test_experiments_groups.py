"""Experiments, artifacts and the search, on every database."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments import artifacts, finding, groups, metrics, runs
from mainspring.experiments.finding import Condition, Order
from mainspring.ground.errors import (
    AlreadyExistsError,
    BadInputError,
    ConflictError,
    NotFoundError,
)
from mainspring.ground.identity import check_name, sha256
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx

DIGEST = sha256(b"x")


def a_run(name: str, **more: object) -> Run:
    given = {"experiment": "flights", "name": name, "status": RunStatus.RUNNING, "started": 5.0}
    return Run(id=name, **{**given, **more})  # type: ignore[arg-type]


@given(st.text(min_size=1, max_size=500).filter(lambda t: t.strip() and "\x00" not in t))
def test_every_name_has_a_key_that_is_a_name(name: str) -> None:
    check_name(groups.key_of_name(name))


def test_a_runs_experiment_is_made_with_it_after_the_default(tx: Tx) -> None:
    runs.create(tx, a_run("a"))
    runs.create(tx, a_run("b", experiment="Default"))
    found = groups.by_keys(tx, ["flights", "Default"])
    assert {key: one.id for key, one in found.items()} == {"Default": 0, "flights": 1}


def test_the_name_default_can_be_given_again(tx: Tx) -> None:
    groups.ensure_default(tx, 1.0)
    groups.rename(tx, 0, "old", 2.0)
    assert groups.create(tx, "Default", {}, 3.0).id == 1
    with pytest.raises(AlreadyExistsError):
        groups.rename(tx, 0, "Default", 4.0)


def test_runs_go_and_come_with_their_experiment_but_for_those_gone_before(tx: Tx) -> None:
    for name in "ab":
        runs.create(tx, a_run(name))
    runs.hide(tx, "a", 1.0)
    groups.delete(tx, 1, 2.0)
    groups.delete(tx, 1, 3.0)
    assert runs.hidden(tx, ["a", "b"]) == {"a", "b"}
    assert finding.find(tx) == []
    with pytest.raises(ConflictError, match="deleted"):
        groups.set_tags(tx, 1, {"a": "b"}, 3.0)
    groups.restore(tx, 1, 4.0)
    assert runs.hidden(tx, ["a", "b"]) == {"a"}


def test_a_pipelines_run_is_not_restated(tx: Tx) -> None:
    runs.create(tx, a_run("a", pipeline="project:train"))
    with pytest.raises(ConflictError, match="its steps decide"):
        runs.restate(tx, "a", status=RunStatus.FINISHED)
    assert runs.restate(tx, "a", name="other").name == "other"


def test_conditions_mean_the_same_on_every_database(tx: Tx) -> None:
    values = {"a": 0.1, "b": math.nan, "c": math.inf}
    for name in "abcd":
        runs.create(tx, a_run(name, params={"kind": f"{name.upper()}*[x]\\y"}))
        if name in values:
            runs.log(tx, name, {"auc": values[name]}, at=1.0)

    def ids(kind: finding.Kind, key: str, op: str, value: object = None) -> str:
        one = Condition(kind, key, op, value)  # type: ignore[arg-type]
        return "".join(finding.find(tx, conditions=[one]))

    assert ids("metric", "auc", ">", 0) == "ac"
    assert ids("metric", "auc", "!=", 0.1) == "c"
    assert ids("param", "kind", "like", "A*[x]\\_") == "a"
    assert ids("param", "kind", "like", "a%") == ""
    assert ids("param", "kind", "ilike", "a*[%\\Y") == "a"
    assert ids("param", "kind", "like", "%?%") == ""
    assert ids("run", "id", "in", ["a", "d", "x"]) == "ad"
    assert ids("run", "ended", "<", 1) == ""
    assert ids("tag", "x", "null") == "abcd"
    order = [Order("metric", "auc", ascending=False)]
    assert "".join(finding.find(tx, orders=order)) == "cabd"
    assert "".join(finding.find(tx, orders=order, limit=2, offset=1)) == "ab"
    assert finding.find(tx, experiments=["other"]) == []


@pytest.mark.parametrize(
    "one",
    [
        Condition("metric", "auc", "like", "x"),
        Condition("metric", "auc", "=", "x"),
        Condition("param", "a", "<", "x"),
        Condition("param", "a", "like", "%" * 9),
        Condition("run", "nothing", "=", "x"),
    ],
)
def test_what_no_kind_has_is_refused(tx: Tx, one: Condition) -> None:
    with pytest.raises(BadInputError):
        finding.find(tx, conditions=[one])


def test_points_that_come_twice_are_one_and_the_latest_is_the_furthest(tx: Tx) -> None:
    runs.create(tx, a_run("a"))
    points = [
        metrics.Point(key="auc", value=value, step=step, time=at)
        for value, step, at in ((0.5, 1, 9.0), (math.nan, 2, 3.0), (0.4, 2, 3.0), (9.0, 0, 99.0))
    ]
    for order in (points, points[::-1], points + points):
        metrics.log_once(tx, "a", order)
    assert len(metrics.history(tx, "a", "auc")[0]) == 4
    assert runs.get(tx, "a").metrics == {"auc": 0.4}


def test_a_file_and_a_folder_do_not_share_a_path(tx: Tx) -> None:
    runs.create(tx, a_run("a"))
    artifacts.put(tx, "a", "plots/roc_1.png", DIGEST, 3, 1.0)
    artifacts.put(tx, "a", "PLOTS/x", DIGEST, 3, 1.0)
    for path in ("plots", "plots/roc_1.png/x"):
        with pytest.raises(ConflictError):
            artifacts.put(tx, "a", path, DIGEST, 3, 1.0)
    assert [one.path for one in artifacts.entries(tx, "a")] == ["PLOTS", "plots"]
    assert [one.path for one in artifacts.entries(tx, "a", "plots")] == ["plots/roc_1.png"]
    assert artifacts.get(tx, "a", "plots/roc_1.png").digest == DIGEST
    assert artifacts.remove(tx, "a", "plots") == 1
    with pytest.raises(NotFoundError):
        artifacts.get(tx, "a", "plots/roc_1.png")


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/.", "a\\b", "a#", "a%2e", "a\x00"])
def test_no_path_leads_elsewhere(path: str) -> None:
    with pytest.raises(BadInputError):
        artifacts.check_path(path)

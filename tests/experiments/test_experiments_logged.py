"""Logged models: kept, measured, finished, linked to runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mainspring.experiments import artifacts, groups, logged, runs
from mainspring.experiments.logged import Link, LoggedModel, LoggedStatus, Measured, Role
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Run, RunStatus

DIGEST = "a" * 64


def start(tx: Any) -> str:
    one = Run(id=new_id("run"), experiment="x", name="one", status=RunStatus.RUNNING, started=1.0)
    return runs.create(tx, one).id


@pytest.fixture
def model(tx: Any) -> str:
    """A logged model of the experiment flights."""
    number = groups.create(tx, "flights", {}, 1.0).id
    one = LoggedModel(
        id="m-1",
        experiment=number,
        name="trees",
        created=1.0,
        changed=1.0,
        params={"depth": "3"},
        tags={"team": "ops"},
    )
    assert logged.create(tx, one) == one
    return "m-1"


def measured(run: str, value: float, step: int = 0, **more: Any) -> Measured:
    return Measured(model="m-1", run=run, key="auc", value=value, step=step, time=2.0, **more)


def test_params_never_change_and_tags_do(tx: Any, model: str) -> None:
    logged.set_params(tx, model, {"depth": "3", "rate": "0.1"})
    with pytest.raises(ConflictError, match="depth"):
        logged.set_params(tx, model, {"depth": "4"})
    logged.set_tags(tx, model, {"team": None, "state": "new"})
    found = logged.get(tx, model)
    assert (found.params, found.tags) == ({"depth": "3", "rate": "0.1"}, {"state": "new"})


def test_what_is_measured_twice_is_kept_once_and_exactly(tx: Any, model: str) -> None:
    run = start(tx)
    values = [math.nan, math.inf, -0.0, 0.1]
    for _ in range(2):
        logged.measure(tx, [measured(run, value, n) for n, value in enumerate(values)])
    logged.measure(tx, [measured(run, 0.1, 3, dataset_name="valid", dataset_digest="1")])
    found = logged.get(tx, model).metrics
    assert [repr(one.value) for one in found] == [*map(repr, values), "0.1"]
    with pytest.raises(NotFoundError):
        logged.measure(tx, [Measured(model="m-0", run=run, key="a", value=1, step=0, time=1.0)])


def test_a_model_is_finished_and_hidden(tx: Any, model: str) -> None:
    assert logged.finish(tx, model, LoggedStatus.READY, 5.0).status is LoggedStatus.READY
    number = logged.get(tx, model).experiment
    assert [one.id for one in logged.listed(tx, [number], name="trees")] == [model]
    assert logged.listed(tx, [number], run="other") == []
    logged.hide(tx, model, 6.0)
    assert logged.get(tx, model).deleted == 6.0
    assert logged.listed(tx, [number]) == []


def test_no_model_is_logged_into_a_deleted_experiment(tx: Any, model: str) -> None:
    one = logged.get(tx, model)
    groups.delete(tx, one.experiment, 3.0)
    with pytest.raises(ConflictError):
        logged.create(tx, one)


def test_a_run_is_linked_to_what_it_read_and_made(tx: Any, model: str) -> None:
    run = start(tx)
    logged.link(tx, run, [Link(model=model, role=Role.OUTPUT, step=0)])
    logged.link(tx, run, [Link(model=model, role=Role.OUTPUT, step=9)])
    logged.link(tx, run, [Link(model=model, role=Role.INPUT, step=0)])
    found = {(one.role, one.step) for one in logged.of_runs(tx, [run])[run]}
    assert found == {(Role.OUTPUT, 9), (Role.INPUT, 0)}


def test_files_of_models_and_of_runs_are_apart(tx: Any, model: str) -> None:
    run = start(tx)
    artifacts.put(tx, model, "data/weights", DIGEST, 7, 1.0, of=artifacts.MODELS)
    artifacts.put(tx, run, "notes 50%.txt", DIGEST, 7, 1.0)
    assert [one.path for one in artifacts.entries(tx, model, of=artifacts.MODELS)] == ["data"]
    assert artifacts.entries(tx, model) == []
    assert artifacts.get(tx, model, "data/weights", of=artifacts.MODELS).size == 7
    with pytest.raises(NotFoundError, match="Model"):
        artifacts.get(tx, model, "notes 50%.txt", of=artifacts.MODELS)
    assert artifacts.remove(tx, model, "data", of=artifacts.MODELS) == 1
    for path in ("a%2e", "%252e", "a%23"):
        with pytest.raises(BadInputError):
            artifacts.check_path(path)

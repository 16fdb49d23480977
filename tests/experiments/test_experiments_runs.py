from __future__ import annotations

import math

import pytest

from mainspring.experiments import metrics, runs
from mainspring.ground.errors import (
    AlreadyExistsError,
    BadInputError,
    ConflictError,
    NotFoundError,
)
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx


def a_run(name: str = "run_1", **more: object) -> Run:
    given = {"experiment": "flights", "name": "first", "status": RunStatus.RUNNING, "started": 5.0}
    return Run(id=name, **{**given, **more})  # type: ignore[arg-type]


def test_a_run_comes_back_as_it_was_made(tx: Tx) -> None:
    made = a_run(params={"trees": "40"}, tags={"who": "é"}, metrics={"loss": 0.5}, cause="x:1")
    assert runs.create(tx, made) == made
    assert runs.get(tx, "run_1") == made
    assert runs.find(tx, cause="x:1") == made
    assert runs.find(tx, cause="x:2") is None


def test_a_second_run_by_the_same_id_is_refused(tx: Tx) -> None:
    runs.create(tx, a_run())
    with pytest.raises(AlreadyExistsError):
        runs.create(tx, a_run())


def test_a_run_cannot_have_a_parent_that_is_not_there(tx: Tx) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        runs.create(tx, a_run(parent="nobody"))


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
def test_a_running_run_may_end_in_each_way_and_again_in_the_same(tx: Tx, status: str) -> None:
    runs.create(tx, a_run())
    assert runs.end(tx, "run_1", status, 9.0).ended == 9.0
    again = runs.end(tx, "run_1", status, 99.0)
    assert (again.status, again.ended) == (status, 9.0)


def test_a_finished_run_stays_finished(tx: Tx) -> None:
    runs.create(tx, a_run())
    runs.end(tx, "run_1", "finished", 9.0)
    with pytest.raises(ConflictError, match="finished and cannot become failed"):
        runs.end(tx, "run_1", "failed", 10.0)
    with pytest.raises(ConflictError):
        runs.resume(tx, "run_1")


def test_a_failed_run_may_go_on(tx: Tx) -> None:
    runs.create(tx, a_run())
    runs.end(tx, "run_1", "failed", 9.0)
    assert runs.resume(tx, "run_1") == a_run()


@pytest.mark.parametrize("status", ["done", "running", ""])
def test_a_run_ends_only_in_a_status_there_is(tx: Tx, status: str) -> None:
    runs.create(tx, a_run())
    with pytest.raises(BadInputError):
        runs.end(tx, "run_1", status, 9.0)


def test_params_are_set_once(tx: Tx) -> None:
    runs.create(tx, a_run(params={"trees": "40"}))
    runs.set_params(tx, "run_1", {"trees": 40, "rate": 0.1, "deep": None, "layers": [1, 2]})
    with pytest.raises(ConflictError, match="'40' and cannot become '50'"):
        runs.set_params(tx, "run_1", {"other": 1, "trees": 50})
    wanted = {"trees": "40", "rate": "0.1", "deep": "None", "layers": "[1,2]"}
    assert runs.get(tx, "run_1").params == wanted


def test_tags_change_and_go(tx: Tx) -> None:
    runs.create(tx, a_run(tags={"a": "1", "b": "2"}))
    runs.set_tags(tx, "run_1", {"a": "3", "b": None, "c": "4"})
    assert runs.get(tx, "run_1").tags == {"a": "3", "c": "4"}
    with pytest.raises(BadInputError, match="must be text"):
        runs.set_tags(tx, "run_1", {"a": 1})  # type: ignore[dict-item]


def test_nothing_can_be_said_of_a_run_that_is_not_there(tx: Tx) -> None:
    for act in (
        lambda: runs.get(tx, "none"),
        lambda: runs.log(tx, "none", {"a": 1}, at=0.0),
        lambda: runs.log_points(tx, "none", []),
        lambda: runs.set_params(tx, "none", {}),
        lambda: runs.set_tags(tx, "none", {}),
        lambda: runs.end(tx, "none", "failed", 0.0),
        lambda: runs.resume(tx, "none"),
    ):
        with pytest.raises(NotFoundError):
            act()


def test_every_point_is_kept_and_the_latest_is_of_the_highest_step(tx: Tx) -> None:
    runs.create(tx, a_run())
    runs.log(tx, "run_1", {"loss": 3.0}, 7, at=1.0)
    runs.log(tx, "run_1", {"loss": 2.0}, 8, at=2.0)
    runs.log(tx, "run_1", {"loss": 1.0}, 7, at=3.0)
    runs.log(tx, "run_1", {"loss": 0.5, "auc": 1}, at=4.0)
    assert runs.get(tx, "run_1").metrics == {"auc": 1.0, "loss": 0.5}
    points, rest = metrics.history(tx, "run_1", "loss")
    assert [(p.step, p.time, p.value) for p in points] == [
        (7, 1.0, 3.0),
        (8, 2.0, 2.0),
        (7, 3.0, 1.0),
        (9, 4.0, 0.5),
    ]
    assert rest is None
    assert metrics.history(tx, "run_1", "auc")[0][0].step == 0


def test_a_history_is_read_in_pages(tx: Tx) -> None:
    runs.create(tx, a_run())
    for value in range(7):
        runs.log(tx, "run_1", {"loss": value, "other": -value}, at=float(value))
    first, rest = metrics.history(tx, "run_1", "loss", limit=4)
    assert rest is not None
    second, end = metrics.history(tx, "run_1", "loss", after=rest, limit=4)
    assert [p.value for p in first + second] == [0, 1, 2, 3, 4, 5, 6]
    assert end is None
    with pytest.raises(BadInputError):
        metrics.history(tx, "run_1", "loss", limit=0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308])
def test_every_float_is_kept_as_it_is(tx: Tx, value: float) -> None:
    runs.create(tx, a_run())
    runs.log(tx, "run_1", {"m": value}, -(2**63), at=1.0)
    runs.log(tx, "run_1", {"m": value}, 2**63 - 1, at=1.0)
    for kept in (
        runs.get(tx, "run_1").metrics["m"],
        metrics.history(tx, "run_1", "m")[0][0].value,
    ):
        assert kept == value or (math.isnan(kept) and math.isnan(value))


def test_what_a_step_gathered_is_logged_as_if_one_by_one(tx: Tx) -> None:
    runs.create(tx, a_run())
    runs.log(tx, "run_1", {"loss": 9.0}, 4, at=0.0)
    gathered = [["loss", 3.0, None, 1.0], ["auc", "nan", None, 1.0], ["loss", "inf", None, 2.0]]
    runs.log_gathered(tx, "run_1", [*gathered, ["loss", 1.0, 2, 3.0]])
    points = metrics.history(tx, "run_1", "loss")[0]
    assert [(p.step, p.value) for p in points] == [(4, 9.0), (5, 3.0), (6, math.inf), (2, 1.0)]
    found = runs.get(tx, "run_1").metrics
    assert found["loss"] == math.inf
    assert math.isnan(found["auc"])

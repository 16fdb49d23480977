"""How runs belong together: children, groups, experiments as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mainspring.experiments import artifacts, kinship, runs
from mainspring.experiments.kinship import Best, Tally
from mainspring.experiments.tables import METADATA
from mainspring.ground.identity import sha256
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store, Tx

Write = Callable[[Callable[[Tx], Any]], Any]


@pytest.fixture
def write(open_test_store: Callable[..., Store]) -> Write:
    store = open_test_store(METADATA)
    return lambda work: store.write(service("tests"), Permission.LOG, work)


@pytest.fixture
def told(write: Write) -> Write:
    """A parent with two children, one of which failed; a group of two; one that is deleted."""

    def work(tx: Tx) -> None:
        a_run(tx, "top", 1.0)
        a_run(tx, "child1", 2.0, parent="top", auc=0.7)
        a_run(tx, "child2", 3.0, parent="top", status=RunStatus.FAILED, auc=0.9)
        a_run(tx, "gone", 4.0, parent="top", auc=0.99)
        runs.hide(tx, "gone", 9.0)
        a_run(tx, "in1", 5.0, group="G")
        a_run(tx, "in2", 6.0, group="G", status=RunStatus.RUNNING)
        a_run(tx, "other", 7.0, experiment="other", auc=1.0)

    write(work)
    return write


def a_run(
    tx: Tx,
    key: str,
    at: float,
    *,
    experiment: str = "e",
    parent: str | None = None,
    group: str | None = None,
    status: RunStatus = RunStatus.FINISHED,
    auc: float | None = None,
) -> None:
    run = Run(
        id=key,
        experiment=experiment,
        name=f"run {key}",
        status=status,
        started=at,
        parent=parent,
        tags={} if group is None else {kinship.GROUP: group},
        metrics={} if auc is None else {"auc": auc},
    )
    runs.create(tx, run)


def test_children_are_those_that_are_not_deleted_the_newest_first(told: Write) -> None:
    assert told(lambda tx: kinship.children(tx, "top", 10)) == ["child2", "child1"]
    assert told(lambda tx: kinship.children(tx, "top", 1)) == ["child2"]
    assert told(lambda tx: kinship.child_counts(tx, ["top", "in1"])) == {"top": 2}
    assert told(lambda tx: kinship.child_counts(tx, [])) == {}


def test_a_run_is_deleted_since_a_time_or_not_at_all(told: Write) -> None:
    assert told(lambda tx: kinship.deleted_since(tx, "gone")) == 9.0
    assert told(lambda tx: kinship.deleted_since(tx, "top")) is None


def test_an_experiment_counts_its_runs_deleted_ones_apart(told: Write) -> None:
    assert told(kinship.tallies) == {
        "e": Tally(runs=5, running=1, failed=1, deleted=1, newest=6.0),
        "other": Tally(runs=1, newest=7.0),
    }


def test_a_group_counts_its_runs(told: Write) -> None:
    found = told(lambda tx: kinship.group_tallies(tx, "e"))
    assert found == {"G": Tally(runs=2, running=1, newest=6.0)}
    assert told(lambda tx: kinship.group_tallies(tx, "other")) == {}


def test_roots_are_nobodys_children_by_group(told: Write) -> None:
    assert told(lambda tx: kinship.roots(tx, "e", "G", 10)) == ["in2", "in1"]
    assert told(lambda tx: kinship.roots(tx, "e", None, 10)) == ["top"]


def test_the_best_run_is_of_this_experiment_and_not_deleted(told: Write) -> None:
    best = told(lambda tx: kinship.best(tx, "e", "auc", highest=True))
    assert best == Best(run="child2", name="run child2", value=0.9)
    worst = told(lambda tx: kinship.best(tx, "e", "auc", highest=False))
    assert worst == Best(run="child1", name="run child1", value=0.7)
    assert told(lambda tx: kinship.best(tx, "e", "loss", highest=False)) is None


def test_the_files_of_a_run_are_listed_by_path_and_counted(told: Write) -> None:
    def work(tx: Tx) -> tuple[list[str], int]:
        for path in ("b.txt", "a/c.txt", "a/b.txt"):
            artifacts.put(tx, "top", path, sha256(path.encode()), 3, 1.0)
        listed = artifacts.every(tx, "top", 2)
        return [one.path for one in listed], artifacts.count(tx, "top")

    assert told(work) == (["a/b.txt", "a/c.txt"], 3)

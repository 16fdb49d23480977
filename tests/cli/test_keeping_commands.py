"""Deleting, restoring, retention and gc, as typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.experiments import runs
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.workspace.opening import open_workspace


@pytest.fixture
def filled(say: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A home with three runs of one experiment."""
    ws = open_workspace(load({"home": str(tmp_path / ".mainspring")}))
    for name in ("a", "b", "c"):
        run = Run(
            id=f"run_{name}", experiment="flights", name=name, status=RunStatus.FINISHED,
            started=1.0, ended=2.0, metrics={"auc": 0.5},
            parent="run_a" if name == "b" else None,
        )  # fmt: skip
        ws.write(Permission.LOG, lambda tx, run=run: runs.create(tx, run))
    ws.close()
    return say


def ids(say: Callable[..., Any]) -> set[str]:
    return {run["id"] for run in say("runs", "--json").json["runs"]}


def test_runs_go_and_come_back(filled: Callable[..., Any]) -> None:
    asked = filled("runs", "delete", "run_c")
    assert asked.code == 2
    assert "Delete 1 run?" in asked.err
    assert "--yes" in asked.err
    done = filled("runs", "delete", "run_c", "run_a", "--reason", "Wrong.", "--yes")
    assert done.code == 0
    assert "run_c is deleted" in done.out
    assert "run_a stays: run run_b is below it" in done.out
    assert ids(filled) == {"run_a", "run_b"}
    refused = filled("runs", "delete", "run_a", "--yes")
    assert refused.code == 1
    assert "is below it" in refused.err
    assert "run_c is there again" in filled("runs", "restore", "run_c").out
    assert filled("runs", "delete", "--filter", "name = 'c'", "--yes").code == 0
    assert filled("runs", "delete", "run_a", "--children", "--yes", "--json").json["deleted"]
    assert ids(filled) == set()


def test_a_deleted_run_is_named_by_its_first_characters(filled: Callable[..., Any]) -> None:
    full = "run_01m8gad9ry5fndm6n00hwpr7t1"
    ws = open_workspace(load())
    run = Run(
        id=full, experiment="flights", name="d", status=RunStatus.FINISHED, started=1.0, ended=2.0
    )
    ws.write(Permission.LOG, lambda tx: runs.create(tx, run))
    ws.close()
    assert filled("runs", "delete", "run_01m8", "--yes").code == 0
    assert f"{full} is there again" in filled("runs", "restore", "run_01m8").out
    assert "None of them was deleted" in filled("runs", "restore", "run_01m8").out
    assert "no run 'run_01m9'" in filled("runs", "restore", "run_01m9").err


def test_a_filter_that_finds_nothing_deletes_nothing_and_says_so(
    filled: Callable[..., Any],
) -> None:
    said = filled("runs", "delete", "--filter", "name = 'nope'", "--yes")
    assert (said.code, said.out.strip()) == (0, "No run meets the filter; none is deleted.")


def test_an_experiment_goes_for_good_with_gc(filled: Callable[..., Any]) -> None:
    assert filled("experiments", "delete", "flights", "--yes").code == 0
    assert "flights" in filled("experiments", "list", "--deleted").out
    assert filled("experiments", "restore", "flights").code == 0
    assert filled("experiments", "delete", "flights", "--yes").code == 0
    looked = filled("gc", "--older-than", "0s", "--dry-run")
    assert "3 runs would be gone for good" in looked.out
    done = filled("gc", "--older-than", "0s")
    assert "3 runs gone for good" in done.out
    assert "experiment flights gone for good" in done.out
    assert "0 objects reclaimed" in done.out
    assert filled("gc", "--json").json["purged"] == []


def test_an_experiment_is_renamed_and_its_runs_follow(filled: Callable[..., Any]) -> None:
    assert filled("experiments", "rename", "flights", "My delays!").code == 0
    assert "My delays!" in filled("experiments", "list").out
    assert len(filled("runs", "experiment = 'My delays!'", "--json").json["runs"]) == 3
    assert filled("runs", "--experiment", "flights", "--json").json["runs"] == []
    refused = filled("experiments", "rename", "flights", "x")
    assert refused.code == 2
    assert "no experiment 'flights'" in refused.err
    assert filled("experiments", "rename", "My delays!", " ").code == 2


def test_retention_is_said_in_words(filled: Callable[..., Any]) -> None:
    words = ("retention", "set", "flights", "--keep", "90d", "--keep-best", "10:metrics.auc")
    said = filled(*words)
    assert said.out.strip() == (
        "Runs of flights are kept for 90 days, the 10 with the highest auc for ever"
    )
    assert filled("retention", "list").out == said.out
    assert filled("retention", "remove", "flights").code == 0
    assert "Nothing is set" in filled("retention", "list").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("runs", "delete", "--yes"), "Name the runs"),
        (("runs", "restore"), "Name the runs"),
        (("runs", "delete", "--filter", "metrics.auc <", "--yes"), "filter"),
        (("gc", "--older-than", "soon"), "older_than"),
        (("retention", "set", "flights", "--keep", "9x"), "keep"),
        (("retention", "set", "flights", "--keep", "9d", "--keep-best", "3"), "keep_best"),
        (("experiments", "delete", "flights"), "--yes"),
    ],
)
def test_bad_input_is_exit_code_two(
    filled: Callable[..., Any], words: tuple[str, ...], told: str
) -> None:
    said = filled(*words)
    assert said.code == 2
    assert told in said.err

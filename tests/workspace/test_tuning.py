"""Tunings: the store holds the study; whatever dies, the trials are those of an unbroken one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mainspring as ms
from mainspring.experiments import families, metrics
from mainspring.experiments.families import Family
from mainspring.experiments.spaces import read_space
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.workspace import opening
from mainspring.workspace.families import study
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from trying import LEASE_S, LIGHT, Watched, begun, every_run, kill

from waiting import alive, until

SPACE = {"lr": "float(0,1)", "kind": ["a", "b"]}


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched(tmp_path / "project")
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("MAINSPRING_LEASE_S", str(LEASE_S))
    monkeypatch.setattr(opening, "PRELOAD", LIGHT)
    return found


@pytest.fixture
def ws(watched: Watched) -> Iterator[Workspace]:
    found = open_workspace(load())
    yield found
    found.close()


def trials(run: str, home: str | None = None) -> list[tuple[int, dict[str, Any], float | None]]:
    """Return number, params and value of every trial."""
    ws = open_workspace(load({"home": home}))
    try:
        found = ws.read(Permission.READ, lambda tx: families.members(tx, run))
    finally:
        ws.close()
    return [(m.number, m.notes.params, m.run.metrics.get("auc")) for m in found]


def test_the_best_of_many_trials_is_found(watched: Watched) -> None:
    found = ms.tune("project:curve", SPACE, metric="auc", trials=25, seed=3)
    assert (found.status, found.progress.done) == ("finished", 25)
    assert found.params["kind"] == "b"
    assert found.value == pytest.approx(1.1, abs=0.01)
    assert found.value == max(value for _, _, value in trials(found.id) if value is not None)
    assert found.best.params["lr"] == repr(found.params["lr"])
    assert sum(found.importance.values()) == pytest.approx(1.0)
    assert [run.tags["mainspring.number"] for run in found.trials] == [str(n) for n in range(25)]
    assert "best auc" in repr(found)


def test_a_killed_tuning_ends_as_an_unbroken_one(watched: Watched, ws: Workspace) -> None:
    options = ("--trials", "14", "--seed", "5", "--parallel", "1")
    space = ("--space", "lr=float(0,1)", "--space", "kind=['a','b']")
    with watched.command(
        "tune", "project:curve", *space, *options, "-p", "hold=11"
    ) as process:  # past the first ten, which are drawn at random whatever was found
        until(lambda: "trial-11" in watched.calls())
        kill(process)
    until(lambda: not any(alive(pid) for pid in watched.pids()))
    watched.let_go()
    broken = begun(ws)
    told = watched.said("tune", "--resume", broken)
    assert (told["run"]["status"], told["done"]) == ("finished", 14)
    assert watched.calls() == [
        *(f"trial-{n}" for n in range(12)),
        *(["trial-11", "trial-12", "trial-13"]),
    ]
    unbroken = ms.tune(
        "project:curve",
        SPACE,
        trials=14,
        seed=5,
        parallel=1,
        params={"hold": 11},
        home=watched.folder / "other",
    )
    assert trials(broken) == trials(unbroken.id, str(watched.folder / "other"))


def test_a_killed_trial_is_tried_again_with_its_params(watched: Watched, ws: Workspace) -> None:
    words = ("--space", "lr=float(0,1)", "--trials", "5", "--parallel", "2", "-p", "hold=2")
    with watched.command("tune", "project:curve", *words, "--json") as process:
        until(lambda: "trial-2" in watched.calls())
        os.kill(watched.pids()[watched.calls().index("trial-2")], signal.SIGKILL)
        until(lambda: watched.calls().count("trial-2") == 2)
        watched.let_go()
        assert process.wait(60) == 0
    every = every_run(ws)
    second = [run for run in every if run.tags.get(families.NUMBER) == "2"]
    assert {run.status for run in second} == {RunStatus.CRASHED, RunStatus.FINISHED}
    assert len({run.params["lr"] for run in second}) == 1
    assert len(trials(begun(ws))) == 5


def test_a_pruner_ends_trials_that_fall_behind(watched: Watched, ws: Workspace) -> None:
    found = ms.tune(
        "project:epochs",
        {"level": "float(0,1)"},
        trials=12,
        seed=1,
        parallel=1,
        sampler="random",
        pruner="median",
    )
    mine = ws.read(Permission.READ, lambda tx: families.members(tx, found.id))
    pruned = [one for one in mine if one.notes.pruned]
    assert found.progress.pruned == len(pruned) > 0
    assert not any(one.notes.pruned for one in mine[:5])  # the median's first five go through
    for one in pruned:
        last = one.notes.reports[-1][0]
        assert last < 27
        points = ws.read(
            Permission.READ, lambda tx, run=one.run.id: metrics.history(tx, run, "auc")
        )[0]
        assert [point.step for point in points] == list(range(1, last + 1))
    assert not any(one.run.id == found.best.id for one in pruned)


@pytest.mark.parametrize("pruner", ["asha"])
def test_a_killed_tuning_prunes_as_an_unbroken_one(
    watched: Watched, ws: Workspace, pruner: str
) -> None:
    words = ("--trials", "8", "--seed", "2", "--parallel", "1", "--pruner", pruner)
    with watched.command(
        "tune", "project:epochs", "--space", "level=float(0,1)", *words, "-p", "hold=3"
    ) as process:
        until(lambda: "trial-3" in watched.calls())
        kill(process)
    watched.let_go()
    told = watched.said("tune", "--resume", begun(ws))
    whole = ms.tune(
        "project:epochs",
        {"level": "float(0,1)"},
        trials=8,
        seed=2,
        parallel=1,
        pruner=pruner,
        params={"hold": 3},
        home=watched.folder / "other",
    )
    assert told["pruned"] == whole.progress.pruned > 0
    assert trials(told["run"]["id"]) == trials(whole.id, str(watched.folder / "other"))


def test_trials_that_fail_do_not_end_it_but_three_in_a_row_do(watched: Watched) -> None:
    def odd(x: int) -> float:
        if x % 2:
            raise ValueError("odd")
        return float(x)

    found = ms.tune(odd, {"x": [0, 1, 2, 3, 4]}, sampler="grid")
    assert (found.status, found.progress.failed, found.params) == ("finished", 2, {"x": 4})
    found = ms.tune("project:bad", {"x": "int(1,9)"}, trials=20, parallel=1)
    assert (found.status, found.progress.failed) == ("failed", 3)
    assert found.best is None
    assert "no luck" in found.progress.run.tags[families.OVER]


def test_a_trial_without_the_metric_has_failed_and_says_what_it_logged(watched: Watched) -> None:
    found = ms.tune("project:shy", {"x": "int(1,9)"}, trials=1)
    assert found.status == "failed"
    assert "no metric 'auc'; it logged other" in found.progress.error


def test_a_grid_is_tried_whole_and_once(watched: Watched) -> None:
    found = ms.tune("project:curve", {"lr": [0.1, 0.3], "kind": ["a", "b"]}, sampler="grid")
    drawn = [params for _, params, _ in trials(found.id)]
    points = [{"lr": lr, "kind": kind} for lr in (0.1, 0.3) for kind in ("a", "b")]
    assert sorted(map(repr, map(sorted, map(dict.items, drawn)))) == sorted(
        repr(sorted(point.items())) for point in points
    )
    assert found.params == {"lr": 0.3, "kind": "b"}


def test_patience_and_time_end_it_early(watched: Watched) -> None:
    def flat(x: float) -> float:
        return 1.0

    found = ms.tune(flat, {"x": "float(0,1)"}, trials=40, patience=4)
    assert (found.status, found.progress.done) == ("finished", 5)
    assert "4 trials brought no better one" in found.progress.run.tags[families.OVER]
    found = ms.tune(flat, {"x": "float(0,1)"}, trials=40, timeout=1e-6)
    assert (found.progress.done, found.status) == (0, "failed")


def test_a_pipeline_is_tuned_too(watched: Watched) -> None:
    found = ms.tune("project:train", {"trees": "int(10,90)"}, trials=3, parallel=1, seed=1)
    assert found.value == pytest.approx(0.7 + found.params["trees"] / 1000)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"space": {}}, "space"),
        ({"space": {"lr": "log(0,1)"}}, "lr"),
        ({"space": {"rate": "float(0,1)"}}, "rate"),
        ({"space": SPACE, "params": {"lr": 1}}, "lr"),
        ({"space": SPACE, "sampler": "magic"}, "sampler"),
        ({"space": SPACE, "pruner": "magic"}, "pruner"),
        ({"space": SPACE, "goal": "up"}, "goal"),
        ({"space": SPACE, "sampler": "grid"}, "space"),
        ({"space": SPACE, "trials": 0}, "count"),
        ({"space": SPACE, "seed": -1}, "seed"),
        ({"space": SPACE, "patience": 0}, "patience"),
        ({"space": SPACE, "timeout": -1}, "timeout"),
        ({"space": SPACE, "metric": ""}, "metric"),
    ],
)
def test_bad_input_is_refused_by_its_name(watched: Watched, words: dict, field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        ms.tune("project:curve", **words)
    assert caught.value.field == field


def test_every_draw_depends_on_its_number_and_the_trials_before_alone() -> None:
    family = Family(
        kind="tune", root="", target="f", count=9, metric="auc", seed=4,
        space=read_space({"a": "int(1,512,log)", "b": "log(1e-4,1)", "c": [1, 1.0, True, None]}),
    )  # fmt: skip
    first = [study.draw(family, [], number) for number in range(8)]
    assert first == [study.draw(family, [], number) for number in range(8)]
    assert len({str(one) for one in first}) == 8
    for one in first:
        assert 1 <= one["a"] <= 512
        assert 1e-4 <= one["b"] <= 1
        assert any(one["c"] is choice or one["c"] == choice for choice in (1, 1.0, True, None))


def test_a_trial_outside_of_a_tuning_checks_its_reports() -> None:
    trial = ms.trial()
    trial.report(0.5, 1)
    trial.report(float("nan"), 2)
    for value, step in ((0.5, 2), ("x", 3), (0.5, "3")):
        with pytest.raises(BadInputError):
            trial.report(value, step)

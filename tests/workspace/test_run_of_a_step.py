"""``ms.current_run()`` within a step is the pipeline's run, and takes what any run takes."""

from __future__ import annotations

from pathlib import Path

import pytest

import mainspring as ms
from mainspring.cli.remote import Local
from mainspring.cli.runs import full_id
from mainspring.experiments import artifacts
from mainspring.experiments import metrics as points_of
from mainspring.experiments import runs as kept_runs
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines.context import StepContext, entered
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.runs import run_detail
from mainspring.workspace.views.searching import run_page

PROJECT = """
import os
from pathlib import Path

import mainspring as ms


@ms.step(retries=1, backoff_s=0.0)
def fit(rate: float) -> float:
    run = ms.current_run()
    assert run is ms.current_run()
    first = not Path("tried").exists()
    Path("tried").touch()
    run.log_params(depth=3, model={"kind": "tree"})
    run.tag(team="red", tried="once" if first else "twice")
    run.log_text("first" if first else "second", to="notes/of fit.txt")
    run.log({"loss": 0.5}, step=7)
    run.log_table([{"x": 1}, {"x": 2}], to="rows.csv")
    Path("made.bin").write_bytes(b"abc")
    run.log_artifact("made.bin", to="files/")
    if first:
        raise ValueError("once more")
    with ms.run("inner") as child:
        assert ms.current_run() is child
        child.log(inner=1.0)
    assert ms.current_run() is run
    return rate


@ms.pipeline
def go(rate: float = 0.1) -> float:
    return fit(rate)
"""


def run(ws: Workspace) -> Run:
    name = running.start_run(ws, "go", {"rate": "0.5"})
    assert engines.drive(ws, name).status is RunStatus.FINISHED
    return caught_up(ws).read(Permission.READ, lambda tx: kept_runs.get(tx, name))


def test_what_a_step_logs_to_its_run_is_kept_once_though_it_is_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mainspring.toml").write_text("capture = false")
    (tmp_path / "project.py").write_text(PROJECT)
    ws = open_workspace(Settings(root=str(tmp_path), home=str(tmp_path / "home")))
    try:
        found = run(ws)
        assert found.params == {"rate": "0.5", "depth": "3", "model.kind": "tree"}
        assert (found.tags["team"], found.tags["tried"]) == ("red", "twice")
        assert run_detail(ws, found.id).notes == []

        files = ws.read(Permission.READ, lambda tx: artifacts.digests(tx, found.id))
        ours = {"notes/of fit.txt", "rows.csv", "rows.preview.json", "files/made.bin"}
        assert set(files) == ours | {"mainspring/project.json"}
        assert ws.objects.get(files["notes/of fit.txt"]) == b"second"
        assert ws.objects.get(files["files/made.bin"]) == b"abc"

        steps, _ = ws.read(Permission.READ, lambda tx: points_of.history(tx, found.id, "loss"))
        assert [(one.step, one.value) for one in steps] == [(7, 0.5)]

        children = [one for one in run_page(ws).runs if one.experiment == "inner"]
        assert [(one.parent, str(one.status)) for one in children] == [(found.id, "finished")]

        # What a step began is not what somebody began last.
        assert full_id(Local(ws.settings), "last") == found.id

        again = run(ws)  # it is reused: its metrics are the run's too, its files the first one's
        assert again.metrics == {"loss": 0.5}
        anew = ws.read(Permission.READ, lambda tx: artifacts.digests(tx, again.id))
        assert not ours & set(anew)
    finally:
        ws.close()


def test_a_step_cannot_end_its_run_and_is_told_what_a_metric_must_be() -> None:
    context = StepContext("run_1", "fit", None, experiment="go", name="go-1")  # type: ignore[arg-type]
    with entered(context):
        found = ms.current_run()
        assert found is not None
        assert (found.experiment, found.name) == ("go", "go-1")
        with pytest.raises(ConflictError, match="cannot be ended as 'failed' by a step"):
            found.end("failed")
        with pytest.raises(BadInputError, match="loss must be a number"):
            found.log(loss=None)
        found.log(loss=1, at=5.0)
    assert context.points == [["loss", 1.0, None, 5.0]]
    assert ms.current_run() is None


def test_a_model_kept_by_two_tries_of_a_step_is_one_model() -> None:
    def number(run: str, step: str, package: str) -> str:
        with entered(StepContext(run, step, None)):  # type: ignore[arg-type]
            found = ms.current_run()
            assert found is not None
            return found._model_id("model", package)

    first = number("run_1", "fit", "aa")
    assert number("run_1", "fit", "aa") == first
    others = {number("run_2", "fit", "aa"), number("run_1", "fit[1]", "aa")}
    assert len(others | {first, number("run_1", "fit", "bb")}) == 4

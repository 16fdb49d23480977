"""What a run that ``ms.run`` begins captures, keeps and shows, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import mainspring as ms
from mainspring.experiments import artifacts, metrics
from mainspring.experiments.capture import facts
from mainspring.ground import identity
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.scaling.models import package
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.tracking import joining
from mainspring.workspace.tracking.catching_up import catch_up
from mainspring.workspace.views.about import run_about
from mainspring.workspace.views.searching import run_page


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MAINSPRING_URL", "MAINSPRING_RUN", joining.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAINSPRING_CAPTURE", "true")
    monkeypatch.chdir(tmp_path)
    facts._known.clear()
    return tmp_path / "home"


@pytest.fixture
def ws(home: Path) -> Iterator[Workspace]:
    found = open_workspace(Settings(root=str(home.parent), home=str(home)))
    yield found
    found.close()


def files(ws: Workspace, run: str) -> dict[str, bytes]:
    catch_up(ws)
    found = ws.read(Permission.READ, lambda tx: artifacts.every(tx, run, 1000))
    return {one.path: ws.objects.get(one.digest) for one in found}


def runs(ws: Workspace) -> dict[str, Run]:
    return {one.name: one for one in run_page(ws).runs}


def test_a_run_is_captured_unless_it_or_the_setting_says_no(ws: Workspace) -> None:
    with ms.run("e", name="on", params={"seed": 3}) as run:
        run.log(loss=1.0)
    with ms.run("e", name="off", capture=False):
        pass
    quiet = "import mainspring as ms\nms.run('e', name='set off').start()"
    subprocess.run(
        [sys.executable, "-c", quiet], env={**os.environ, "MAINSPRING_CAPTURE": "0"}, check=True
    )
    found = runs(ws)
    assert found["on"].tags["mainspring.seed"] == "3"
    assert "in no git repository" in found["on"].tags["mainspring.not_captured"]
    assert {"loss", "system/memory_mb"} <= set(found["on"].metrics)
    kept = files(ws, found["on"].id)
    assert {"mainspring/source.json", "mainspring/environment.json"} <= set(kept)
    for name in ("off", "set off"):
        assert (found[name].tags, found[name].metrics, files(ws, found[name].id)) == ({}, {}, {})


def test_the_series_of_a_longer_run_goes_on_beside_it(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mainspring.experiments.capture import watching

    monkeypatch.setattr(watching, "FIRST_S", 0.01)
    monkeypatch.setattr(watching, "EVERY_S", 0.01)
    with ms.run("e") as run:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            catch_up(ws)
            points, _ = ws.read(
                Permission.READ, lambda tx: metrics.history(tx, run.id, "system/memory_mb")
            )
            if len(points) > 4:
                break
    assert len(points) > 4
    assert [one.step for one in points] == list(range(len(points)))


def test_a_script_that_ends_at_once_keeps_its_facts(ws: Workspace) -> None:
    Path("train.py").write_text("import mainspring as ms\nms.run('e', name='short').log(x=1)\n")
    done = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    [found] = run_page(ws).runs
    assert found.status == "finished"
    assert found.tags["mainspring.source"].endswith(" train.py")
    assert files(ws, found.id)["mainspring/script/script.py"] == Path("train.py").read_bytes()


def test_an_error_of_the_users_is_the_users_own(ws: Workspace) -> None:
    with pytest.raises(ZeroDivisionError), ms.run("e", name="bad"):
        1 / 0  # noqa: B018
    assert runs(ws)["bad"].status == "failed"
    assert runs(ws)["bad"].tags["mainspring.python"]


def test_figures_and_tables_are_files_of_the_run(ws: Workspace) -> None:
    import plotly.graph_objects as go

    with ms.run("e") as run:
        run.log_figure(go.Figure(go.Bar(y=[1])), "plots/bars.json")
        run.log_table({"x": [1, 2]}, "tables/rows.parquet")
        with pytest.raises(BadInputError):
            run.log_table([1], "rows.parquet")
        with pytest.raises(BadInputError):
            run.log_figure("no figure", "a.png")
    kept = files(ws, run.id)
    assert json.loads(kept["plots/bars.json"])["data"][0]["type"] == "bar"
    assert pl.read_parquet(kept["tables/rows.parquet"])["x"].to_list() == [1, 2]
    assert json.loads(kept["tables/rows.preview.json"])["rows"] == 2


def test_another_process_may_write_to_a_run_and_not_end_it(ws: Workspace) -> None:
    text = (
        "import mainspring as ms\n"
        "ms.log(loss=0.5)\n"
        "run = ms.current_run()\n"
        "run.log_params(seen='yes')\n"
        "run.log_text('hello', 'out/a.txt')\n"
        "with run:\n    run.log(auc=1.0)\n"
        "with ms.run('e', name='inner'):\n    ms.log(inside=1.0)\n"
        "assert ms.current_run() is run\n"
        "try:\n    run.end()\n"
        "except Exception as error:\n    print(type(error).__name__)\n"
    )
    with ms.run("e", name="outer") as run:
        environ = {**os.environ, joining.VARIABLE: joining.introduction(run)}
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, env=environ
        )
        assert done.stdout == f"{ConflictError.__name__}\n", done.stderr
        assert runs(ws)["outer"].status == "running"
        run.log(loss=0.25)
    found = runs(ws)
    assert found["outer"].status == "finished"
    assert found["outer"].params == {"seen": "yes"}
    assert found["outer"].metrics["loss"] == 0.25
    assert "inside" not in found["outer"].metrics
    assert files(ws, run.id)["out/a.txt"] == b"hello"
    assert found["inner"].parent == run.id


def test_an_introduction_that_was_spoilt_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(joining.VARIABLE, "{}")
    with pytest.raises(BadInputError, match=joining.VARIABLE):
        ms.current_run()


def test_a_dataset_is_noted_with_what_it_is_for(ws: Workspace) -> None:
    rows = pl.DataFrame({"x": [1, 2, 3]})
    rows.write_csv("rows.csv")
    with ms.run("e") as run:
        noted = run.log_dataset(rows, "rows")
        run.log_dataset(rows, "rows")  # twice is as good as once
        run.log_dataset("rows.csv", "file", "validation")
        with pytest.raises(BadInputError):
            run.log_dataset(3, "odd")
    about = run_about(ws, run.id)
    assert about.notes == []
    assert [(one.dataset.name, one.context) for one in about.inputs] == [
        ("rows", "training"),
        ("file", "validation"),
    ]
    assert about.inputs[0].dataset == noted
    assert noted.digest in noted._repr_html_()


def test_a_fitted_estimator_is_a_model_of_the_run(ws: Workspace) -> None:
    from sklearn.linear_model import LogisticRegression

    rows = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 20, "late": [0, 0, 1, 1] * 20})
    fitted = LogisticRegression().fit(rows.select("x"), rows["late"])
    with ms.run("e") as run:
        kept = run.log_model(fitted, "scorer", example=rows, target="late")
        for wrong in ({}, {"example": rows}, {"example": 3, "target": "late"}):
            with pytest.raises(BadInputError):
                run.log_model(fitted, **wrong)
        with pytest.raises(BadInputError, match="no dot"):
            run.log_model(fitted, "a.b", example=rows, target="late")
    about = run_about(ws, run.id)
    assert about.notes == []
    [model] = about.models
    assert (model.id, model.name, model.run, model.type, model.status) == (
        kept.id, "scorer", run.id, "LogisticRegression", "ready",
    )  # fmt: skip
    assert model.params == {"kind": "binary", "target": "late"}
    of_run = files(ws, run.id)
    of_model = ws.read(
        Permission.READ, lambda tx: artifacts.digests(tx, kept.id, of=artifacts.MODELS)
    )
    assert {"MLmodel", "model.skops", "model.onnx"} <= set(of_model)
    assert {f"mainspring/models/scorer/{path}" for path in of_model} <= set(of_run)
    assert identity.sha256(of_run["mainspring/models/scorer.json"]) == kept.package
    back = package.read(kept.package, ws.objects)
    assert (back.score(rows)[:, 0] == fitted.predict_proba(rows.select("x"))[:, 1]).all()
    assert kept.id in kept._repr_html_()


def test_a_model_of_ours_is_kept_as_it_is(ws: Workspace) -> None:
    from sklearn.linear_model import LinearRegression

    rows = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0.5, 1.0, 2.5, 3.0]})
    fitted = ms.Model(LinearRegression(), target="y").fit(rows)
    with ms.run("e") as run:
        kept = run.log_model(fitted)
    assert package.read(kept.package, ws.objects).metrics == fitted.metrics
    assert run_about(ws, run.id).models[0].name == "model"


def test_a_run_shows_itself_in_a_notebook(ws: Workspace) -> None:
    with ms.run("e", name="<b>one</b>", params={"lr": 0.1}) as run:
        run.log(loss=0.5)
        shown = run._repr_html_()
    assert "&lt;b&gt;one&lt;/b&gt;" in shown
    assert "running" in shown
    assert "loss" in shown
    assert "finished" in run._repr_html_()
    assert repr(run) == f"<run {run.id}: finished>"
    waiting = ms.run("e", name="later")
    assert "not begun" in waiting._repr_html_()
    assert "later" not in runs(ws)

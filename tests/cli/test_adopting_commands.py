"""A loop around a script from the command line; datasets, and the rows that a loop assembled."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mainspring.ground.settings import load
from mainspring.workspace.around.scripts import code_of


def _project(folder: Path) -> None:
    pl.DataFrame({"a": [0.1, 0.2, 0.3], "plan": ["x", "y", "x"], "left": [0, 1, 1]}).write_csv(
        folder / "data.csv"
    )
    (folder / "train.py").write_text("print('trained')\n")


def test_adopt_writes_five_lines_that_declare_a_loop(say, tmp_path: Path) -> None:
    _project(tmp_path)
    asked = ("--model", "churn-eu", "--target", "left", "--rows", "data.csv")
    done = say(
        "adopt", "train.py", *asked, "--writes", "model.joblib", "--trust", "Ours.", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["kind"] == "binary"
    assert done.json["code"] == code_of(tmp_path, "train.py")
    assert (tmp_path / "project.py").read_text().splitlines()[4:] == [
        "loop = ms.Loop.around(",
        '    "train.py", model="churn-eu", target="left", rows="data.csv", kind="binary",',
        '    writes="model.joblib",',
        ")",
    ]
    assert say("loop", "declare").code == 0
    listed = say("pipelines", "--json").json
    assert [one["name"] for one in listed["pipelines"]] == ["around_churn_eu"]
    assert [one["name"] for one in listed["loops"]] == ["churn-eu"]
    assert listed["loops"][0]["spec"]["retraining"]["rows"]["source"] == "data.csv"
    assert [one["kind"] for one in say("decisions", "--json").json["decisions"]] == ["trust"]
    again = say("adopt", "train.py", *asked)
    assert (again.code, "is there already" in again.err) == (1, True)


def test_what_cannot_be_adopted_is_refused(say, tmp_path: Path) -> None:
    _project(tmp_path)
    for words, told in (
        (("none.py", "left", "data.csv"), "There is no script"),
        (("train.py", "right", "data.csv"), "has no column 'right'"),
        (("train.py", "left", "none.csv"), "There is no file"),
        (("train.py", "left", "../data.csv"), "must lie in the project's folder"),
    ):
        script, target, rows = words
        done = say("adopt", script, "--model", "m", "--target", target, "--rows", rows)
        assert (done.code, told in done.err) == (2, True), done.err
    assert not (tmp_path / "project.py").exists()


def test_a_script_is_trusted_by_its_digest(say, tmp_path: Path) -> None:
    _project(tmp_path)
    done = say("models", "trust-script", "train.py", "--reason", "It is ours.", "--json")
    assert done.json == {"code": code_of(Path(load().root), "train.py")}
    assert say("models", "trust-script", "none.py", "--reason", "x").code == 2


def test_datasets_are_listed_and_shown(say, tmp_path: Path) -> None:
    _project(tmp_path)
    assert say("profile", "data.csv", "--save", "customers").code == 0
    [one] = say("dataset", "list", "--json").json
    assert (one["name"], one["versions"]) == ("customers", 1)
    found = say("dataset", "show", f"customers@{one['digest'][:8]}", "--json").json
    assert found["digest"] == one["digest"]
    assert [use["context"] for use in found["read_by"]] == ["profile"]
    assert found["profile"]["rows"] == 3
    shown = say("dataset", "show", "customers").out
    assert "plan" in shown
    missing = say("dataset", "show", "nobody")
    assert (missing.code, "No run read a dataset 'nobody'" in missing.err) == (2, True)

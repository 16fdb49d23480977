"""Configurations compared, and the project's own checked, from the command line."""

import contextlib
import json

import mainspring as ms
from mainspring.ground.settings import load
from mainspring.workspace.opening import open_workspace

PROJECT = """
import mainspring as ms
from mainspring.ground.settings import load
from mainspring.workspace.opening import open_workspace

@ms.step
def load(rows: int):
    return rows

@ms.pipeline
def main(rows: int = 3):
    return load(rows)
"""


def test_two_runs_differ_in_what_they_were_given(say, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / ".mainspring"))
    monkeypatch.setenv("MAINSPRING_CAPTURE", "true")
    ids = []
    for rate in ("0.1", "0.2"):
        with ms.run("tides", params={"rate": rate, "depth": "3"}) as run:
            ids.append(run.id)
    found = say("config", "diff", *ids, "--json")
    assert found.code == 1
    assert found.json["different"] == [{"key": "params.rate", "before": "0.1", "after": "0.2"}]
    assert found.json["same"] > 20  # the packages of this environment among them
    assert say("config", "diff", ids[0], ids[0]).code == 0
    assert say("config", "diff", *ids, "--only", "packages").out.strip() == "No difference."


def test_files_and_folders_are_sides_too(say, tmp_path) -> None:
    with contextlib.closing(open_workspace(load({}))):
        pass  # a home to ask
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mainspring.toml").write_text("port = 1\n")
    (tmp_path / "b.yaml").write_text("port: 2\nworkers: 3\n")
    found = say("config", "diff", "a", "b.yaml")
    assert found.code == 1
    assert "(not there)" in found.out
    for words, told in (
        (("gone.toml", "b.yaml"), "no file gone.toml"),
        (("what", "b.yaml"), "names no configuration"),
        (("loop:what@x", "b.yaml"), "loop:NAME@2"),
    ):
        refused = say("config", "diff", *words)
        assert (refused.code, told in refused.err) == (2, True), refused.err
    (tmp_path / "c.yaml").write_text("a: &x 1\nb: *x\n")
    assert "alias" in say("config", "diff", "c.yaml", "b.yaml").err


def test_a_typo_anywhere_in_the_project_is_found_with_what_was_meant(say, tmp_path) -> None:
    (tmp_path / "mainspring.toml").write_text("wokers = 3\nslots = 0\n")
    found = say("config", "check")
    assert found.code == 1
    assert "Did you mean 'workers'?" in found.out
    assert found.out.count("wrong:") == 2
    (tmp_path / "mainspring.toml").write_text("workers = 3\n")
    (tmp_path / "project.py").write_text(PROJECT)
    sound = say("config", "check", "--json")
    assert (sound.code, sound.json["pipelines"]) == (0, ["main"])
    (tmp_path / "project.py").write_text(
        PROJECT + '\nms.Gate(at_leats={"auc": 0.7})\n', encoding="utf-8"
    )
    broken = say("config", "check")
    assert (broken.code, "at_leats" in broken.out) == (1, True)


def test_the_schema_knows_every_key_and_no_other(say) -> None:
    found = json.loads(say("config", "schema").out)["$defs"]["Settings"]
    assert found["additionalProperties"] is False
    assert found["properties"]["workers"]["minimum"] == 1

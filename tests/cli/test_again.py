"""``mainspring again``: a script's run made again by its record, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import os, random, sys
import mainspring as ms

for seed in (1, 2):
    with ms.run("exp", name=f"seed{seed}", params={"seed": seed}) as run:
        random.seed(seed)
        for step in range(3):
            run.log(loss=random.random(), step=step)
        run.log_text(os.environ.get("TF_ODD", "even"), "out/odd.txt")
if "fail" in sys.argv:
    raise SystemExit("it went wrong")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Any) -> Path:
    """A repository with the script committed, whose home is its own."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n  name = Tester\n  email = tester@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("MAINSPRING_CAPTURE", "true")
    monkeypatch.delenv("TF_ODD", raising=False)
    made = tmp_path / "project"
    made.mkdir()
    (made / "train.py").write_text(SCRIPT)
    (made / "mainspring.toml").write_text("")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
        subprocess.run(["git", "-C", made, *words], check=True)
    monkeypatch.chdir(made)
    return made


def _run(*words: str) -> None:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _ids(say: Callable[..., Any]) -> dict[str, str]:
    return {one["name"]: one["id"] for one in say("runs", "--json").json["runs"]}


def test_the_same_comes_of_it_though_the_file_has_changed_since(
    say: Callable[..., Any], project: Path
) -> None:
    (project / "train.py").write_text(SCRIPT.replace("range(3)", "range(4)"))
    _run("train.py")
    (project / "train.py").write_text("raise SystemExit('of now')\n")
    first = _ids(say)["seed1"]
    said = say("again", first, "--json")
    assert said.code == 0, said.out
    found = said.json
    assert (found["verdict"], found["packages"], found["notes"]) == ("same", [], [])
    assert [one["key"] for one in found["metrics"]] == ["loss"]
    assert [one["key"] for one in found["artifacts"]] == ["out/odd.txt"]
    made = say("show", found["again"], "--json").json["run"]
    assert (made["name"], made["tags"]["mainspring.again"]) == ("seed1", first)
    people = say("again", first)
    assert people.code == 0
    assert people.out.rstrip().endswith("same: 1 params, 1 metrics, 1 artifacts are the same")


def test_what_differs_is_named(
    say: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "train.py").write_text(SCRIPT.replace('"TF_ODD"', '"ODD"'))
    _run("train.py")
    monkeypatch.setenv("ODD", "odd")
    said = say("again", _ids(say)["seed2"], "--json")
    assert said.code == 1
    assert said.json["why"] == "1 of 1 artifacts"
    assert {one["key"]: one["same"] for one in said.json["artifacts"]} == {"out/odd.txt": False}


def test_a_command_that_fails_in_the_end_is_noted(say: Callable[..., Any], project: Path) -> None:
    subprocess.run([sys.executable, "train.py", "fail"], capture_output=True)
    said = say("again", _ids(say)["seed1"], "--json")
    assert said.code == 0
    assert said.json["notes"] == ["the command ended with exit code 1"]


def test_what_cannot_be_run_again_says_why(
    say: Callable[..., Any], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = "import mainspring as ms\nms.run('exp', name={!r}, capture={}).start().end()\n"
    _run("-c", bare.format("uncaptured", "False"))
    (project / "data.csv").write_text("1\n")
    (project / ".gitignore").write_text("data.csv\n")
    needs = "open('data.csv')\nimport mainspring as ms\nms.run('e', name='needs').start().end()\n"
    (project / "needs.py").write_text(needs)
    _run("needs.py")
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("MAINSPRING_HOME", str(project / ".mainspring"))
    with pytest.MonkeyPatch.context() as there:
        there.chdir(outside)
        _run("-c", bare.format("outside", "True"))
    ids = _ids(say)
    for name, why in (
        ("uncaptured", "its command was not recorded"),
        ("outside", f"its code is not known: {outside} is in no git repository"),
        ("needs", "made no run; it said last: FileNotFoundError"),
    ):
        said = say("again", ids[name], "--json")
        assert (said.code, said.json["verdict"], said.json["again"]) == (2, "cannot", None), name
        assert why in said.json["why"]
    said = say("again", ids["needs"], "--link", "data.csv", "--json")
    assert said.code == 0, said.out
    people = say("again", ids["outside"])
    assert people.out.startswith("cannot: its code is not known")


def test_a_checkout_may_be_kept(say: Callable[..., Any], project: Path) -> None:
    _run("train.py")
    said = say("again", "last", "--keep", "--json")
    place = Path(said.json["notes"][-1].removeprefix("the checkout is in "))
    assert (place / "project" / "train.py").read_text() == SCRIPT
    for file in sorted(place.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    place.rmdir()


def test_bad_input_is_refused_before_anything_runs(say: Callable[..., Any], project: Path) -> None:
    assert say("again", "last", "--tolerance", "2").code == 2
    _run("train.py")
    assert say("again", "run_nothing").code == 2


def test_what_a_run_keeps_of_itself_can_be_read(say: Callable[..., Any], project: Path) -> None:
    _run("train.py", "--token", "hunter2")
    detail = say("show", "last", "--json").json["run"]
    assert detail["tags"]["mainspring.source"].endswith("train.py --token '***'")
    assert "hunter2" not in json.dumps(detail)
    said = say("again", "last", "--json")
    assert said.code == 2
    assert "held a secret" in said.json["why"]

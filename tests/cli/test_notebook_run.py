"""``mainspring notebook run``: real notebooks become runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from mainspring.ground import errors, extras


def _write(path: Path, *sources: str) -> None:
    found = nbformat.v4.new_notebook()
    for number, source in enumerate(sources):
        tags = {"metadata": {"tags": ["parameters"]}} if number == 0 else {}
        found.cells.append(nbformat.v4.new_code_cell(source, **tags))
    nbformat.write(found, path)


def _artifact(say: Callable[..., Any], run: str, path: str) -> bytes:
    from mainspring.ground.settings import load
    from mainspring.web.api import call
    from mainspring.workspace.opening import open_workspace

    ws = open_workspace(load())
    try:
        return base64.b64decode(call(ws, "artifacts.get", run=run, path=path)["data"])
    finally:
        ws.close()


def test_a_notebook_is_a_run_with_its_params_and_what_it_logs(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    _write(
        tmp_path / "My notebook.ipynb",
        "C = 1\nname = 'x'",
        "import mainspring as ms\nms.log(loss=C)\nms.current_run().log_params(seen=name)",
        "with ms.run('inner', params={'C': C}) as inner:\n    inner.log(auc=0.5)",
        "print(C, name, ms.current_run().id)",
    )
    said = say(
        "notebook", "run", "My notebook.ipynb", "-p", "C=0.5", "-p", "name=adam",
        "-o", "out.ipynb", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    told = said.json
    assert (told["status"], told["cells"], told["done"], told["error"]) == ("finished", 5, 5, None)
    run = say("show", told["run"], "--json").json["run"]
    assert run["experiment"] == "my-notebook"
    assert run["params"] == {"C": "0.5", "name": "adam", "seen": "adam"}
    assert run["metrics"]["loss"] == 0.5
    assert run["status"] == "finished"
    inner = next(one for one in say("runs", "--json").json["runs"] if one["experiment"] == "inner")
    assert (inner["parent"], inner["status"]) == (told["run"], "finished")
    kept = _artifact(say, told["run"], "my-notebook.ipynb")
    assert (tmp_path / "out.ipynb").read_bytes() == kept
    shown = json.loads(kept)["cells"][-1]["outputs"][0]["text"]
    assert shown == [f"0.5 adam {told['run']}\n"]


def test_a_cell_that_fails_fails_the_run_and_keeps_what_ran(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    _write(tmp_path / "bad.ipynb", "x = 1", "print('before')", "raise KeyError('lost')", "x = 2")
    said = say("notebook", "run", "bad.ipynb")
    assert said.code == 1
    assert "Cell 3 of 4 failed: KeyError: 'lost'" in said.out
    assert "cell 2 of 4\n" in said.err
    run = say("runs", "--json").json["runs"][0]
    assert run["status"] == "failed"
    assert run["tags"]["mainspring.error"] == "Cell 3 of 4 failed: KeyError: 'lost'"
    kept = json.loads(_artifact(say, run["id"], "bad.ipynb"))
    assert kept["cells"][1]["outputs"][0]["text"] == ["before\n"]
    assert kept["cells"][3]["outputs"] == []


def test_bad_input_makes_no_run(say: Callable[..., Any], tmp_path: Path) -> None:
    _write(tmp_path / "a.ipynb", "1")
    (tmp_path / "b.ipynb").write_text("{}")
    for words, code in (
        (["a.ipynb", "-p", "C"], 2), (["a.ipynb", "-p", "a-b=1"], 2), (["b.ipynb"], 2),
        (["none.ipynb"], 2), (["a.ipynb", "-o", "no/where.ipynb"], 2),
    ):  # fmt: skip
        said = say("notebook", "run", *words)
        assert said.code == code, words
        assert said.err.startswith("error: ")
    assert not (tmp_path / ".mainspring").exists()


def test_without_the_extra_it_says_how_to_get_it(
    say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "a.ipynb", "1")

    def missing(module: str, **_: Any) -> None:
        raise errors.MissingExtraError(f"Running a notebook needs {module}.", hint="Install it")

    monkeypatch.setattr(extras, "need", missing)
    assert say("notebook", "run", "a.ipynb").code == 1


def test_a_notebook_runs_in_its_own_folder_wherever_one_stands(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "rows.csv").write_text("1\n")
    _write(tmp_path / "sub" / "a.ipynb", "print(open('rows.csv').read())")
    said = say("notebook", "run", "sub/a.ipynb", "--json")
    assert said.code == 0, said.err
    assert sorted(one.name for one in tmp_path.iterdir()) == [".mainspring", "sub"]

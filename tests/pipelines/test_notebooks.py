"""Real notebooks, executed by a real kernel."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.pipelines import notebooks


def _notebook(*sources: str | tuple[str, str]) -> nbformat.NotebookNode:
    """A notebook of code cells; a pair is a cell and its tag."""
    found = nbformat.v4.new_notebook()
    for source in sources:
        text, tag = (source, None) if isinstance(source, str) else source
        more = {"metadata": {"tags": [tag]}} if tag else {}
        found.cells.append(nbformat.v4.new_code_cell(text, **more))
    return found


def _sources(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


def test_params_stand_behind_the_cell_tagged_so() -> None:
    found = _notebook("import os", ("C = 0\nname = ''", "parameters"), "print(C)")
    notebooks.inject(found, {"C": 1.5, "name": 'a "b"', "layers": [1, None]})
    assert _sources(found)[2] == "# Parameters\nC = 1.5\nname = 'a \"b\"'\nlayers = [1, None]"
    nbformat.validate(found)
    notebooks.inject(found, {"C": 2})
    assert _sources(found)[2:] == ["# Parameters\nC = 2", "print(C)"]
    notebooks.inject(found, {})
    assert len(found.cells) == 3


def test_without_such_a_cell_params_come_first() -> None:
    found = _notebook("print(C)")
    found.nbformat_minor = 4
    for cell in found.cells:
        cell.pop("id")
    notebooks.inject(found, {"C": 1})
    assert _sources(found) == ["# Parameters\nC = 1", "print(C)"]
    nbformat.validate(found)


@pytest.mark.parametrize("name", ["a-b", "class", "1x", "x; import os", ""])
def test_a_param_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(BadInputError, match="no name of a Python variable"):
        notebooks.inject(_notebook("1"), {name: 1})


def test_a_notebook_in_another_language_takes_no_params() -> None:
    found = _notebook("1")
    found.metadata["language_info"] = {"name": "R"}
    notebooks.inject(found, {})
    with pytest.raises(BadInputError, match="in R"):
        notebooks.inject(found, {"x": 1})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1", 1), ("1e-3", 0.001), ("True", True), ("None", None), ("{'a': 1}", {"a": 1}),
     ("adam", "adam"), ("'1'", "1"), ("a b", "a b"), ("", ""), ("__import__('os')",) * 2,
     ("[" * 100_000,) * 2],
)  # fmt: skip
def test_values_are_literals_or_text(text: str, wanted: object) -> None:
    found = notebooks.value(text)
    assert (found, type(found)) == (wanted, type(wanted))


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no notebook"):
        notebooks.read(tmp_path / "none.ipynb")
    for text in ("", "{}", "[]", "3", '{"cells": 3, "nbformat": 4}', "print(1)"):
        (tmp_path / "x.ipynb").write_text(text)
        with pytest.raises(BadInputError, match="not a notebook"):
            notebooks.read(tmp_path / "x.ipynb")


def test_a_notebook_is_read_as_it_was_written(tmp_path: Path) -> None:
    nbformat.write(_notebook("print('é')"), tmp_path / "x.ipynb")
    assert _sources(notebooks.read(tmp_path / "x.ipynb")) == ["print('é')"]


def test_every_cell_runs_in_its_folder_and_says_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    found = _notebook("x = open('rows.csv').read()", "", "import os\nprint(x, os.environ['WHO'])")
    found.cells.insert(1, nbformat.v4.new_markdown_cell("# Text"))
    found.metadata["kernelspec"] = {"name": "conda-env-elsewhere", "display_name": "x"}
    told: list[tuple[int, int]] = []
    done = notebooks.execute(
        found, tmp_path, {**os.environ, "WHO": "me"}, lambda n, of: told.append((n, of))
    )
    assert (done.error, done.cells, done.done) == ("", 2, 2)
    assert told == [(1, 2), (2, 2)]
    cells = json.loads(done.notebook)["cells"]
    assert cells[-1]["outputs"][0]["text"] == ["a\n", "1\n", " me\n"]


def test_a_cell_that_fails_ends_it_and_what_ran_is_kept(tmp_path: Path) -> None:
    found = _notebook("print('before')", "1 / 0", "print('after')")
    done = notebooks.execute(found, tmp_path, os.environ)
    assert done.error == "Cell 2 of 3 failed: ZeroDivisionError: division by zero"
    assert "ZeroDivisionError" in done.trace
    assert "\x1b" not in done.trace
    cells = json.loads(done.notebook)["cells"]
    assert cells[0]["outputs"][0]["text"] == ["before\n"]
    assert cells[1]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert (cells[2]["outputs"], done.done) == ([], 1)


def test_a_kernel_that_dies_is_named(tmp_path: Path) -> None:
    found = _notebook("1", "import os\nos._exit(3)")
    done = notebooks.execute(found, tmp_path, os.environ)
    assert done.error == "The kernel died in cell 2 of 2."
    assert done.done == 1


def test_the_same_outputs_are_the_same_bytes(tmp_path: Path) -> None:
    found = _notebook(("C = 0", "parameters"), "print(C)\nC")
    path = tmp_path / "x.ipynb"
    nbformat.write(found, path)
    made = []
    for _ in range(2):
        notebook = notebooks.read(path)
        notebooks.inject(notebook, {"C": 2})
        made.append(notebooks.execute(notebook, tmp_path, os.environ).notebook)
    assert made[0] == made[1]

"""Notebooks as steps, executed by a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError, StepFailedError
from mainspring.pipelines.code import code_digest
from mainspring.pipelines.context import StepContext, entered

CELLS = (
    ("rows, least, weights = None, 0.0, None", "parameters"),
    "import numpy as np, polars as pl, mainspring as ms\nfrom project_words import NAME",
    "found = pl.read_parquet(rows).filter(pl.col('x') >= least)\nprint(found.height, NAME)",
    "ms.hand_back(count=1)\nms.hand_back(count=found.height, kept=found, w=np.load(weights) + 1)",
    "assert least < 9, 'too high'",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = nbformat.v4.new_notebook()
    for cell in CELLS:
        text, tag = cell if isinstance(cell, tuple) else (cell, None)
        more = {"metadata": {"tags": [tag]}} if tag else {}
        found.cells.append(nbformat.v4.new_code_cell(text, **more))
    nbformat.write(found, tmp_path / "report.ipynb")
    (tmp_path / "project_words.py").write_text("NAME = 'rows'")
    return tmp_path


def declared(folder: Path, **options: Any) -> Any:
    names = {"__name__": "somewhere", "__file__": str(folder / "project.py"), "ms": ms}
    exec("step = ms.notebook('report.ipynb', **options)", names | {"options": options}, names)
    return names["step"]


ROWS = pl.DataFrame({"x": [1.0, 2.0, 3.0]})


def test_what_a_notebook_hands_back_is_returned_beside_it(folder: Path) -> None:
    report = declared(folder, params={"least": 2.0})
    made = report(rows=ROWS, weights=np.ones(2))
    assert (made["count"], made["kept"]["x"].to_list()) == (2, [2.0, 3.0])
    assert made["w"].tolist() == [2.0, 2.0]
    executed = nbformat.read(made["notebook"], as_version=4)
    assert executed.cells[3].outputs[0].text == "2 rows\n"
    assert made["notebook"].name == "report.ipynb"


def test_a_notebook_that_fails_is_kept_up_to_the_failing_cell(
    folder: Path, tmp_path: Path
) -> None:
    context = StepContext(
        "run", "report", open_objects(str(tmp_path / "objects")), kept=tmp_path / "kept"
    )
    with (
        entered(context),
        pytest.raises(
            StepFailedError, match="Cell 6 of 6 failed: AssertionError: too high"
        ) as told,
    ):
        declared(folder)(rows=ROWS, weights=np.ones(1), least=9.5)
    assert "assert least < 9" in told.value.trace
    kept = nbformat.read(tmp_path / "kept" / "report.ipynb", as_version=4)
    assert kept.cells[3].outputs[0].text == "0 rows\n"
    assert kept.cells[5].outputs[0].ename == "AssertionError"


def test_cells_and_the_modules_they_import_are_its_code_and_outputs_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    report = declared(folder, params={"least": 2.0})
    before, parts = code_digest(report)
    assert {"cell 1", "cell 5", "module project_words", "constant param least"} <= set(parts)
    found = nbformat.read(folder / "report.ipynb", as_version=4)
    found.cells[2].outputs = [nbformat.v4.new_output("stream", text="seen before")]
    nbformat.write(found, folder / "report.ipynb")
    assert code_digest(report)[0] == before
    (folder / "project_words.py").write_text("NAME = 'lines'")
    assert code_digest(report)[0] != before


def test_what_cannot_be_is_refused(folder: Path) -> None:
    with pytest.raises(BadInputError, match=r"an \.ipynb file"):
        ms.notebook("report.py")
    with pytest.raises(BadInputError, match="must be plain data"):
        ms.notebook("report.ipynb", params={"rows": ROWS})
    with pytest.raises(BadInputError, match="executed notebook's own"):
        ms.hand_back(notebook=1)
    ms.hand_back(auc=0.5)  # by hand, nothing happens
    with pytest.raises(BadInputError, match="no name of a Python variable"):
        declared(folder)(**{"a-b": 1})

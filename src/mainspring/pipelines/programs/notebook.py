"""Notebooks as steps: ``ms.notebook("report.ipynb", params={"threshold": 0.5})``."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from mainspring.ground.errors import BadInputError, StepFailedError
from mainspring.ground.identity import key_of
from mainspring.pipelines import notebooks
from mainspring.pipelines.context import current
from mainspring.pipelines.options import Given
from mainspring.pipelines.plain import is_simple
from mainspring.pipelines.programs import handing, placing
from mainspring.pipelines.programs.program import Program, Recipe, check_text

NOTEBOOK = "notebook"  #: under which a step returns the executed notebook


def notebook(
    file: str,
    *,
    params: Mapping[str, Any] | None = None,
    files: Sequence[str] = (),
    **options: Unpack[Given],
) -> Program:
    """Make a notebook a step of pipelines; its name is that of the variable it is kept in.

    It is called with what its cell tagged ``parameters`` defines, by name: ``report(rows=rows,
    threshold=0.7)``; ``params`` are what is given where the call says nothing. Plain data comes
    as itself, all else as the path of a file: a frame as Parquet, an array as ``.npy``. Cells
    run in order, by a kernel of their own, in the notebook's folder.

    The step returns a dict: ``notebook`` is the executed notebook, a file; the rest is what the
    notebook handed back by ``ms.hand_back(auc=0.91, table=frame)``. The executed notebook is
    also an artifact of the run, and is one if a cell fails: up to that cell.

    The sources of the code cells, the modules of the project that they import and ``files`` are
    the code in the key of the result; the outputs a notebook was saved with are not.

    Raises:
        BadInputError: naming what cannot be.
        MissingExtraError: when it runs, if the packages that run notebooks are not installed.
    """
    return Program(NotebookRecipe(file, params or {}, files), options)


class NotebookRecipe(Recipe):
    """A notebook and what it is given where a call says nothing."""

    word = "notebook"

    def __init__(self, file: str, params: Mapping[str, Any], files: Sequence[str]) -> None:
        self.file = check_text(file, "file", "A notebook")
        if not self.file.endswith(".ipynb"):
            raise BadInputError(f"A notebook is an .ipynb file, found {file!r}.", field="file")
        for name, value in params.items():
            if not is_simple(value):
                raise BadInputError(
                    f"params[{name!r}] is a {type(value).__name__}; it must be plain data.",
                    field="params",
                )
        self.params = dict(params)
        given = inspect.Parameter("given", inspect.Parameter.VAR_KEYWORD)
        super().__init__(inspect.Signature([given]), files)

    def code(self) -> Mapping[str, str]:
        """Return the code of the cells and the params it is given, as parts of the key."""
        sources = self._sources()
        parts = {f"cell {number}": key_of("cell", text) for number, text in enumerate(sources, 1)}
        parts |= {f"constant param {name}": repr(value) for name, value in self.params.items()}
        return parts | modules(sources)

    def work(self, arguments: Mapping[str, Any], folder: Path) -> Any:
        """Execute it with what it was given, keep it, and return what it handed back."""
        path = self.folder / self.file
        found = notebooks.read(path)
        given = {**self.params, **arguments.get("given", {})}
        notebooks.inject(found, {name: _said(name, one, folder) for name, one in given.items()})
        back = folder / "back"
        back.mkdir()
        environ = {**os.environ, handing.VARIABLE: str(back)}
        done = notebooks.execute(found, path.parent, environ, self._told)
        out = folder / path.name
        context = current()
        out.write_bytes(context.hiding.data(done.notebook) if context else done.notebook)
        if context is not None:
            context.keep(out)
        if done.error:
            raise StepFailedError(f"{self.file}: {done.error}", trace=done.trace)
        return {NOTEBOOK: out, **handing.taken(back, folder / "handed")}

    def _sources(self) -> list[str]:
        found = notebooks.read(self.folder / self.file)
        return [one["source"] for one in found["cells"]
                if one["cell_type"] == "code" and one["source"].strip()]  # fmt: skip

    def _told(self, cell: int, of: int) -> None:
        print(f"cell {cell} of {of}", flush=True)  # noqa: T201  into the step's log
        context = current()
        if context is not None:
            context.progress(cell - 1, of)


def modules(sources: Sequence[str]) -> dict[str, str]:
    """Return the parts of the project's modules that cells import; magics are passed over."""
    from mainspring.pipelines.code import imported_by

    found: dict[str, str] = {}
    for source in sources:
        plain = "\n".join(one for one in source.splitlines() if one.lstrip()[:1] not in "%!?")
        try:
            found |= imported_by(ast.parse(plain))
        except (SyntaxError, ValueError):
            continue  # whoever runs it is told what is wrong with it
    return found


def _said(name: str, value: Any, folder: Path) -> Any:
    """Return what is written into the notebook for a param: itself, or the path of its file."""
    if isinstance(value, Path):
        return str(value.absolute())
    if is_simple(value):
        return value
    return str(placing.put(value, folder / "inputs" / placing.named(name, value), name))

"""Run a notebook from end to end, with params put into it, telling how far it is."""

from __future__ import annotations

import ast
import keyword
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground import extras
from mainspring.ground.errors import BadInputError, NotFoundError

PARAMETERS, INJECTED = "parameters", "injected-parameters"
_MAX_BYTES = 200_000_000
_LONGEST_SOCKET = 95  #: the system takes 107 bytes, macOS 103; jupyter adds a number
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

#: Told of each code cell: which one from 1, of how many.
Progress = Callable[[int, int], None]


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """How a notebook's execution ended."""

    notebook: bytes  #: with the outputs so far
    cells: int  #: code cells there are
    done: int  #: that ran to their end
    error: str = ""  #: one line: which cell failed, and by what
    trace: str = ""


def read(path: Path) -> Any:
    """Return a notebook.

    Raises:
        NotFoundError: if there is no such file.
        BadInputError: if it is no notebook.
        MissingExtraError: if the packages that run notebooks are not installed.
    """
    nbformat = extras.need("nbformat", extra="notebook", purpose="Running a notebook")
    if not path.is_file():
        raise NotFoundError(f"There is no notebook {path}.", field="notebook")
    if path.stat().st_size > _MAX_BYTES:
        raise BadInputError(
            f"{path} has more than {_MAX_BYTES // 1_000_000} MB.",
            field="notebook",
            hint="Clear its outputs first.",
        )
    try:
        return nbformat.reads(path.read_text("utf-8"), as_version=4)
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError) as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise BadInputError(f"{path} is not a notebook: {first}", field="notebook") from error


def value(text: str) -> Any:
    """Return what a param's text means: a Python literal, else the text itself.

    >>> value("0.1"), value("[1, 2]"), value("'1'"), value("adam"), value("None")
    (0.1, [1, 2], '1', 'adam', None)
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def inject(notebook: Any, params: Mapping[str, Any]) -> None:
    """Put params into a notebook as a cell behind the one tagged ``parameters``.

    Without such a cell it comes first; one that was put in before is replaced.

    Raises:
        BadInputError: if a name is none of Python's, or the notebook is not in Python.
    """
    cells = notebook["cells"]
    cells[:] = [one for one in cells if INJECTED not in _tags(one)]
    if not params:
        return
    language = notebook["metadata"].get("language_info", {}).get("name", "python")
    if language != "python":
        raise BadInputError(
            f"Params are put into notebooks in Python; this one is in {language}.", field="param"
        )
    for name in params:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise BadInputError(f"{name!r} is no name of a Python variable.", field="param")
    nbformat = extras.need("nbformat", extra="notebook", purpose="Running a notebook")
    lines = ["# Parameters", *(f"{name} = {given!r}" for name, given in params.items())]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": [INJECTED]}, id=INJECTED)
    if (notebook["nbformat"], notebook["nbformat_minor"]) < (4, 5):
        cell.pop("id", None)  # cells have ids since 4.5
    places = [place for place, one in enumerate(cells) if PARAMETERS in _tags(one)]
    cells.insert(places[0] + 1 if places else 0, cell)


def execute(
    notebook: Any, folder: Path, environ: Mapping[str, str], told: Progress | None = None
) -> Executed:
    """Run every code cell, in ``folder``; a cell that fails ends it, and what ran is kept.

    A kernel that the notebook names and that is not installed here is replaced by this
    environment's own Python.

    Raises:
        MissingExtraError: if the packages that run notebooks are not installed.
    """
    nbclient = extras.need("nbclient", extra="notebook", purpose="Running a notebook")
    extras.need("ipykernel", extra="notebook", purpose="Running a notebook")
    nbformat = extras.need("nbformat", extra="notebook", purpose="Running a notebook")
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from traitlets.config import Config

    code = [
        place
        for place, one in enumerate(notebook["cells"])
        if one["cell_type"] == "code" and one["source"].strip()
    ]
    ended: list[int] = []

    def started(cell_index: int, **_: Any) -> None:
        if told is not None and cell_index in code:
            told(code.index(cell_index) + 1, len(code))

    def executed(cell_index: int, execute_reply: Mapping[str, Any], **_: Any) -> None:
        if cell_index in code and execute_reply["content"]["status"] == "ok":
            ended.append(cell_index)

    error = trace = ""
    with tempfile.TemporaryDirectory(prefix="mainspring-kernel-") as sockets:
        client = nbclient.NotebookClient(
            notebook,
            timeout=None,
            record_timing=False,  # so that the same outputs are the same bytes
            kernel_name=_kernel(notebook),
            config=Config({"KernelManager": _reached(sockets)}),
            resources={"metadata": {"path": str(folder)}},
            on_cell_start=started,
            on_cell_executed=executed,
        )
        try:
            client.execute(env=dict(environ))
        except CellExecutionError as failed:
            number = len(ended) + 1
            error = f"Cell {number} of {len(code)} failed: {failed.ename}: {_first(failed.evalue)}"
            trace = _COLOUR.sub("", failed.traceback)
        except DeadKernelError:
            error = f"The kernel died in cell {len(ended) + 1} of {len(code)}."
        except RuntimeError as failed:
            if ended:
                raise
            error = f"The kernel did not start: {_first(str(failed))}"
    return Executed(
        notebook=nbformat.writes(notebook).encode(),
        cells=len(code),
        done=len(ended),
        error=error,
        trace=trace,
    )


# ---------------------------------------------------------------- parts


def _reached(sockets: str) -> dict[str, str]:
    """Return how a kernel is reached: by files that only the owner opens.

    Where the folder's name is too long for a socket it is TCP on loopback, with a key.
    """
    place = f"{sockets}/kernel"
    return {"transport": "ipc", "ip": place} if len(place) < _LONGEST_SOCKET else {}


def _tags(cell: Any) -> list[str]:
    found = cell["metadata"].get("tags", [])
    return list(found) if isinstance(found, list) else []


def _kernel(notebook: Any) -> str:
    from jupyter_client.kernelspec import KernelSpecManager

    wanted = notebook["metadata"].get("kernelspec", {}).get("name", "python3")
    return str(wanted) if wanted in KernelSpecManager().find_kernel_specs() else "python3"


def _first(text: str) -> str:
    return _COLOUR.sub("", text).strip().partition("\n")[0][:300]

"""Find the pipelines that the project declares, for pages that are asked for again and again.

Reading a project imports the user's code in a process of its own, so what was found is kept
until a file of the project changes.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Record
from mainspring.workspace.opening import Workspace

_MOST_FILES = 2_000  #: of a project whose times are looked at


class Asks(Record, frozen=True, kw_only=True):
    """A parameter that a pipeline takes."""

    name: str
    type: str  #: as people read it, such as "int" or "float or None"
    required: bool
    default: Any = None


class Declared(Record, frozen=True, kw_only=True):
    """A pipeline that stands in the project."""

    name: str
    target: str  #: module:name
    summary: str
    parameters: list[Asks]


class Project(Record, frozen=True, kw_only=True):
    """What a project declares; ``problem`` says why that is not known."""

    pipelines: list[Declared] = []
    problem: str = ""


_known: dict[str, tuple[object, Project]] = {}
_lock = threading.Lock()


def declared(ws: Workspace) -> Project:
    """Return the pipelines of the project in whose folder the server was started."""
    root = Path(ws.settings.root)
    if not (root / "project.py").is_file():
        return Project()
    seen = _stamps(root)
    with _lock:  # two who ask at once need not both import it
        before = _known.get(str(root))
        if before is not None and before[0] == seen:
            return before[1]
        found = _read(ws, str(root))
        _known[str(root)] = seen, found
    return found


def of_target(ws: Workspace, target: str) -> Declared | None:
    """Return the pipeline of a name such as ``project:train``; None if it is not there."""
    return next((one for one in declared(ws).pipelines if one.target == target), None)


def _read(ws: Workspace, root: str) -> Project:
    import msgspec

    from mainspring.workspace import calling

    try:
        found = calling.child(ws, "project", {"root": root}, root=root)["pipelines"]
    except MainspringError as error:
        return Project(problem=error.message)
    return Project(pipelines=msgspec.convert(found, list[Declared]))


def _stamps(root: Path) -> object:
    """Return what changes with any file of Python in the project's folder and those beside it."""
    found: list[tuple[str, int, int]] = []
    for pattern in ("*.py", "*/*.py"):
        for file in root.glob(pattern):
            if len(found) >= _MOST_FILES:
                return tuple(found)
            try:
                state = file.stat()
            except OSError:  # it is gone by now
                continue
            found.append((str(file), state.st_mtime_ns, state.st_size))
    return tuple(sorted(found))

"""The page of one run: where it stands, its curves, params, files, origin and lineage."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.experiments.artifacts import Artifact
from mainspring.ground.objects import RunStatus
from mainspring.web.pages import previews, steps
from mainspring.web.pages.curves import CHARTS, is_system
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.tracked import MOST_FILES, RunBoard

#: Tags and files below these are written by the system: they say how the run came about.
OWN_TAGS = "mainspring."
OWN_FILES = "mainspring/"
_OPEN_UP_TO = 40  # files: with more, folders begin closed


class Folder(msgspec.Struct, kw_only=True):
    """A folder of artifacts, as the tree shows it."""

    name: str
    path: str
    folders: dict[str, Folder] = {}
    files: list[Artifact] = []
    size: int = 0
    count: int = 0
    open: bool = True


def gather(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return one run with all that belongs to it.

    Raises:
        NotFoundError: if there is no such run, or no artifact at the path asked for.
    """
    from mainspring.workspace.views.tracked import run_board

    board = run_board(ws, asked["run"])
    path = asked.get("path") or None
    shown = None if path is None else _preview(ws, asked["run"], path)
    own = [point for point in board.latest if not is_system(point.key)]
    keys = [point.key for point in own]
    drawn = [key for key in asked.several("key") if key in keys] or keys[:CHARTS]
    return {
        "run": board.run,
        "board": board,
        "live": board.run.status is RunStatus.RUNNING,
        "crashed": board.run.status is RunStatus.CRASHED,
        "metrics": own,
        "system": [point for point in board.latest if is_system(point.key)],
        "drawn": drawn,
        "tags": {k: v for k, v in board.run.tags.items() if not k.startswith(OWN_TAGS)},
        "origin": _origin(board),
        "tree": tree(board.files, path),
        "left_out": max(0, board.file_count - MOST_FILES),
        "path_shown": path,
        "preview": shown,
        **steps.gather(ws, board, asked),
        "now": ws.clock.now(),
    }


def _preview(ws: Workspace, run: str, path: str) -> previews.Preview:
    from mainspring.workspace.views.tracked import artifact_of

    return previews.of(ws, artifact_of(ws, run, path))


def _origin(board: RunBoard) -> dict[str, str]:
    """Return what the system noted of how the run came about, by plain names."""
    noted = {
        key.removeprefix(OWN_TAGS): value
        for key, value in board.run.tags.items()
        if key.startswith(OWN_TAGS)
    }
    return dict(sorted(noted.items()))


def tree(files: list[Artifact], shown: str | None = None) -> Folder:
    """Return files as a tree of folders, each with how much is in it."""
    root = Folder(name="", path="")
    for one in files:
        *folders, _ = one.path.split("/")
        at = root
        at.size, at.count = at.size + one.size, at.count + 1
        for name in folders:
            path = f"{at.path}/{name}" if at.path else name
            at = at.folders.setdefault(name, Folder(name=name, path=path))
            at.size, at.count = at.size + one.size, at.count + 1
        at.files.append(one)
    _close(root, shown, open_all=len(files) <= _OPEN_UP_TO)
    return root


def _close(folder: Folder, shown: str | None, *, open_all: bool) -> None:
    for inner in folder.folders.values():
        leads = shown is not None and shown.startswith(f"{inner.path}/")
        inner.open = leads or (open_all and not inner.path.startswith(OWN_FILES[:-1]))
        _close(inner, shown, open_all=open_all)

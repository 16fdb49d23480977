"""Make a clean place in which a pipeline's run can be made again: its code, its data.

1. The commit is checked out and the patch applied; or the project's own files are written as
   they were. Both come out of the home's objects and the repository, nothing of the project's
   present folder.
2. Data that neither has, such as what git ignores, is linked from where the run found it; what
   changed since, or is gone, is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mainspring.ground.ports import Objects
from mainspring.workspace import checkouts
from mainspring.workspace.captured import ProjectFile
from mainspring.workspace.checkouts import CannotError

_MOST = 20  # notes on single files


def make(
    told: ProjectFile, patch: bytes, place: Path, objects: Objects, began: float, home: Path
) -> tuple[Path, list[str]]:
    """Make the project again below a new folder; return its root there, and what to know.

    ``began`` is when the run began: linked data that is newer is named.

    Raises:
        CannotError: if the code cannot be had.
    """
    place.mkdir(mode=0o700, parents=True)
    if told.git is None:
        root = place / (Path(told.root).name or "project")
        for path, digest in told.files.items():
            to = root / path
            to.parent.mkdir(parents=True, exist_ok=True)
            if not objects.has(digest):
                raise CannotError(f"{path} is not kept any more")
            to.write_bytes(objects.get(digest))
            to.chmod(0o755 if path in told.programs else 0o644)
        if not told.files:
            raise CannotError("no file of its project was kept")
        return root, list(_linked(told, Path(told.root), root, began, home))
    state = told.git
    whole = place / (Path(state.root).name or "checkout")
    checkouts.check_out(state.root, state.commit, state.remote, whole)
    if patch:
        checkouts.git(whole, "apply", "--binary", "--whitespace=nowarn", stdin=patch)
    notes = list(_linked(told, Path(state.root), whole, began, home))
    root = whole / told.folder
    if not root.is_dir():
        raise CannotError(f"its folder {told.folder} is neither in the commit nor in the patch")
    return root, notes


def _linked(told: ProjectFile, was: Path, now: Path, began: float, home: Path) -> Iterator[str]:
    """Link what was not kept, and say what of it is gone or newer than the run."""
    left = [*told.left_out, *(told.git.left_out if told.git else [])]
    why = {**dict.fromkeys(told.ignored, "git ignores it"), **{one.path: one.why for one in left}}
    for path, reason in list(why.items())[:_MOST]:
        origin, target = was / path, now / path
        if os.path.lexists(target) or _holds(origin, home) or not _is_below(target, now):
            continue
        if not origin.exists():
            yield f"{path} was not kept ({reason}), and is not in {was}"
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(origin)
        newer = origin.stat().st_mtime > began
        yield f"{path} was not kept ({reason}): it is linked from {was}" + (
            ", where it was changed since" if newer else ""
        )


def _holds(origin: Path, home: Path) -> bool:
    return home.resolve().is_relative_to(origin.resolve())


def _is_below(target: Path, root: Path) -> bool:
    return ".." not in target.relative_to(root).parts

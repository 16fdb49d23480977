"""Know the code again where no repository has it: the project's own files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mainspring.experiments.capture import git

MAX_WALKED = 20_000  #: files of a project that are looked at; what is beyond is no code


def read(root: Path, *, apart: Sequence[Path] = ()) -> tuple[list[str], list[git.LeftOut]]:
    """Return which files of a project are kept, from its root, and which are not and why.

    Hidden files, byte code, environments and what is ``apart`` (such as the home) are not the
    project's; the bounds are those of a patch: single files, all together, their number, and
    names that may hold secrets.
    """
    others = {one.resolve() for one in apart}
    found: list[str] = []
    for place, folders, names in os.walk(root):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not _is_left(here / name, name) and
            (here / name).resolve() not in others
        )  # fmt: skip
        found += [
            (here / name).relative_to(root).as_posix()
            for name in sorted(names)
            if not name.startswith(".") and not name.endswith((".pyc", ".lock.part"))
        ]
        if len(found) > MAX_WALKED:
            found = found[:MAX_WALKED]
            break
    return git.keepable(root, found)


def _is_left(folder: Path, name: str) -> bool:
    return name.startswith(".") or name in git.MADE or (folder / "pyvenv.cfg").is_file()

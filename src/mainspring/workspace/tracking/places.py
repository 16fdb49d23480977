"""Which files a run keeps, and under which paths: no link leads out of a folder unseen."""

from __future__ import annotations

import os
from pathlib import Path

from mainspring.experiments.paths import check_path as checked
from mainspring.ground.errors import BadInputError, NotFoundError

__all__ = ["checked", "files_of", "name_for", "plain_file"]


def name_for(source: Path, to: str | None) -> str:
    """Return the path in the run of a file that is logged.

    >>> name_for(Path("out/roc.png"), None), name_for(Path("out/roc.png"), "plots/")
    ('roc.png', 'plots/roc.png')
    """
    if to is None or to == "":
        return checked(source.name)
    return checked(f"{to}{source.name}" if to.endswith("/") else to)


def plain_file(source: Path) -> Path:
    """Return a file that can be kept.

    Raises:
        NotFoundError: if it is not there.
        BadInputError: if it is a pipe, a socket or a device.
    """
    if not source.exists():
        raise NotFoundError(f"There is no file {source}.", field="path")
    if not source.is_file():
        raise BadInputError(f"{source} is not a plain file.", field="path")
    return source


def files_of(folder: Path, to: str | None) -> list[tuple[str, Path]]:
    """Return every file of a folder with its path in the run, by path.

    Raises:
        NotFoundError: if there is no such folder.
        BadInputError: naming a link that leads out of it, or what is no plain file.
    """
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}.", field="folder")
    root = folder.resolve()
    before = "" if not to else f"{to.rstrip('/')}/"
    found = []
    for place, folders, files in os.walk(root):
        for name in folders:
            if (Path(place) / name).is_symlink():
                _refuse_link(Path(place) / name, root)
        for name in files:
            file = Path(place) / name
            if file.is_symlink() and not file.exists():
                raise BadInputError(f"{file} is a link to nothing.", field="folder")
            if not file.resolve().is_relative_to(root):
                _refuse_link(file, root)
            found.append(
                (checked(f"{before}{file.relative_to(root).as_posix()}"), plain_file(file))
            )
    return sorted(found)


def _refuse_link(link: Path, root: Path) -> None:
    raise BadInputError(
        f"{link.relative_to(root)} is a link to {link.resolve()}.",
        field="folder",
        hint="Links to folders, and out of the folder, are not followed: log what they mean.",
    )

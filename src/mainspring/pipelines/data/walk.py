"""Go through a folder: every file with what its system says of it, and what cannot be kept."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from mainspring.ground.errors import BadInputError

#: In a name: a control character, a backslash, or half a pair, as of a name that is not UTF-8.
_STRANGE = re.compile("[\x00-\x1f\\\\\ud800-\udfff]")
#: How a file is called while it is written; what a process left that died is no data.
PARTIAL = ".mainspring-part-"
_KINDS = (
    (stat.S_ISLNK, "is a symbolic link: put the file itself there"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)
_TOLD = 5
_UNNAMED = "has a name that is not UTF-8, or not plain"


class Found(NamedTuple):
    """A file, and what tells whether it was changed since."""

    path: str  #: below the folder, with ``/``
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    executable: bool


class Refused(NamedTuple):
    """What lies there and cannot be kept."""

    path: str
    why: str


def walk(
    root: Path, apart: Collection[Path] = (), ours: Path | None = None
) -> tuple[list[Found], list[Refused]]:
    """Return the files below a folder by path, or the one file; and what cannot be kept.

    ``apart`` are folders that are not looked into. A symbolic link is not followed, except
    for ``root`` itself and for those that lead below the folder ``ours``.
    """
    if root.is_file():
        if _STRANGE.search(root.name):
            return [], [Refused(root.name, _UNNAMED)]
        return [_file(root.name, root.stat())], []
    files: list[Found] = []
    refused: list[Refused] = []
    passed = {str(path) for path in apart}
    waiting = [(str(root), "")]
    while waiting:
        folder, above = waiting.pop()
        try:
            entries = os.scandir(folder)
        except OSError as error:
            refused.append(Refused(above.rstrip("/") or ".", f"cannot be read: {error.strerror}"))
            continue
        with entries:
            for entry in entries:
                path = above + entry.name
                if entry.name.lstrip(".").startswith(PARTIAL[1:]):
                    continue
                if _STRANGE.search(entry.name):
                    refused.append(Refused(path, _UNNAMED))
                elif entry.is_dir(follow_symlinks=False):
                    if entry.path not in passed:
                        waiting.append((entry.path, path + "/"))
                else:
                    _look(entry, path, ours, files, refused)
    files.sort()
    return files, sorted(refused)


def _look(
    entry: os.DirEntry[str],
    path: str,
    ours: Path | None,
    files: list[Found],
    refused: list[Refused],
) -> None:
    try:
        follow = ours is not None and entry.is_symlink() and _leads_to(entry.path, ours)
        found = entry.stat(follow_symlinks=follow)
    except FileNotFoundError:  # it went this moment
        return
    except OSError as error:
        refused.append(Refused(path, f"cannot be looked at: {error.strerror}"))
        return
    if stat.S_ISREG(found.st_mode):
        files.append(_file(path, found))
        return
    why = next((words for test, words in _KINDS if test(found.st_mode)), "is no file")
    refused.append(Refused(path, why))


def _leads_to(link: str, folder: Path) -> bool:
    return Path(os.readlink(link)).is_relative_to(folder)  # noqa: PTH115  the text, not a Path


def _file(path: str, found: os.stat_result) -> Found:
    return Found(
        path,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        bool(found.st_mode & stat.S_IXUSR),
    )


def refuse(refused: Collection[Refused]) -> None:
    """Raise if anything cannot be kept, naming it.

    Raises:
        BadInputError: naming the first few and how many there are.
    """
    if not refused:
        return
    first = [f"{shown(one.path)} {one.why}" for one in list(refused)[:_TOLD]]
    more = f"; and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
    raise BadInputError(
        f"Nothing was added: {'; '.join(first)}{more}.",
        field="path",
        hint="Move it away, or rename it.",
    )


def shown(path: str) -> str:
    """Return a path as it can be printed whatever bytes it has."""
    return path.encode("utf-8", "backslashreplace").decode()

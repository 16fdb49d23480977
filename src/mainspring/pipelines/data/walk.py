"""Go through a folder: every file with what its system says of it, and what cannot be kept."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mainspring.ground.errors import BadInputError

#: In a name: a control character, a backslash, or half a pair, as of a name that is not UTF-8.
_STRANGE = re.compile("[\x00-\x1f\\\\\ud800-\udfff]")
#: How a file is called while it is written; what a process left that died is no data.
PARTIAL = ".mainspring-part-"
PARTIAL_BARE = PARTIAL.removeprefix(".")
_KINDS = (
    (stat.S_ISLNK, "is a symbolic link: put the file itself there"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)
_TOLD = 5
_AT_ONCE = 4
_LISTED = 32  # folders whose files are in memory together
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


Row = tuple[str, int, int, int, int, bool]
"""A file of a folder: its name, and the rest of what :class:`Found` says."""


class Listed(NamedTuple):
    """One folder: how it is called below the place, with ``/`` at the end, and its files."""

    prefix: str
    rows: list[Row]  #: by name


def walk(
    root: Path, apart: Collection[Path] = (), ours: Path | None = None
) -> tuple[list[Found], list[Refused]]:
    """Return the files below a folder by path, or the one file; and what cannot be kept.

    See :func:`folders`.
    """
    refused: list[Refused] = []
    files = [
        Found(one.prefix + row[0], *row[1:])
        for one in folders(root, refused, apart, ours)
        for row in one.rows
    ]
    files.sort()
    return files, sorted(refused)


def folders(
    root: Path,
    refused: list[Refused],
    apart: Collection[Path] = (),
    ours: Path | None = None,
) -> Iterator[Listed]:
    """Go through the folders below a place, or the one file, as a folder that holds it alone.

    ``apart`` are folders that are not looked into. A symbolic link is not followed, except
    for ``root`` itself and for those that lead below the folder ``ours``. What cannot be kept
    is put into ``refused``. Folders of one depth are listed side by side: a disk, and more so
    a network, answers several at once.
    """
    if root.is_file():
        if _STRANGE.search(root.name):
            refused.append(Refused(root.name, _UNNAMED))
        else:
            yield Listed("", [_row(root.name, root.stat())])
        return
    passed = {str(path) for path in apart}
    level = [(str(root), "")]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="walk") as pool:
        while level:
            below: list[tuple[str, str]] = []
            for start in range(0, len(level), _LISTED):
                some = level[start : start + _LISTED]
                each = pool.map if len(some) > 1 else map
                for listed, inner, strange in each(partial(_list, passed=passed, ours=ours), some):
                    below += inner
                    refused += strange
                    if listed.rows:
                        yield listed
            level = below


def _list(
    folder: tuple[str, str], passed: Collection[str], ours: Path | None
) -> tuple[Listed, list[tuple[str, str]], list[Refused]]:
    """Return the files of a folder, the folders in it, and what cannot be kept."""
    at, above = folder
    rows: list[Row] = []
    inner: list[tuple[str, str]] = []
    refused: list[Refused] = []
    strange = _STRANGE.search
    try:
        with os.scandir(at) as entries:
            for entry in entries:
                name = entry.name
                if PARTIAL_BARE in name and name.lstrip(".").startswith(PARTIAL_BARE):
                    continue
                if strange(name):
                    refused.append(Refused(above + name, _UNNAMED))
                elif entry.is_dir(follow_symlinks=False):
                    if entry.path not in passed:
                        inner.append((entry.path, f"{above}{name}/"))
                else:
                    _look(entry, above, ours, rows, refused)
    except OSError as error:
        refused.append(Refused(above.rstrip("/") or ".", f"cannot be read: {error.strerror}"))
    rows.sort()
    return Listed(above, rows), inner, refused


def _look(
    entry: os.DirEntry[str],
    above: str,
    ours: Path | None,
    rows: list[Row],
    refused: list[Refused],
) -> None:
    try:
        follow = ours is not None and entry.is_symlink() and _leads_to(entry.path, ours)
        found = entry.stat(follow_symlinks=follow)
    except FileNotFoundError:  # it went this moment
        return
    except OSError as error:
        refused.append(Refused(above + entry.name, f"cannot be looked at: {error.strerror}"))
        return
    if stat.S_ISREG(found.st_mode):
        rows.append(_row(entry.name, found))
        return
    why = next((words for test, words in _KINDS if test(found.st_mode)), "is no file")
    refused.append(Refused(above + entry.name, why))


def _leads_to(link: str, folder: Path) -> bool:
    return Path(os.readlink(link)).is_relative_to(folder)  # noqa: PTH115  the text, not a Path


def _row(name: str, found: os.stat_result) -> Row:
    return (
        name,
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

"""Make versions of what DVC keeps: of today, or of every commit in their order."""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.identity import slug
from mainspring.pipelines.data.manifest import check_path
from mainspring.workspace.data import adding
from mainspring.workspace.data.places import Tell, quiet
from mainspring.workspace.from_dvc import places, pointers
from mainspring.workspace.from_dvc.places import Place
from mainspring.workspace.from_dvc.pointers import Commit, Out

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """One state of a file or folder, as a version."""

    path: str  #: in the repository
    md5: str
    version: str  #: such as ``rows@2``
    new: bool
    files: int
    bytes: int
    commit: str = ""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """One that could not be brought: its bytes are in none of the places."""

    path: str
    md5: str
    commit: str
    why: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did."""

    brought: list[Brought]
    missing: list[Missing]


def bring(
    ws: Workspace,
    path: Path,
    *,
    remote: str | None = None,
    history: bool = False,
    only: str = "*",
    tell: Tell = quiet,
) -> Report:
    """Make a version of every file and folder that a repository of DVC keeps.

    ``history`` makes one for each commit that changed it, in their order, with the commit's
    message; ``only`` is a pattern of paths. Every file's md5 is checked while it is read. What an
    earlier import brought makes no new version.

    Raises:
        NotFoundError: if it is no repository; without ``history`` also if bytes are nowhere.
        BadInputError: naming what is not as DVC writes it.
        DamagedError: if bytes do not have the md5 they are kept under.
    """
    root = pointers.root_of(path)
    found = places.places(root, remote)
    report = Report(brought=[], missing=[])
    states: Sequence[tuple[Commit | None, list[Out]]]
    if history:
        every = pointers.commits(root)
        states = [(one, pointers.outs(pointers.AtCommit(root, one.digest))) for one in every]
    else:
        states = [(None, pointers.outs(pointers.Working(root)))]
    names = _names([out for _, outs in states for out in outs if fnmatch.fnmatch(out.path, only)])
    last: dict[str, str] = {}
    for number, (commit, outs) in enumerate(states):
        for out in outs:
            if out.path not in names or last.get(out.path) == out.md5:
                continue
            tell(out.path, number, len(states))
            try:
                report.brought.append(_brought(ws, out, commit, names[out.path], found))
            except NotFoundError as error:
                if not history:
                    raise
                digest = "" if commit is None else commit.digest
                report.missing.append(
                    Missing(path=out.path, md5=out.md5, commit=digest, why=error.message)
                )
            last[out.path] = out.md5
    if not names:
        raise BadInputError(f"Nothing there is kept by DVC under {only!r}.", field="path")
    return report


def _brought(
    ws: Workspace, out: Out, commit: Commit | None, name: str, found: Sequence[Place]
) -> Brought:
    with tempfile.TemporaryDirectory(prefix="mainspring-dvc-") as folder:
        place = Path(folder) / Path(out.path).name
        if out.folder:
            place.mkdir()
            _folder(out, place, found)
        else:
            places.write(out.md5, out.legacy, found, place)
            if out.executable:
                place.chmod(0o755)
        told = {"path": out.path, "md5": out.md5, "told_in": out.told_in}
        if commit is not None:
            told |= {"commit": commit.digest, "at": commit.at}
        added = adding.added(
            ws,
            place,
            name=name,
            message="" if commit is None else commit.message,
            source=f"dvc:{out.path}" + (f"@{commit.digest[:12]}" if commit else ""),
            meta={"dvc": told},
        )
    return Brought(
        path=out.path,
        md5=out.md5,
        version=added.version.reference,
        new=added.new,
        files=added.version.files,
        bytes=added.version.bytes,
        commit="" if commit is None else commit.digest,
    )


class _Listed(msgspec.Struct, frozen=True):
    """A file of a folder, as DVC lists it."""

    md5: str
    relpath: str


def _folder(out: Out, place: Path, found: Sequence[Place]) -> None:
    """Write every file that the list of a folder names."""
    with tempfile.TemporaryDirectory(prefix="mainspring-dvc-") as aside:
        listing = Path(aside) / "list"
        places.write(out.md5, out.legacy, found, listing)
        try:
            listed = msgspec.json.decode(listing.read_bytes(), type=list[_Listed])
        except msgspec.MsgspecError as error:
            raise DamagedError(f"The list of the folder {out.path} is none: {error}") from error
    for one in listed:
        places.write(one.md5, out.legacy, found, place / check_path(one.relpath))


def _names(outs: Sequence[Out]) -> dict[str, str]:
    """Return a dataset's name for each path: the last part of it, or all of it where two agree."""
    paths = sorted({out.path for out in outs})
    short = {path: slug(Path(path).stem, "data") for path in paths}
    said = list(short.values())
    names = {
        path: name if said.count(name) == 1 else slug(path, "data") for path, name in short.items()
    }
    twice = sorted({one for one in names.values() if list(names.values()).count(one) > 1})
    if twice:
        both = ", ".join(path for path, name in names.items() if name == twice[0])
        raise BadInputError(
            f"{both} would all be called {twice[0]}.", field="only", hint="Import one by --only."
        )
    return names

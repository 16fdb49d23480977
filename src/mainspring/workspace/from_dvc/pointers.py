"""What a repository of DVC says: the files and folders it keeps, and where their bytes may be."""

from __future__ import annotations

import configparser
import os
import posixpath
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import yaml

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.pipelines.data.manifest import check_path

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_MOST_BYTES = 50_000_000  # of one file of DVC's own
_APART = {".git", ".dvc", ".mainspring", ".venv", "node_modules"}
GIT_S = 120.0


class Out(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that DVC keeps."""

    path: str  #: in the repository
    md5: str  #: of a folder with ``.dir``
    told_in: str  #: the .dvc file, or dvc.lock
    legacy: bool  #: written before DVC 3: a text file's md5 may be that with Unix line ends
    executable: bool = False

    @property
    def folder(self) -> bool:
        """Return whether it is a folder."""
        return self.md5.endswith(".dir")


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that changed what DVC keeps."""

    digest: str
    at: str
    message: str


class Tree(Protocol):
    """The files of a repository, as they lie there or as they were at a commit."""

    def paths(self) -> list[str]:
        """Return the paths of .dvc files and of dvc.lock files."""
        ...

    def text(self, path: str) -> str | None:
        """Return what a file says; None if it is not there."""
        ...


class Working:
    """The files as they lie there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def paths(self) -> list[str]:
        """Return the paths of .dvc files and of dvc.lock files."""
        found = []
        for place, folders, names in os.walk(self._root):
            folders[:] = sorted(set(folders) - _APART)
            inside = Path(place).relative_to(self._root)
            found += [(inside / name).as_posix() for name in names if _is_told(name)]
        return sorted(found)

    def text(self, path: str) -> str | None:
        """Return what a file says."""
        file = self._root / path
        if not file.is_file():
            return None
        if file.stat().st_size > _MOST_BYTES:
            raise BadInputError(f"{path} is too large to be a file of DVC's own.", field="path")
        try:
            return file.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise BadInputError(f"{path} is no text.", field="path") from error


class AtCommit:
    """The files as they were at a commit of Git."""

    def __init__(self, root: Path, commit: str) -> None:
        self._root, self._commit = root, commit

    def paths(self) -> list[str]:
        """Return the paths of .dvc files and of dvc.lock files."""
        told = git(self._root, "ls-tree", "-r", "-z", "--name-only", self._commit)
        found = [path for path in told.split("\0") if path]
        return sorted(path for path in found if _is_told(posixpath.basename(path)))

    def text(self, path: str) -> str | None:
        """Return what a file said."""
        try:
            return git(self._root, "show", f"{self._commit}:{path}")
        except BadInputError:
            return None


def commits(root: Path) -> list[Commit]:
    """Return the commits that changed what DVC keeps, the oldest first.

    Raises:
        BadInputError: if it is no repository of Git.
    """
    told = git(
        root,
        "log",
        "--reverse",
        "--format=%H%x00%cI%x00%s",
        "--",
        "*.dvc",
        "dvc.lock",
        "**/dvc.lock",
    )
    found = []
    for line in told.splitlines():
        digest, at, message = line.split("\0", 2)
        found.append(Commit(digest=digest, at=at, message=message))
    return found


def git(root: Path, *words: str) -> str:
    """Return what Git says of a repository.

    Raises:
        BadInputError: if it refuses, or is not there.
    """
    try:
        done = subprocess.run(  # noqa: S603  a fixed program, words never a shell's
            ["git", "-C", str(root), *words],  # noqa: S607  the user's own Git
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_S,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise BadInputError(f"Git does not answer: {error}", field="history") from error
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0][:200]
        raise BadInputError(f"Git does not tell: {told}", field="history")
    return done.stdout.decode("utf-8", "replace")


def outs(tree: Tree) -> list[Out]:
    """Return everything that a repository keeps by DVC, by path.

    Raises:
        BadInputError: naming the file that is not as DVC writes it.
    """
    found: dict[str, Out] = {}
    for told_in in tree.paths():
        text = tree.text(told_in) or ""
        held = _read(text, told_in)
        stages = _stages(held, told_in, tree)
        for below, told, in_git in stages:
            for one in told:
                out = _out(one, below, told_in)
                if out is not None and out.path not in in_git:
                    found.setdefault(out.path, out)
    return [found[path] for path in sorted(found)]


def _stages(held: Any, told_in: str, tree: Tree) -> Iterator[tuple[str, list[Any], set[str]]]:
    """Yield the folder that paths begin at, what is kept there, and what of it Git keeps."""
    here = posixpath.dirname(told_in)
    if posixpath.basename(told_in) != "dvc.lock":
        yield posixpath.join(here, str(held.get("wdir", "."))), _listed(held, told_in), set()
        return
    said = _read(tree.text(posixpath.join(here, "dvc.yaml")) or "", told_in)
    declared = said.get("stages")
    if not isinstance(declared, dict):
        declared = {}
    stages = held.get("stages", held)  # before 2.0 the file was the stages themselves
    if not isinstance(stages, dict):
        raise BadInputError(f"{told_in} has no stages.", field="path")
    for name, stage in stages.items():
        if isinstance(stage, dict):
            one = declared.get(str(name).partition("@")[0], {})
            wdir = one.get("wdir", ".") if isinstance(one, dict) else "."
            below = posixpath.join(here, str(wdir))
            yield below, _listed(stage, told_in), _in_git(one, below)


def _in_git(declared: Any, below: str) -> set[str]:
    """Return the paths that a stage of dvc.yaml leaves to Git: dvc.lock does not say it."""
    found = set()
    for kind in ("outs", "metrics", "plots"):
        told = declared.get(kind) if isinstance(declared, dict) else None
        for one in told if isinstance(told, list) else []:
            for path, how in one.items() if isinstance(one, dict) else []:
                if isinstance(how, dict) and how.get("cache") is False:
                    found.add(posixpath.normpath(posixpath.join(below, str(path))))
    return found


def _listed(held: dict[Any, Any], told_in: str) -> list[Any]:
    told = held.get("outs") or []
    if not isinstance(told, list):
        raise BadInputError(f"The outs of {told_in} are no list.", field="path")
    return told


def _out(told: Any, below: str, told_in: str) -> Out | None:
    """Return an out; None if DVC does not keep its bytes (``cache: false``, or none yet)."""
    if not isinstance(told, dict) or told.get("cache") is False or "md5" not in told:
        return None
    md5, path = str(told["md5"]), str(told.get("path", ""))
    if not _MD5.fullmatch(md5):
        raise BadInputError(f"{told_in} names the md5 {md5[:60]!r}, which is none.", field="path")
    where = posixpath.normpath(posixpath.join(below, path))
    try:
        check_path(where)
    except BadInputError as error:
        raise BadInputError(f"{told_in}: {error.message}", field="path") from error
    return Out(
        path=where,
        md5=md5,
        told_in=told_in,
        legacy=told.get("hash") != "md5",
        executable=told.get("isexec") is True,
    )


def config(root: Path) -> configparser.ConfigParser:
    """Return the configuration of a repository: what is shared, then what is of this machine."""
    found = configparser.ConfigParser(interpolation=None)
    for name in ("config", "config.local"):
        file = root / ".dvc" / name
        if file.is_file():
            try:
                found.read_string(file.read_text("utf-8"))
            except (configparser.Error, UnicodeDecodeError) as error:
                raise BadInputError(
                    f"{file} is not as DVC writes it: {error}", field="path"
                ) from error
    return found


def root_of(path: Path) -> Path:
    """Return the root of the repository that a path is in.

    Raises:
        NotFoundError: if there is none above it.
    """
    start = path.expanduser().resolve()
    for folder in (start, *start.parents):
        if (folder / ".dvc").is_dir():
            return folder
    raise NotFoundError(
        f"{path} is in no repository of DVC.",
        field="path",
        hint="It has a folder .dvc at its root.",
    )


def _read(text: str, told_in: str) -> dict[Any, Any]:
    try:
        held = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise BadInputError(f"{told_in} is no YAML: {error}", field="path") from error
    if not isinstance(held, dict):
        raise BadInputError(f"{told_in} is not as DVC writes it.", field="path")
    return held


def _is_told(name: str) -> bool:
    return name == "dvc.lock" or (name.endswith(".dvc") and name != ".dvc")

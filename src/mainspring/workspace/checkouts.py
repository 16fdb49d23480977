"""Make a working tree again in another folder: the commit, the patch, links to what git lacks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GIT_S = 600.0  #: a clone from far away takes its time


AGAIN = "again"  #: of the home: where places are in which runs are made again
_PATHS, _VARIABLES = "paths.json", "variables.json"  # of a place


class CannotError(Exception):
    """A run cannot be made again; the text says why."""


def check_out(root: str, commit: str | None, remote: str | None, target: Path) -> None:
    """Check a commit out into a new folder: from where it was, from here, or from its remote.

    Raises:
        CannotError: if the commit is nowhere.
    """
    if shutil.which("git") is None:
        raise CannotError("git is not installed")
    if commit is None:  # nothing was committed yet: the patch holds everything
        git(target.parent, "init", "--quiet", target.name)
        return
    near = [Path(root), Path.cwd()]
    found = next((one for one in near if _has_commit(one, commit)), None)
    origin = os.fspath(found) if found is not None else remote
    if origin is None:
        raise CannotError(f"commit {commit[:12]} is neither in {root} nor here, and had no remote")
    # Shared: the objects stay where they are, and a commit that no branch has is found too.
    words = ["--shared"] if found is not None else []
    try:
        git(target.parent, "clone", "--quiet", "--no-checkout", *words, origin, target.name)
        git(target, "checkout", "--quiet", "--detach", commit)
    except CannotError as error:
        raise CannotError(f"commit {commit[:12]} cannot be checked out: {error}") from error


def _has_commit(folder: Path, commit: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        git(folder, "cat-file", "-e", f"{commit}^{{commit}}")
    except CannotError:
        return False
    return True


def git(folder: Path, *words: str, stdin: bytes = b"") -> None:
    """Let git do something in a folder.

    Raises:
        CannotError: in git's words.
    """
    # Hooks of the user's own template have no business in a temporary checkout.
    told = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", os.fspath(folder), *words]
    kept = {key: value for key, value in os.environ.items() if key not in _MEANT_FOR_OTHERS}
    try:
        done = subprocess.run(  # noqa: S603  a fixed program, words never a shell's
            told, input=stdin, capture_output=True, timeout=GIT_S, check=False,
            env={**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CannotError(f"git {words[0]} took longer than {GIT_S:g} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"]
        raise CannotError(f"git {words[0]}: {lines[0].removeprefix('fatal: ')}")


_MEANT_FOR_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


def say_paths(place: Path, paths: list[str]) -> None:
    """Note what is to be imported from in a place, before anything that is installed."""
    (place / _PATHS).write_text(json.dumps(paths), "utf-8")


def say_variables(place: Path, variables: Mapping[str, str]) -> None:
    """Note which variables of the environment are to be as they were, for all that runs there."""
    (place / _VARIABLES).write_text(json.dumps(dict(variables)), "utf-8")


def paths_of(home: Path, root: str) -> list[str]:
    """Return what a project in a place is to import from besides itself; else nothing."""
    return list(_said(home, root, _PATHS) or [])


def variables_of(home: Path, root: str | None) -> dict[str, str]:
    """Return which variables are to be as they were for a project in a place; else none."""
    return dict(_said(home, root, _VARIABLES) or {}) if root else {}


def _said(home: Path, root: str, name: str) -> Any:
    above = home / AGAIN
    if not Path(root).is_relative_to(above):
        return None
    file = above / Path(root).relative_to(above).parts[0] / name
    return json.loads(file.read_text("utf-8")) if file.is_file() else None


def link(root: Path, checkout: Path, name: str) -> None:
    """Link a file or folder that git does not have, from where the run found it.

    Raises:
        CannotError: if it is not there, or not below the root, or in the commit already.
    """
    path = Path(name)
    inside = path.relative_to(root) if path.is_absolute() and path.is_relative_to(root) else path
    origin, target = root / inside, checkout / inside
    if inside.is_absolute() or ".." in inside.parts:
        raise CannotError(f"{name} is not below {root}, so it needs no link")
    if not origin.exists():
        raise CannotError(f"there is no {origin} to link")
    if target.exists():
        raise CannotError(f"{inside} is in the commit already")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(origin)

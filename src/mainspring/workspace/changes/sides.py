"""Run a pipeline on both sides of a change: on the code that is here, and on a branch's.

Each side runs as a person would run it, ``mainspring run`` in its folder, into one home: a step
that the change does not touch is computed once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError

Tell = Callable[[str], None]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How one side ended."""

    commit: str
    version: str | None = None  #: model/number that it made
    why: str = ""  #: why it made none
    steps: list[dict[str, Any]] = []


def commit_of(root: Path, name: str) -> str:
    """Return the commit that a name stands for.

    Raises:
        BadInputError: if git knows none by it, or is not installed.
    """
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except BadInputError:
        raise
    except MainspringError as error:
        raise BadInputError(
            f"git knows no commit {name[:200]!r} in {root}.",
            field="base",
            hint="In CI fetch all of the history (fetch-depth: 0), or name another with --base.",
        ) from error


def fork_of(root: Path, base: str) -> str:
    """Return the commit at which the code here left ``base``, so that only its own changes count.

    Raises:
        BadInputError: if git knows no such commit, or the clone ends before that one.
    """
    other = commit_of(root, base)
    try:
        return _git(root, "merge-base", "HEAD", other)
    except MainspringError as error:
        if _git(root, "rev-parse", "--is-shallow-repository") == "true":
            raise BadInputError(
                f"This clone is shallow: where the code here left {base[:200]!r} is not in it.",
                field="base",
                hint="Fetch all of the history: fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab,"
                " git fetch --unshallow elsewhere.",
            ) from error
        return other  # histories without a common commit


def is_changed(root: Path) -> bool:
    """Return whether files that git follows differ from the commit."""
    return bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """Yield the project as it was at a commit, in a folder that is taken away afterwards."""
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    with tempfile.TemporaryDirectory(prefix="mainspring-base-") as folder:
        place = Path(folder) / "code"
        # Shared: objects stay where they are, and a commit that no branch has is found too.
        words = ("clone", "--quiet", "--shared", "--no-checkout", str(top), str(place))
        _git(Path(folder), *words)
        _git(place, "checkout", "--quiet", "--detach", commit)
        inner = place / root.resolve().relative_to(top.resolve())
        if not inner.is_dir():
            raise BadInputError(f"There is no project at {commit[:12]}.", field="base")
        yield inner


def run(
    folder: Path, home: str, commit: str, pipeline: str, words: Sequence[str], tell: Tell
) -> Side:
    """Run a pipeline of the project in ``folder`` and return how it ended."""
    command = [sys.executable, "-m", "mainspring", "run", pipeline, *words]
    command += ["--home", home, "--json"]
    tell(f"{commit[:12]}: mainspring run {pipeline} {' '.join(words)}".rstrip())
    kept = {k: v for k, v in os.environ.items() if k not in ("MAINSPRING_URL", "MAINSPRING_ROOT")}
    done = subprocess.run(  # noqa: S603  words of ours and the caller's, no shell reads them
        command, cwd=folder, env=kept, capture_output=True, text=True, check=False
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        found = {"message": done.stderr.strip()[-1000:] or f"it ended with {done.returncode}"}
    steps = found.get("steps", [])
    if "run" not in found:
        return Side(commit=commit, why=str(found.get("message", "it could not be run")))
    if found["run"]["status"] != "finished":
        broken = [one for one in steps if one["error"]]
        why = "; ".join(f"{one['step']}: {one['error']}" for one in broken)
        return Side(commit=commit, why=why or found["run"]["status"], steps=steps)
    versions = found["versions"]
    return Side(commit=commit, version=versions[-1] if versions else None, steps=steps)


def _git(folder: Path, *words: str) -> str:
    if shutil.which("git") is None:
        raise BadInputError(
            "git is not installed, and both sides of a change come from it.",
            field="base",
            hint="Install git, or run this where it is.",
        )
    aside = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    kept = {key: value for key, value in os.environ.items() if key not in aside}
    done = subprocess.run(  # noqa: S603
        ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *words],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it failed"]
        raise MainspringError(f"git {words[0]}: {lines[0].removeprefix('fatal: ')}")
    return done.stdout.strip()

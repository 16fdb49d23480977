"""Take down what a pipeline's run is made of, as it is planned; and read it again.

The commit and what differs from it, or the project's own files where there is no repository;
the variables that matter, the seed, the lock files. What is kept are objects by their digest,
so that a run of the same code adds nothing. What is installed is kept with the steps
(:mod:`mainspring.pipelines.environments`). Nothing here stops a run.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.experiments import artifacts
from mainspring.experiments.capture import facts, files, git, source
from mainspring.experiments.capture.git import LeftOut
from mainspring.ground import locks
from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.ports import Tx
from mainspring.workspace import brought, environments
from mainspring.workspace.brought import Package, Sources

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

PROJECT = "mainspring/project.json"
SEED = "mainspring.seed"
#: Files that say what is installed, or how the project is set up; each is named with its digest.
_LOCKS = ("uv.lock", "pylock*.toml", "requirements*.txt", "pyproject.toml", "mainspring.toml")
_MOST_LOCKS = 20
_MOST_NAMED = 5
_MOST_SEEN = 1_000  # files whose size is noted


class ProjectFile(Sources, frozen=True, kw_only=True):
    """``mainspring/project.json``: the code that a pipeline's run was made of."""

    ignored: list[str] = []  #: what git ignores, such as data, from the repository's root
    #: Files that are not kept -> size and time of the last change in ns; a bounded number.
    seen: dict[str, tuple[int, int]] = {}
    environment: dict[str, str] = {}  #: variables that matter; secrets are shown as ***
    seed: int = 0
    python: str = ""  #: such as 3.11.7
    locks: dict[str, str] = {}  #: path -> digest
    packages: dict[str, Package] = {}  #: those that no index has, by name
    not_captured: dict[str, str] = {}  #: part -> why


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """What a run keeps of its code: tags to search by, and artifacts by path."""

    tags: dict[str, str] = {}
    kept: dict[str, tuple[str, int]] = {}  #: path -> digest and size

    def put(self, tx: Tx, run: str, at: float) -> None:
        """Keep the artifacts with the run."""
        for path, (digest, size) in self.kept.items():
            artifacts.put(tx, run, path, digest, size, at)


def of(ws: Workspace, root: Path, *, installed: bool = True) -> Captured:
    """Return what a project is made of now; its files are objects when it returns.

    ``installed`` says that it runs in what is installed here, whose packages are looked at
    too. What could not be had is said in the tag ``mainspring.not_captured``.
    """
    tags = {SEED: str(ws.settings.seed)}
    if not ws.settings.capture:
        return Captured(tags=tags)
    try:
        told, patch = _taken(ws, root, installed=installed)
        found = {PROJECT: canonical(told)}
        if patch:
            found[facts.PATCH] = patch
        kept = {path: (ws.objects.put(data), len(data)) for path, data in found.items()}
    except Exception as error:  # noqa: BLE001  whatever it is, the user's work goes on
        why = f"code: {type(error).__name__}: {error}"
        return Captured(tags={**tags, facts.NOT_CAPTURED: why[:500]})
    if told.git is not None:
        tags |= {key: value for key, value in facts.git_tags(told.git).items() if value}
    left = [*told.left_out, *(told.git.left_out if told.git else [])]
    missing = [f"{part}: {why}" for part, why in told.not_captured.items()]
    missing += [f"package {name}: {one.why}" for name, one in told.packages.items() if one.why]
    if left:
        names = ", ".join(one.path for one in left[:_MOST_NAMED])
        more = len(left) - _MOST_NAMED
        missing.append(f"files: {names}" + (f" and {more} more" if more > 0 else ""))
    if missing:
        tags[facts.NOT_CAPTURED] = "; ".join(missing)[:2000]
    return Captured(tags=tags, kept=kept)


def read(ws: Workspace, tx: Tx, run: str) -> tuple[ProjectFile, bytes] | None:
    """Return what a run kept of its code, and its patch; None if it kept nothing."""
    try:
        told = artifacts.get(tx, run, PROJECT)
    except NotFoundError:
        return None
    found = msgspec.json.decode(ws.objects.get(told.digest), type=ProjectFile)
    try:
        patch = ws.objects.get(artifacts.get(tx, run, facts.PATCH).digest)
    except NotFoundError:
        patch = b""
    return found, patch


def _taken(ws: Workspace, root: Path, *, installed: bool) -> tuple[ProjectFile, bytes]:
    apart, missing = [ws.home], {}
    kept: list[str] = []
    left: list[LeftOut] = []
    ignored: list[str] = []
    state, patch = None, b""
    try:
        if not git.ignores(root):  # else the repository around it has nothing of it
            state, patch = git.read(root, apart=apart)
            ignored = git.ignored(root)
    except git.CannotError as error:
        if "in no git repository" not in str(error):
            missing["git"] = str(error)
    if state is None:
        kept, left = files.read(root, apart=apart)
    whole = Path(state.root) if state else root
    inside = root.resolve().relative_to(whole.resolve()).as_posix() if state else "."
    apart_from = left if state is None else state.left_out
    told = ProjectFile(
        root=os.fspath(root),
        folder=inside,
        git=state,
        files={path: ws.objects.put((root / path).read_bytes()) for path in kept},
        programs=[path for path in kept if os.access(root / path, os.X_OK)],
        left_out=left,
        ignored=ignored,
        seen=_seen(whole, [*ignored, *(one.path for one in apart_from)], ws.home),
        environment=source.mattering(os.environ),
        seed=ws.settings.seed,
        python=platform.python_version(),
        locks=_locks(root),
        packages=_packages(ws) if installed else {},
        not_captured=missing,
    )
    return told, patch


def _packages(ws: Workspace) -> dict[str, Package]:
    lock = locks.installed()
    cache = environments.cache(ws.home) / "packed"
    return brought.taken(lock.left, lock.listing, ws.objects, cache)


def _seen(root: Path, paths: Sequence[str], home: Path) -> dict[str, tuple[int, int]]:
    """Return the size and the time of change of files that are not kept, without reading them."""
    found: dict[str, tuple[int, int]] = {}
    for file in (file for path in paths for file in _below(root / path, home)):
        if len(found) >= _MOST_SEEN:
            break
        with suppress(OSError, UnicodeEncodeError):
            told = file.stat()
            name = file.relative_to(root).as_posix()
            name.encode()
            found[name] = (told.st_size, told.st_mtime_ns)
    return found


def _below(path: Path, home: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for place, folders, names in os.walk(path):
        folders[:] = sorted(one for one in folders if Path(place, one).resolve() != home.resolve())
        yield from (Path(place, one) for one in sorted(names))


def _locks(root: Path) -> dict[str, str]:
    found: Sequence[Path] = [
        file for name in _LOCKS for file in sorted(root.glob(name)) if file.is_file()
    ]
    return {
        file.name: sha256(file.read_bytes())
        for file in found[:_MOST_LOCKS]
        if file.stat().st_size <= git.MAX_FILE_BYTES
    }

"""The environments of steps: read off the project, resolved, built in the home's cache.

A run is planned with locks: what a step asks for is resolved once, and the exact packages are
part of its key. Building waits until a step needs it, on the machine where the step runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.experiments import runs
from mainspring.ground import locks, venvs
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.locks import Asked, Lock
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Tx
from mainspring.pipelines import environments, reading
from mainspring.pipelines.graph import Graph

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

UV_LOCK = "uv.lock"
SHORT = 6  #: characters of a digest that name an environment at least


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment in the home's cache."""

    digest: str
    python: str  #: its version
    packages: int
    came: str  #: what it was made of
    size: int  #: bytes of its files; those that are shared by links count too
    used: float  #: UTC seconds of its last use
    seconds: float  #: that building it took
    whole: bool  #: nothing of it is missing; if not, it is built again when it is needed
    path: str  #: of its interpreter


class OfRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's steps were planned for."""

    steps: list[str]
    digest: str
    own: bool  #: the steps asked for it; else it is what was installed
    lock: Lock | None  #: None: an older release did not keep it
    built: bool  #: it is in the home's cache


def cache(home: Path) -> Path:
    """Return the folder of the environments that were built for a home."""
    return home / "cache" / "environments" / "built"


def settled(ws: Workspace, root: Path, graph: Graph) -> dict[str, Lock]:
    """Return the lock of every step that has an environment of its own, by target.

    Raises:
        BadInputError: naming the step, if what it asks for is not there or cannot be resolved.
    """
    found: dict[str, Lock] = {}
    for node in graph.every_node():
        if node.options.apart and node.target not in found:
            env = [] if node.options.env is None else node.options.env
            found[node.target] = lock_for(ws.home, root, env, node.options.python)
    return found


def lock_for(
    home: Path,
    root: Path,
    env: str | Sequence[str],
    python: str | None = None,
    *,
    anew: bool = False,
) -> Lock:
    """Return the lock of what a step's ``env`` and ``python`` ask for.

    Raises:
        BadInputError: if it is not there or cannot be resolved.
    """
    if python is not None:
        venvs.interpreter(python)
    return venvs.resolved(_asked(root, env, python), root, cache(home), anew=anew)


def _asked(root: Path, env: str | Sequence[str], python: str | None) -> Asked:
    if isinstance(env, str) and Path(env).name == UV_LOCK and (root / env).is_file():
        return venvs.exported(root / env, python)
    return locks.asked(env, root, python)


def python_of(
    ws: Workspace, digest: str, cancelled: Callable[[], bool] = lambda: False
) -> tuple[str, bool]:
    """Return the interpreter of an environment by its digest; it is built if it is not there.

    And whether its Python is of our version.

    Raises:
        ConflictError: if it is not known what it was made of, or it is of another machine.
        BadInputError, UnavailableError: if it cannot be built.
    """
    lock = ws.read(Permission.READ, lambda tx: environments.lock_of(tx, digest))
    if lock is None:
        raise ConflictError(
            f"What environment {digest[:12]} was made of was not kept.", field="env"
        )
    return str(venvs.ready(lock, cache(ws.home), cancelled)), lock.python == locks.here()


def listed(ws: Workspace) -> list[Environment]:
    """Return the environments in the home's cache, the one used last first."""
    authorise(ws.who, Permission.READ)
    return [
        Environment(
            digest=note.digest,
            python=note.version,
            packages=len(note.lines),
            came=note.came,
            size=venvs.size_of(note),
            used=used,
            seconds=note.seconds,
            whole=venvs.is_whole(note),
            path=note.python,
        )
        for note, used in venvs.listed(cache(ws.home))
    ]


def of_run(ws: Workspace, run: str) -> list[OfRun]:
    """Return what the steps of a run were planned for, each environment once.

    Raises:
        NotFoundError: if there is no such run, or it has no steps.
    """

    def look(tx: Tx) -> list[OfRun]:
        runs.get(tx, run)
        by: dict[tuple[str, bool], list[str]] = {}
        for step, digest in environments.of_steps(tx, run).items():
            by.setdefault((digest, reading.is_apart(tx, run, step)), []).append(step)
        if not by:
            raise NotFoundError(f"Run {run} has no steps.", field="run")
        return [
            OfRun(
                steps=steps,
                digest=digest,
                own=own,
                lock=environments.lock_of(tx, digest),
                built=venvs.known(cache(ws.home), digest) is not None,
            )
            for (digest, own), steps in by.items()
        ]

    return ws.read(Permission.READ, look)


def build(ws: Workspace, run: str) -> list[Environment]:
    """Build the environments of a run's steps in the home's cache, unless they are there.

    Raises:
        NotFoundError: if there is no such run.
        ConflictError: if what they are made of was not kept, or is of another machine.
        BadInputError, UnavailableError: if one cannot be built; in the tool's words.
    """
    authorise(ws.who, Permission.RUN)
    wanted = of_run(ws, run)
    for one in wanted:
        python_of(ws, one.digest)
    digests = {one.digest for one in wanted}
    return [one for one in listed(ws) if one.digest in digests]


def remove(ws: Workspace, digest: str) -> list[str]:
    """Delete environments whose digest begins so; return their digests.

    They are built again when a step needs them.

    Raises:
        NotFoundError: if none begins so.
    """
    authorise(ws.who, Permission.RUN)
    place = cache(ws.home)
    found = [note.digest for note, _ in venvs.listed(place) if note.digest.startswith(digest)]
    if len(digest) < SHORT or not found:
        raise NotFoundError(
            f"No environment's digest begins with {digest[:80]!r}.",
            field="digest",
            hint="See them with: mainspring env list",
        )
    return [one for one in found if venvs.remove(place, one)]


def collect(ws: Workspace, before: float, *, dry_run: bool) -> tuple[int, int]:
    """Delete environments that were used last before a time; return how many, and their bytes.

    Folders of runs that were made again and that nobody deleted go as well.
    """
    place = cache(ws.home)
    old = [note for note, used in venvs.listed(place) if used < before]
    size = sum(map(venvs.size_of, old))
    for note in [] if dry_run else old:
        venvs.remove(place, note.digest)
    for folder in [] if dry_run else (ws.home / "again").glob("*"):
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)
    return len(old), size

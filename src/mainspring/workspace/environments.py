"""The environments of steps: read off the project, resolved, built in the home's cache.

A run is planned with locks: what a step asks for is resolved once, and the exact packages are
part of its key. Building waits until a step needs it, on the machine where the step runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.ground import locks, venvs
from mainspring.ground.errors import ConflictError
from mainspring.ground.locks import Asked, Lock
from mainspring.ground.permissions import Permission
from mainspring.pipelines import environments
from mainspring.pipelines.graph import Graph

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

UV_LOCK = "uv.lock"


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
    lock = ws.read(Permission.WORK, lambda tx: environments.lock_of(tx, digest))
    if lock is None:
        raise ConflictError(
            f"What environment {digest[:12]} was made of was not kept.", field="env"
        )
    return str(venvs.ready(lock, cache(ws.home), cancelled)), lock.python == locks.here()

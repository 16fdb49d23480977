"""Load a package in a child process that only scores: objects by path, nothing else of a home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mainspring.ground import identity
from mainspring.ground.errors import DamagedError, NotFoundError
from mainspring.scaling.models import load as loading
from mainspring.scaling.models.check import Prepared, Values
from mainspring.scaling.models.features import Word

Score = Callable[[int, dict[str, Values], dict[str, Word]], Any]


class Folder:
    """Objects in a folder as the local object store lays them out, to be read only."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified.

        Raises:
            NotFoundError, DamagedError: if they are not there or not what they were.
        """
        try:
            data = object_path(self._root, digest).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"There is no object {digest}.") from None
        if identity.sha256(data) != digest:
            raise DamagedError(f"Object {digest} holds other bytes than it should.")
        return data


def object_path(root: Path, digest: str) -> Path:
    """Return where the local object store keeps the bytes of a digest."""
    identity.check_digest(digest)
    return root / digest[:2] / digest[2:]


def load(told: Mapping[str, Any]) -> Score:
    """Return what scores a package; ``told`` has its ``digest``, ``objects``, and ``prefer``.

    This is a loader of :class:`mainspring.scaling.models.apart.spawned.Launch`.
    """
    objects: Any = Folder(Path(told["objects"]))
    served = loading.load(told["digest"], objects, prefer=told.get("prefer", "native"))
    served.warm()

    def score(rows: int, columns: dict[str, Values], types: dict[str, Word]) -> Any:
        return served.score(Prepared(rows, columns, types))

    return score

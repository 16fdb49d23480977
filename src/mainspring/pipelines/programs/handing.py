"""Hand values from a notebook back to the step that executes it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import sha256
from mainspring.pipelines import outputs

VARIABLE = "MAINSPRING_HAND_BACK"  #: tells a notebook the folder into which it hands back


def hand_back(**values: Any) -> None:
    """Hand values from a notebook to the step that runs it: ``ms.hand_back(auc=0.91)``.

    They may be whatever a step may return. A name that is handed back again has its last value.
    In a notebook that a person runs, nothing happens but the check.

    Raises:
        BadInputError: for the name ``notebook``, which is the executed notebook's own.
        ProjectError, NotExactError: if a value cannot be kept.
    """
    if "notebook" in values:
        raise BadInputError(
            "The name 'notebook' is the executed notebook's own.", field="notebook"
        )
    folder = os.environ.get(VARIABLE)
    for name, value in values.items():
        objects = _Folder(Path(folder)) if folder else _Nowhere()
        stored = outputs.encode(value, objects, f"{name} cannot be handed back")  # type: ignore[arg-type]
        if folder:
            told = {"digest": stored.digest, "type": stored.type}
            part = Path(folder, f"{name}.part")
            part.write_bytes(msgspec.json.encode(told))
            part.replace(Path(folder, f"{name}.value"))


def taken(folder: Path, files: Path) -> dict[str, Any]:
    """Return what was handed back into a folder, by name; files among it go into ``files``."""
    objects: Any = _Folder(folder)
    out = {}
    for path in sorted(folder.glob("*.value")):
        told = msgspec.json.decode(path.read_bytes())
        out[path.stem] = outputs.decode(told["digest"], told["type"], objects, files / path.stem)
    return out


class _Folder:
    """As much of Objects as codecs need, in a folder that lives as long as the step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        digest = sha256(data)
        (self._folder / digest).write_bytes(data)
        return digest

    def put_file(self, path: Path) -> str:
        return self.put(path.read_bytes())

    def get(self, digest: str) -> bytes:
        path = self._folder / digest
        if not path.is_file():
            raise NotFoundError(f"There is no object {digest}.")
        return path.read_bytes()

    def fetch(self, digest: str, target: Path) -> None:
        shutil.copyfile(self._folder / digest, target)


class _Nowhere(_Folder):
    """Keeps nothing: a value is only checked."""

    def __init__(self) -> None:
        super().__init__(Path())

    def put(self, data: bytes) -> str:
        return sha256(data)

"""A model whose code is not ours: what is kept of it, and how it answers from its child.

Its files stay as they came. They run in a process of their own, which shares nothing with this one
but a socket; a call that hangs is ended, and the next one starts another child.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.errors import (
    BadInputError,
    DeadlineError,
    ModelFailedError,
    UnavailableError,
)
from mainspring.ground.objects import Column, Kind, Signature
from mainspring.scaling.models.apart import environments, loaders, places
from mainspring.scaling.models.apart.environments import Wanted
from mainspring.scaling.models.apart.spawned import (
    EndedError,
    HungError,
    Launch,
    RaisedError,
    Spawned,
    encode,
    own_path,
)
from mainspring.scaling.models.check import Prepared, check_frame
from mainspring.scaling.models.ours import Floats, Ours

FILE = "apart.json"
FOLDER = "origin"
CALL_S = 60.0  #: a batch that takes longer is given up, and the child is ended
LOAD_S = 300.0

#: The kernel ends a child when the thread that started it ends: this one does not.
_starting: list[ThreadPoolExecutor] = []
_lock = threading.Lock()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``apart.json``: how the code of a model is loaded, and what its answers mean."""

    loader: Literal["pyfunc", "predictor"]
    kind: Kind
    columns: list[Column]  #: what it takes
    classes: list[str] = []  #: in the order of its scores
    entry: str = ""  #: of a predictor: ``file.py:Class``
    types: dict[str, str] = {}  #: of a pyfunc: MLflow's word for each column
    tensor: bool = False  #: of a pyfunc: it takes one matrix
    environment: Wanted | None = None  #: None: the Python of Mainspring
    origin: str = ""  #: digest of the package it came in: the one that a person trusted


class Apart(Ours):
    """A model that a child process scores. Safe to use from several threads, one at a time."""

    waits = True
    no_onnx = "Its code is its own, so there is no way to convert it."

    def __init__(
        self, facts: Facts, files: Mapping[str, str], read: Callable[[str], bytes]
    ) -> None:
        classes = np.asarray(facts.classes, dtype=object) if facts.classes else None
        super().__init__(facts.kind, [column.name for column in facts.columns], classes)
        self.facts, self.files, self.read = facts, dict(files), read
        self._signature = Signature(
            columns=[msgspec.structs.replace(one, nullable=True) for one in facts.columns],
            kind=facts.kind,
            target="",
            classes=facts.classes,
        )
        self._width = len(facts.classes) if facts.kind == "multiclass" else 1
        self._child: list[Spawned] = []
        self._turn = threading.Lock()
        weakref.finalize(self, _end, self._child)

    def scores(self, features: Any) -> Floats:
        """Return scores of shape (rows, k).

        Raises:
            ModelFailedError: if the model raised.
            DeadlineError: if it did not answer within a minute.
            UnavailableError: if its process ended.
        """
        rows = check_frame(pl.DataFrame(features), self._signature)
        if not rows.rows:
            return np.empty((0, self._width))
        with self._turn:
            return self._ask(rows)

    def _ask(self, rows: Prepared) -> Floats:
        head, body = encode(rows)
        child = self._started()
        try:
            return child.ask(head, body, rows.rows, self._width, monotonic() + CALL_S)
        except RaisedError as error:
            raise ModelFailedError(f"The model raised {error}.", trace=error.trace) from error
        except HungError:
            _end(self._child)
            raise DeadlineError(f"The model did not answer within {CALL_S:g} s.") from None
        except EndedError as error:
            _end(self._child)
            raise UnavailableError(f"The model's process is gone: {error.why}.") from error

    def _started(self) -> Spawned:
        if self._child and self._child[0].alive():
            return self._child[0]
        _end(self._child)
        child = started(launch(self.facts, self.files, self.read))
        self._child.append(child)
        return child


def launch(facts: Facts, files: Mapping[str, str], read: Callable[[str], bytes]) -> Launch:
    """Return how a child loads a model; its files are unpacked and its environment is there.

    ``files`` are those of the model, digest by path; ``read`` gives the bytes of a path.

    Raises:
        BadInputError, UnavailableError: if its environment cannot be built.
    """
    folder = places.unpacked(files, read)
    told: dict[str, Any] = {"folder": str(folder), "kind": facts.kind, "classes": facts.classes}
    told |= {"entry": facts.entry, "types": facts.types, "tensor": facts.tensor}
    loader = f"{loaders.__file__}:{facts.loader}"
    if facts.environment is None:
        return Launch(loader=loader, told=told, path=own_path(), load_s=LOAD_S)
    python = environments.python_of(facts.environment, places.cache() / "environments")
    return Launch(loader=loader, told=told, python=str(python), load_s=LOAD_S)


def started(asked: Launch) -> Spawned:
    """Return a child that has loaded its model.

    Raises:
        BadInputError: if it cannot be loaded, with what it said.
    """
    with _lock:
        if not _starting:
            _starting.append(ThreadPoolExecutor(1, "apart"))
    child = _starting[0].submit(Spawned, asked, None).result()
    until = monotonic() + asked.load_s
    heard = None
    while heard is None and monotonic() < until:
        heard = child.heard()
        if heard is None:
            _wait(child)
    if heard == {}:
        return child
    child.close()
    told = heard or {"error": "DeadlineError", "message": f"not within {asked.load_s:g} s"}
    raise BadInputError(
        f"The model cannot be loaded: {told['error']}: {told['message'][:500]}", field="version"
    )


def _wait(child: Spawned) -> None:
    import select

    with contextlib.suppress(OSError, ValueError):
        select.select([child.fileno()], [], [], 0.5)


def _end(held: list[Spawned]) -> None:
    while held:
        held.pop().close()


def origin_files(paths: Mapping[str, str]) -> dict[str, str]:
    """Return the model's own files among those of a package, digest by path."""
    start = f"{FOLDER}/"
    return {path[len(start) :]: digest for path, digest in paths.items() if path.startswith(start)}


def loaded(paths: Mapping[str, str], read: Callable[[str], bytes]) -> Apart:
    """Return the model of a package; its child is started when it first scores."""
    facts = msgspec.json.decode(read(FILE), type=Facts)
    return Apart(facts, origin_files(paths), lambda path: read(f"{FOLDER}/{path}"))

"""How far a long step is, kept while it runs: the next attempt goes on from there.

A checkpoint is a value like any output, kept as objects by digest, and a row that names them
under the key of the step: of its code and its inputs. So an attempt of other code or on other
inputs never meets it, and one of the same does, in this run or in another. The row is written
when the bytes are safe; what is damaged all the same is passed over for the one before.

This is what the step's own process needs, whatever environment it runs in; the rows are in
:mod:`checkpoint_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.ports import Objects
from mainspring.pipelines import outputs
from mainspring.pipelines.context import current

KEEP = 3  #: of one step, the newest
MOST = 1_000_000_000  #: largest step number
#: Whose a checkpoint is: the step's, one worker's own by steps that all count alike, or the folder
#: of one worker's script, whose numbers say nothing to the others.
Whose = Literal["step", "own", "folder"]


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a step was, and what it had by then."""

    step: int
    value: Any


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it is kept."""

    step: int
    digest: str
    type: str
    blobs: list[str] = []  #: every object it needs


class Writer(Protocol):
    """Writes a checkpoint's row: for good, when it returns."""

    def __call__(
        self, step: int, stored: outputs.Stored, keep: int, drop: list[int], whose: Whose
    ) -> None:
        """Keep what is stored as the checkpoint of a step, or one worker's; forget some."""
        ...


class Shelf:
    """The checkpoints of the step that is running. Without a writer nothing is kept."""

    def __init__(
        self,
        objects: Objects,
        there: Sequence[Kept],
        folder: Path,
        write: Writer | None,
        whose: Whose = "step",
    ) -> None:
        self._objects, self._folder, self._write, self._whose = objects, folder, write, whose
        self._there = sorted(there, key=lambda one: one.step)
        self._damaged: list[int] = []

    def put(self, value: Any, step: int, keep: int) -> None:
        """Keep a value as how far the step is."""
        if self._write is None:
            return
        stored = outputs.encode(value, self._objects, "The checkpoint cannot be kept")
        self._write(step, stored, keep, self._damaged, self._whose)
        self._damaged = []
        kept = Kept(step=step, digest=stored.digest, type=stored.type)
        self._there = [*(one for one in self._there if one.step != step), kept][-keep:]

    def last(self) -> Checkpoint | None:
        """Return the newest checkpoint whose bytes are what they were."""
        while self._there:
            newest = self._there[-1]
            folder = self._folder / f"{self._whose}-checkpoint-{newest.step}"
            try:
                value = outputs.decode(newest.digest, newest.type, self._objects, folder)
            except (DamagedError, NotFoundError) as error:
                print(f"Checkpoint {newest.step} is passed over: {error.message}", flush=True)  # noqa: T201
                self._damaged.append(self._there.pop().step)
                continue
            return Checkpoint(newest.step, value)
        return None


def checkpoint(value: Any, *, step: int, keep: int = KEEP, own: bool = False) -> None:
    """Keep how far the running step is: what it needs to go on from ``step``.

    ``value`` may be whatever a step may return: a frame, an array, a dict of them, a fitted
    model, the Path of a file or a folder. When this returns it is kept for good, whatever is
    killed then; the newest ``keep`` of a step stay, and all go when the step is done.
    ``step`` counts up, such as the epoch that is done.

    Of several workers the first one's is kept, and all of them find it. With ``own`` each worker
    keeps its own, such as its part of the weights: all call it with the same steps, and what all
    have is what they go on from. Called outside of a pipeline's run, nothing happens but the
    check of ``step``.

    >>> checkpoint([0.5, 1.5], step=3)

    Raises:
        BadInputError: if ``step`` is no whole number from 0, or ``keep`` none from 1.
        ProjectError, NotExactError: if the value cannot be kept.
        StoreError: if the disk or the database refuses it.
    """
    _check("step", step, 0)
    _check("keep", keep, 1)
    context = current()
    shelf = None if context is None else context.own_shelf if own else context.shelf
    if shelf is not None:
        shelf.put(value, step, keep)


def last_checkpoint(*, own: bool = False) -> Checkpoint | None:
    """Return the last checkpoint of this very step, on the same inputs by the same code; or None.

    ``found.step`` and ``found.value`` are what was given to :func:`checkpoint`. One whose bytes
    are damaged is passed over for the one before. All workers of a step find the same; with
    ``own`` each finds its own value, of the last step that all of them have whole.

    >>> last_checkpoint() is None  # nothing is running
    True
    """
    context = current()
    shelf = None if context is None else context.own_shelf if own else context.shelf
    return None if shelf is None else shelf.last()


def _check(name: str, number: object, least: int) -> None:
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or not least <= number <= MOST:  # type: ignore[operator]
        raise BadInputError(
            f"{name} must be a whole number from {least}, found {number!r}.", field=name
        )

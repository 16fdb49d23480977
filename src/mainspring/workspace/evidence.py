"""Gather labelled traffic: captures from the files, labels from the store, joined by id."""

from __future__ import annotations

import threading
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import polars as pl

from mainspring.ground.objects import Signature
from mainspring.ground.ports import Objects, Tx
from mainspring.monitoring import labels
from mainspring.monitoring.sight import Floats
from mainspring.scaling.models import load, package
from mainspring.scaling.serving import capture

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: Rows of labels kept in memory for each endpoint; beyond it they are read anew each time.
KEPT_LABELS = 3_000_000


class LabelShelf:
    """Labels read once: batches are only ever added, so what was read stays true."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelf: dict[str, tuple[int, pl.DataFrame]] = {}

    def all(self, tx: Tx, endpoint: str) -> tuple[int, pl.DataFrame]:
        """Return the newest batch number and every label of an endpoint, in batch order."""
        with self._lock:
            last, known = self._shelf.get(endpoint, (0, None))
            new = labels.read(tx, endpoint, after=last)
            if new.height:
                newest = int(new["_batch"].max() or last)  # type: ignore[arg-type]
                known = new if known is None else pl.concat([known, new])
                last = newest
                if known.height <= KEPT_LABELS:
                    self._shelf[endpoint] = (last, known)
            return last, new if known is None else known


class References:
    """The reference rows of the last versions asked for; a package never changes."""

    def __init__(self, objects: Objects) -> None:
        self.of = lru_cache(maxsize=8)(partial(package.reference, objects=objects))


class Models:
    """The models of the last versions asked for, loaded when they are first to score."""

    def __init__(self, objects: Objects) -> None:
        self._load = lru_cache(maxsize=8)(partial(load.load, objects=objects))

    def score(self, digest: str, rows: pl.DataFrame) -> Floats:
        """Return a packaged model's scores of raw rows, shape (rows, k)."""
        return self._load(digest).score(rows)

    def features(self, digest: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the features of raw rows as serving computes them."""
        return self._load(digest).features(rows)


def labels_known(shelf: LabelShelf, tx: Tx, endpoint: str, at: float) -> pl.DataFrame:
    """Return the labels of an endpoint as they were known at an event time."""
    if labels.came_after(tx, endpoint, at):
        return labels.read(tx, endpoint, known_at=at)
    return shelf.all(tx, endpoint)[1]


def labelled(
    ws: Workspace,
    shelf: LabelShelf,
    tx: Tx,
    endpoint: str,
    signature: Signature,
    since: float,
    until: float,
) -> pl.DataFrame:
    """Return the captured rows with since <= event time < until that have a label.

    Columns are those of ``capture.read`` plus ``_label``, ``_batch`` and ``_y``.
    """
    captured = capture.read(ws.captures(endpoint), since, until)
    _, known = shelf.all(tx, endpoint)
    return labels.join(captured, known, signature)

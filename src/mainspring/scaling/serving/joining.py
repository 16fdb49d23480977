"""Let requests that wait together be scored by one call, without any of them noticing.

The router answers each request by itself, as if it were alone: it draws shares, compares versions
and counts per request. What it gets for a scorer is a :class:`Joined` one: the first request of
the batch has the rows of all scored, the others find their scores there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Signature
from mainspring.numerics.rowwise import RowChecks
from mainspring.scaling.models.check import Prepared, Values
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving.router import Generation, Variant

Floats = npt.NDArray[np.float64]


class Joined:
    """A scorer that scores the rows of several requests at once.

    If that fails, each request is scored alone, once: a bad row fails its own request.
    """

    def __init__(self, served: Scorer, parts: Sequence[Prepared]) -> None:
        self.digest: str = served.digest
        self.signature: Signature = served.signature
        self.form: str = served.form
        self.asks: RowChecks = served.asks
        self._served = served
        self._parts = parts
        self._scores: dict[int, Floats] | None = None
        self._failed = False
        self.found = False  #: the last scores were there already, so their time says nothing

    @property
    def inline(self) -> bool:
        """Return whether a few rows may be scored in the event loop."""
        return self._served.inline

    @property
    def held_bytes(self) -> int:
        """Return about how much memory it holds in this process."""
        return self._served.held_bytes

    def check(self, columns: Mapping[str, Any]) -> Prepared:
        """Return rows ready to be scored."""
        return self._served.check(columns)

    def score(self, rows: Prepared) -> Floats:
        """Return the scores of one request's rows; of others than those joined, as they are."""
        self.found = self._scores is not None
        if self._failed or not any(rows is part for part in self._parts):
            return self._served.score(rows)
        if self._scores is None:
            try:
                self._scores = self._all()
            # Whatever it raises may be the fault of one request: each is tried alone.
            except Exception:  # noqa: BLE001
                self._failed = True
                return self._served.score(rows)
        return self._scores[id(rows)]

    def _all(self) -> dict[int, Floats]:
        whole = self._served.score(joined(self._parts))
        found, start = {}, 0
        for part in self._parts:
            found[id(part)] = whole[start : start + part.rows]
            start += part.rows
        if len(whole) != start:
            raise ValueError(f"the model gave {len(whole)} scores for {start} rows")
        return found

    def labels(self, scores: Floats) -> list[Any]:
        """Return what scores say in the target's own words."""
        return self._served.labels(scores)

    def warm(self) -> None:
        """Load now what would otherwise be loaded later."""
        self._served.warm()

    def close(self) -> None:
        """Leave the scorer to its owner."""


def joined(parts: Sequence[Prepared]) -> Prepared:
    """Return the rows of several requests, one below the other; all are of one :func:`shape`."""
    first = parts[0]
    columns: dict[str, Values] = {}
    for name, values in first.columns.items():
        if isinstance(values, list):
            columns[name] = [value for part in parts for value in part.columns[name]]
        else:
            columns[name] = np.concatenate([part.columns[name] for part in parts])
    return Prepared(sum(part.rows for part in parts), columns, first.types)


def shape(rows: Prepared) -> tuple[Any, ...]:
    """Return what must be equal for rows to be scored together as they would be alone.

    The types of the arrays (whole numbers next to decimals would become decimals), and whether a
    value is missing: some forms leave such rows to another one.
    """
    kinds = tuple(
        "t" if isinstance(values, list) else values.dtype.char for values in rows.columns.values()
    )
    return (kinds, rows.has_missing())


def together(now: Generation, champion: Variant, parts: Sequence[Prepared]) -> tuple[Any, Variant]:
    """Return a generation and its version whose scorers score some requests at once."""
    known: dict[int, Variant] = {}

    def of(variant: Variant) -> Variant:
        if id(variant) not in known:
            served = Joined(variant.served, parts)
            known[id(variant)] = dataclasses.replace(variant, served=served)
        return known[id(variant)]

    changes: dict[str, Any] = {}
    for field in dataclasses.fields(now):
        value = getattr(now, field.name)
        if isinstance(value, Variant):
            changes[field.name] = of(value)
        elif isinstance(value, tuple):
            changes[field.name] = tuple(of(v) if isinstance(v, Variant) else v for v in value)
    return dataclasses.replace(now, **changes), of(champion)

"""Which versions runs made, asked for many runs at once: the edges that the registry knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select, tuple_

from mainspring.ground.ports import Tx
from mainspring.readiness.tables import aliases, deleted_models, deleted_versions, versions

_PART = 400  # a database takes a bounded number of variables


class Kin(msgspec.Struct, frozen=True):
    """A version as lineage sees it."""

    model: str
    number: int
    run: str | None
    package: str
    created: float
    deleted: bool

    @property
    def name(self) -> str:
        """Return how it is spoken of."""
        return f"{self.model}/{self.number}"


def of_runs(tx: Tx, runs: Sequence[str]) -> list[Kin]:
    """Return the versions that runs made."""
    return [one for part in _parts(runs) for one in _some(tx, versions.c.run.in_(part))]


def named(tx: Tx, several: Sequence[tuple[str, int]]) -> list[Kin]:
    """Return versions by model and number."""
    key = tuple_(versions.c.model, versions.c.number)
    return [one for part in _parts(several) for one in _some(tx, key.in_(part))]


def newest(tx: Tx, model: str, limit: int) -> list[Kin]:
    """Return the newest versions of a model, the newest first."""
    return _some(tx, versions.c.model == model, limit)


def named_by(tx: Tx, models: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return (model, alias, number) of every alias of some models."""
    query = select(aliases).where(aliases.c.model.in_(list(models))).order_by(aliases.c.alias)
    return [(row.model, row.alias, int(row.number)) for row in tx.all(query)]


def _parts(several: Sequence[Any]) -> list[list[Any]]:
    return [list(several[at : at + _PART]) for at in range(0, len(several), _PART)]


def _some(tx: Tx, which: Any, newest: int | None = None) -> list[Kin]:
    v, gone, lost = versions.c, deleted_versions.c, deleted_models.c
    query = (
        select(v.model, v.number, v.run, v.package, v.created, gone.at, lost.at.label("lost"))
        .outerjoin(deleted_versions, (gone.model == v.model) & (gone.number == v.number))
        .outerjoin(deleted_models, lost.model == v.model)
        .where(which)
        .order_by(v.model, v.number if newest is None else v.number.desc())
        .limit(newest)
    )
    return [
        Kin(
            row.model,
            int(row.number),
            row.run,
            row.package,
            row.created,
            row.at is not None or row.lost is not None,
        )
        for row in tx.all(query)
    ]

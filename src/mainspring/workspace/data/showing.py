"""Show a version: the tables in it, column by column, and the runs that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from mainspring.experiments import tables as experiments
from mainspring.ground.errors import MainspringError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.profiles import ColumnProfile
from mainspring.pipelines.data.versions import DataVersion, of_digest, resolve
from mainspring.workspace.data import comparing
from mainspring.workspace.data.places import Tell, quiet
from mainspring.workspace.data.profiles import profile_of, schema_of, tables_of

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

MOST_TABLES, MOST_RUNS = 50, 100


class ColumnTold(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a table, in figures."""

    name: str
    type: str  #: as its file says it, or as what its values are written as
    missing: int
    distinct: float | None
    low: float | None
    high: float | None
    mean: float | None
    std: float | None
    quantiles: dict[str, float] = {}
    edges: list[float] = []  #: the right edges of the bins
    counts: list[int] = []
    categories: dict[str, int] = {}  #: the most frequent values


class TableTold(msgspec.Struct, frozen=True, kw_only=True):
    """A table in a version."""

    name: str
    parts: int
    bytes: int
    rows: int | None
    columns: list[ColumnTold] = []
    why: str = ""  #: it could not be read, and why


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A run that read it."""

    run: str
    name: str
    started: float
    context: str


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a version."""

    version: DataVersion
    tables: list[TableTold]
    tables_left: int
    readers: list[Reader]
    same: list[str]  #: other versions of the same content


def describe(
    ws: Workspace, reference: str, *, counted: bool = True, tell: Tell = quiet
) -> Described:
    """Return the tables of a version, column by column, and who read it.

    Without ``counted`` no table is read: only its name and size are told.

    Raises:
        NotFoundError: if there is no such version.
    """
    version = ws.read(Permission.READ, lambda tx: resolve(tx, reference))
    side = comparing.version_side(ws, version.reference)
    tables = list(tables_of(side.entries).values())
    told = []
    for one in tables[:MOST_TABLES]:
        size = sum(entry.size for entry in one.parts)
        if not counted:
            told.append(TableTold(name=one.name, parts=len(one.parts), bytes=size, rows=None))
            continue
        try:
            profile, schema = profile_of(ws, side, one, tell), schema_of(side, one)
        except MainspringError as error:
            told.append(
                TableTold(
                    name=one.name, parts=len(one.parts), bytes=size, rows=None, why=error.message
                )
            )
            continue
        columns = [_column(column, schema) for column in profile.columns]
        told.append(
            TableTold(
                name=one.name, parts=len(one.parts), bytes=size, rows=profile.rows, columns=columns
            )
        )
    readers = ws.read(Permission.READ, lambda tx: _readers(tx, version))
    return Described(
        version=version,
        tables=told,
        tables_left=max(len(tables) - MOST_TABLES, 0),
        readers=readers,
        same=ws.read(Permission.READ, lambda tx: _same(tx, version)),
    )


def _column(one: ColumnProfile, schema: dict[str, str]) -> ColumnTold:
    most = sorted(one.categories.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    return ColumnTold(
        name=one.name,
        type=schema.get(one.name, one.kind),
        missing=one.missing,
        distinct=one.distinct,
        low=one.low,
        high=one.high,
        mean=one.mean,
        std=one.std,
        quantiles=one.quantiles,
        edges=one.edges,
        counts=one.counts,
        categories=dict(most),
    )


def _readers(tx: Tx, version: DataVersion) -> list[Reader]:
    """Return the runs that said they read this content, the newest first."""
    used, sets, runs = experiments.run_datasets, experiments.datasets, experiments.runs
    found = (
        select(runs.c.id, runs.c.name, runs.c.started, used.c.context)
        .join(used, used.c.run == runs.c.id)
        .join(sets, used.c.dataset == sets.c.id)
        .where(sets.c.digest == version.digest)
        .order_by(runs.c.started.desc(), runs.c.id)
        .limit(MOST_RUNS)
    )
    return [
        Reader(run=row.id, name=row.name, started=row.started, context=row.context)
        for row in tx.all(found)
    ]


def _same(tx: Tx, version: DataVersion) -> list[str]:
    names = [one.reference for one in of_digest(tx, version.digest)]
    return [name for name in names if name != version.reference]

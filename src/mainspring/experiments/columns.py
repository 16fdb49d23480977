"""Load found runs with the columns that were asked for, and say which columns there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, Table, func, select

from mainspring.experiments.expressions import TEXTS, Kind
from mainspring.experiments.latest import from_cell
from mainspring.experiments.tables import metrics, params, runs, tags
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx

_AT_ONCE = 500  #: SQLite takes a bounded number of variables
_TABLES: dict[str, Table] = {"metric": metrics, "param": params, "tag": tags}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A metric, param or tag that some runs have."""

    key: str
    runs: int  #: how many of the runs that were looked at have it


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns there are; those that most runs have come first."""

    metrics: list[Column]
    params: list[Column]
    tags: list[Column]
    looked_at: int  #: how many runs were counted


def load(
    tx: Tx, ids: Sequence[str], columns: Sequence[tuple[Kind, str]] | None = None
) -> list[Run]:
    """Return runs by their ids, in the same order; those that are not there are left out.

    Args:
        tx: The transaction.
        ids: Which runs.
        columns: Only these metrics, params and tags; None is all of them.
    """
    found: dict[str, Run] = {}
    wanted = None if columns is None else _by_kind(columns)
    for part in _parts(ids):
        held = {
            kind: _cells(tx, table, part, None if wanted is None else wanted[kind])
            for kind, table in _TABLES.items()
        }
        for row in tx.all(select(runs).where(runs.c.id.in_(part))):
            found[row.id] = Run(
                id=row.id,
                experiment=row.experiment,
                name=row.name,
                status=RunStatus(row.status),
                started=row.started,
                ended=row.ended,
                pipeline=row.pipeline,
                parent=row.parent,
                cause=row.cause,
                params=held["param"].get(row.id, {}),
                metrics=held["metric"].get(row.id, {}),
                tags=held["tag"].get(row.id, {}),
            )
    return [found[run] for run in ids if run in found]


def known(tx: Tx, ids: Sequence[str], *, prefix: str = "", limit: int = 1000) -> Known:
    """Return which metrics, params and tags some runs have, and how many have each.

    Args:
        tx: The transaction.
        ids: Which runs to look at.
        prefix: Only keys that begin so.
        limit: How many of each kind at most.
    """
    counted: dict[str, dict[str, int]] = {kind: {} for kind in _TABLES}
    for part in _parts(ids):
        for kind, table in _TABLES.items():
            statement = select(table.c.key, func.count().label("runs"))
            statement = statement.where(table.c.run.in_(part)).group_by(table.c.key)
            for row in tx.all(statement):
                if row.key.startswith(prefix):
                    counted[kind][row.key] = counted[kind].get(row.key, 0) + row.runs
    sorted_ = {
        kind: [
            Column(key=key, runs=number)
            for key, number in sorted(of_kind.items(), key=lambda each: (-each[1], each[0]))
        ][:limit]
        for kind, of_kind in counted.items()
    }
    return Known(
        metrics=sorted_["metric"],
        params=sorted_["param"],
        tags=sorted_["tag"],
        looked_at=len(ids),
    )


def attribute_of(run: Run, key: str) -> Any:
    """Return what a run's column of that name shows: an attribute such as ``duration``."""
    if key == "duration":
        return None if run.ended is None else run.ended - run.started
    if key in TEXTS and not hasattr(run, key):  # group and user are tags
        return run.tags.get(f"mainspring.{key}")
    return getattr(run, key)


def _parts(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield list(ids[start : start + _AT_ONCE])


def _by_kind(columns: Sequence[tuple[Kind, str]]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {kind: [] for kind in _TABLES}
    for kind, key in columns:
        if kind in wanted:
            wanted[kind].append(key)
        elif key in ("group", "user"):
            wanted["tag"].append(f"mainspring.{key}")
    return wanted


def _cells(
    tx: Tx, table: Table, ids: list[str], keys: list[str] | None
) -> dict[str, dict[str, Any]]:
    """Return what each run has in a table, by run and key; the keys in order."""
    if keys == []:
        return {}
    statement: Select[Any] = select(table.c.run, table.c.key, table.c.value)
    statement = statement.where(table.c.run.in_(ids))
    if keys is not None:
        statement = statement.where(table.c.key.in_(keys))
    read = from_cell if table is metrics else str
    out: dict[str, dict[str, Any]] = {}
    for run, key, value in tx.all(statement.order_by(table.c.run, table.c.key)):
        out.setdefault(run, {})[key] = read(value)
    return out

"""How runs belong together: children of a run, groups of an experiment, experiments as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, select

from mainspring.experiments.latest import from_cell
from mainspring.experiments.reserved import GROUP
from mainspring.experiments.tables import deleted_runs, metrics, runs, tags
from mainspring.ground.ports import Tx

_PART = 500  # SQLite takes a bounded number of variables


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs there are of something, deleted ones apart."""

    runs: int = 0
    running: int = 0
    failed: int = 0  #: failed or crashed
    deleted: int = 0
    newest: float | None = None  #: when the newest of those not deleted began


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The run that has the best value of a metric."""

    run: str
    name: str
    value: float


def child_counts(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """Return how many children each run has; runs without any are left out."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), _PART):
        statement = (
            select(runs.c.parent, func.count().label("number"))
            .where(runs.c.parent.in_(list(ids[start : start + _PART])), _shown())
            .group_by(runs.c.parent)
        )
        found.update((row.parent, row.number) for row in tx.all(statement))
    return found


def children(tx: Tx, run: str, limit: int) -> list[str]:
    """Return the ids of a run's children, newest first."""
    statement = select(runs.c.id).where(runs.c.parent == run, _shown())
    statement = statement.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(limit)
    return [row.id for row in tx.all(statement)]


def deleted_since(tx: Tx, run: str) -> float | None:
    """Return when a run was deleted, or None."""
    row = tx.one(select(deleted_runs.c.at).where(deleted_runs.c.run == run))
    return None if row is None else float(row.at)


def tallies(tx: Tx) -> dict[str, Tally]:
    """Return what each experiment holds, by its key; one without runs is left out."""
    gone = deleted_runs.c.run
    joined = runs.outerjoin(deleted_runs, gone == runs.c.id)
    statement = (
        select(
            runs.c.experiment,
            runs.c.status,
            gone.is_not(None).label("gone"),
            func.count().label("number"),
            func.max(runs.c.started).label("newest"),
        )
        .select_from(joined)
        .group_by(runs.c.experiment, runs.c.status, gone.is_not(None))
    )
    found: dict[str, Tally] = {}
    for row in tx.all(statement):
        found[row.experiment] = _added(found.get(row.experiment, Tally()), row)
    return found


def group_tallies(tx: Tx, experiment: str) -> dict[str, Tally]:
    """Return what each group of an experiment holds, by its name; deleted runs are left out."""
    of_group = (tags.c.run == runs.c.id) & (tags.c.key == GROUP)
    statement = (
        select(
            tags.c.value.label("name"),
            runs.c.status,
            func.count().label("number"),
            func.max(runs.c.started).label("newest"),
        )
        .select_from(runs.join(tags, of_group))
        .where(runs.c.experiment == experiment, _shown())
        .group_by(tags.c.value, runs.c.status)
    )
    found: dict[str, Tally] = {}
    for row in tx.all(statement):
        found[row.name] = _added(found.get(row.name, Tally()), row)
    return found


def roots(tx: Tx, experiment: str, group: str | None, limit: int) -> list[str]:
    """Return the newest runs of a group that are nobody's child; of no group if it is None."""
    of_group = (tags.c.run == runs.c.id) & (tags.c.key == GROUP)
    named = tags.c.value.is_(None) if group is None else tags.c.value == group
    statement = (
        select(runs.c.id)
        .select_from(runs.outerjoin(tags, of_group))
        .where(runs.c.experiment == experiment, runs.c.parent.is_(None), named, _shown())
        .order_by(runs.c.started.desc(), runs.c.id.desc())
        .limit(limit)
    )
    return [row.id for row in tx.all(statement)]


def best(tx: Tx, experiment: str, metric: str, *, highest: bool) -> Best | None:
    """Return the run of an experiment with the best latest value of a metric, or None."""
    value = metrics.c.value
    statement = (
        select(runs.c.id, runs.c.name, value)
        .select_from(runs.join(metrics, metrics.c.run == runs.c.id))
        .where(runs.c.experiment == experiment, metrics.c.key == metric)
        .where(value.is_not(None), _shown())
        .order_by(value.desc() if highest else value.asc(), runs.c.id)
        .limit(1)
    )
    row = tx.one(statement)
    if row is None:
        return None
    return Best(run=row.id, name=row.name, value=from_cell(row.value))


def _added(tally: Tally, row: Any) -> Tally:
    number, status = row.number, row.status
    if getattr(row, "gone", False):
        return msgspec.structs.replace(tally, deleted=tally.deleted + number)
    return Tally(
        runs=tally.runs + number,
        running=tally.running + (number if status == "running" else 0),
        failed=tally.failed + (number if status in ("failed", "crashed") else 0),
        deleted=tally.deleted,
        newest=max(row.newest, tally.newest or row.newest),
    )


def _shown() -> ColumnElement[bool]:
    return runs.c.id.not_in(select(deleted_runs.c.run))

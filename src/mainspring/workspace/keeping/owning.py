"""Find the rows that belong to a run, in whichever tables the rooms keep them.

A table belongs to runs if its rows refer to them (a foreign key), or to rows that do. So a
room that gives runs another table needs to do nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, or_, select, tuple_, update

from mainspring.engine.tables import edges, tasks
from mainspring.experiments.tables import experiments, logged_models, run_models, runs
from mainspring.ground.ports import Tx
from mainspring.workspace.keeping import texts

#: Rows of a run without a foreign key: other rooms', and what is told of runs that may be gone.
_BY_NAME = frozenset({"steps", "step_results", "callbacks", "checkpoints", "run_notes"})


def of_runs(ids: Sequence[str]) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return tables and the condition on what belongs to these runs, the runs' own last."""
    found = _below(runs, runs.c.id.in_(list(ids)))
    for table in texts.tables():
        if table.name in _BY_NAME:
            found.insert(0, (table, table.c.run.in_(list(ids))))
    return found


def of_experiments(numbers: Sequence[int]) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return tables and the condition on what belongs to these experiments but for their runs."""
    return _below(experiments, experiments.c.id.in_(list(numbers)))


def remove_runs(tx: Tx, ids: Sequence[str]) -> int:
    """Delete runs for good, with everything that is theirs; return how many rows went."""
    work = select(tasks.c.id).where(tasks.c.group.in_(list(ids)))
    count = tx.run(delete(edges).where(or_(edges.c.task.in_(work), edges.c.needs.in_(work))))
    count += tx.run(delete(tasks).where(tasks.c.group.in_(list(ids))))
    return count + _remove(tx, runs, of_runs(ids))


def remove_models(tx: Tx, ids: Sequence[str]) -> int:
    """Delete logged models for good; return how many rows went."""
    count = 0
    for start in range(0, len(ids), 500):  # SQLite takes a bounded number of variables
        part = list(ids[start : start + 500])
        count += tx.run(delete(run_models).where(run_models.c.model.in_(part)))
        rows = _below(logged_models, logged_models.c.id.in_(part))
        count += _remove(tx, logged_models, rows)
    return count


def remove_experiment(tx: Tx, number: int) -> int:
    """Delete an experiment that has no runs for good; return how many rows went."""
    return _remove(tx, experiments, of_experiments([number]))


def _remove(tx: Tx, root: Table, rows: list[tuple[Table, ColumnElement[bool]]]) -> int:
    there = {table.name for table, _ in rows}
    for table in root.metadata.tables.values():
        for key in table.foreign_key_constraints:
            if table.name not in there and key.referred_table.name in there:  # may be without it
                where = next(one for found, one in rows if found is key.referred_table)
                gone = _refers(key, where)
                tx.run(update(table).where(gone).values({c.name: None for c in key.columns}))
    return sum(tx.run(delete(table).where(where)) for table, where in rows)


def _below(root: Table, where: ColumnElement[bool]) -> list[tuple[Table, ColumnElement[bool]]]:
    found: dict[Table, ColumnElement[bool]] = {root: where}
    for table in root.metadata.sorted_tables:
        for key in sorted(table.foreign_key_constraints, key=lambda one: str(one.column_keys)):
            above = key.referred_table
            optional = any(column.nullable for column in key.columns)
            if above is table or above not in found or optional:
                continue
            refers = _refers(key, found[above])
            found[table] = or_(found[table], refers) if table in found else refers
    return list(reversed(found.items()))


def _refers(key: Any, where: ColumnElement[bool]) -> ColumnElement[bool]:
    there = select(*(element.column for element in key.elements)).where(where)
    columns = list(key.columns)
    return (tuple_(*columns) if len(columns) > 1 else columns[0]).in_(there)

"""Say why a run must stay: a version came from it, another run builds on it, it still runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Table, select

from mainspring.engine.tables import tasks
from mainspring.engine.tasks import FINAL
from mainspring.experiments.tables import deleted_runs, runs
from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import steps
from mainspring.readiness.tables import versions
from mainspring.workspace.keeping import owning, texts

AT_ONCE = 500  #: SQLite takes a bounded number of variables


def needed(tx: Tx, wanted: Collection[str], *, hidden_too: bool) -> dict[str, str]:
    """Return which of these runs must stay, and why, in words.

    A run that is needed only by others that may go as well may go with them. ``hidden_too``:
    a deleted run counts as well, because it could be restored.
    """
    kept = dict(_by_themselves(tx, sorted(wanted)))
    users = _users(tx, sorted(wanted), hidden_too=hidden_too)
    while True:
        going = set(wanted) - kept.keys()
        found = {
            run: f"run {user} {how}"
            for run in going
            for user, how in users.get(run, ())
            if user not in going
        }
        if not found:
            return kept
        kept |= found


def _by_themselves(tx: Tx, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Go through what is needed whatever becomes of other runs; the plainest reason comes last."""
    yield from named(tx, set(wanted))
    for part in in_parts(wanted):
        open_ = select(tasks.c.group).where(tasks.c.group.in_(part), tasks.c.state.not_in(FINAL))
        for row in tx.all(open_):
            yield row.group, "its work is not finished"
        for row in tx.all(select(versions).where(versions.c.run.in_(part))):
            yield row.run, f"version {row.model}/{row.number} came from it"
        running = select(runs.c.id).where(runs.c.id.in_(part), runs.c.status == "running")
        for row in tx.all(running):
            yield row.id, "it is still running"


def named(tx: Tx, wanted: set[str]) -> Iterator[tuple[str, str]]:
    """Go through what versions, loops, decisions, alarms, gates and cards say."""
    if not wanted:
        return
    for table in _telling():
        columns = texts.texts_of(table)
        key = [column.name for column in table.primary_key.columns]
        for row in texts.pages(tx, table, columns):
            said: set[str] = set()
            for cell in row:
                if isinstance(cell, str) and cell:
                    said |= texts.words_in(cell)
            for run in said & wanted:
                where = "/".join(str(getattr(row, name)) for name in key)
                yield run, f"{table.name.removesuffix('s')} {where} names it"


def _telling() -> list[Table]:
    """Return the tables whose words keep a run: not its own, not those of its work."""
    own = {table.name for table, _ in [*owning.of_runs(["x"]), *owning.of_experiments([0])]}
    own |= {"tasks", "edges", "journals", "datasets"}
    return [table for table in texts.tables() if table.name not in own | texts.SILENT]


def _users(tx: Tx, wanted: Sequence[str], *, hidden_too: bool) -> dict[str, list[tuple[str, str]]]:
    """Return who builds on each run: its children, and those that reuse its steps."""
    found: dict[str, list[tuple[str, str]]] = {}
    gone = select(deleted_runs.c.run)
    for part in in_parts(wanted):
        children = select(runs.c.id, runs.c.parent).where(runs.c.parent.in_(part))
        reusers = select(steps.c.run, steps.c.reused_from).where(steps.c.reused_from.in_(part))
        if not hidden_too:
            children = children.where(runs.c.id.not_in(gone))
            reusers = reusers.where(steps.c.run.not_in(gone))
        for row in tx.all(children):
            found.setdefault(row.parent, []).append((row.id, "is below it"))
        for row in tx.all(reusers):
            if row.run != row.reused_from:
                found.setdefault(row.reused_from, []).append((row.run, "reuses a step of it"))
    return found


def in_parts(ids: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut a list into pieces that one statement can name."""
    for start in range(0, len(ids), AT_ONCE):
        yield list(ids[start : start + AT_ONCE])

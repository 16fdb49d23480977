"""Delete and restore runs and experiments by hand. Nothing is lost before ``gc`` has run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import insert, select

from mainspring.experiments import filters, finding, groups, runs
from mainspring.experiments.expressions import Expression
from mainspring.experiments.tables import deleted_runs
from mainspring.experiments.tables import runs as table
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import halts
from mainspring.workspace.keeping.needs import in_parts, needed
from mainspring.workspace.opening import Workspace

TOLD = 1000  #: ids in one line of the audit log


class KeptRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was not deleted."""

    run: str
    reason: str  #: why it must stay


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of runs that were to be deleted."""

    deleted: list[str]
    kept: list[KeptRun] = []


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are there again."""

    restored: list[str]


def delete_runs(
    ws: Workspace,
    ids: Sequence[str] = (),
    *,
    filter: str = "",  # noqa: A002  the word of the language
    children: bool = False,
    reason: str = "",
    dry_run: bool = False,
) -> Deleted:
    """Delete runs so that they can be restored; those that others need stay.

    Args:
        ws: The workspace.
        ids: Which; deleting one again changes nothing.
        filter: Also those that meet it, such as ``metrics.auc < 0.6``.
        children: Also the runs below them.
        reason: Why, for the audit log.
        dry_run: Only say what would be deleted.

    Raises:
        NotFoundError: if one of them is not there.
        BadInputError: if neither is given, or the filter cannot be read.
    """
    if not ids and not filter.strip():
        raise BadInputError("Name the runs to delete, or give a filter.", field="runs")
    _catch_up(ws)
    expression = filters.parse(filter, now=ws.clock.now()) if filter.strip() else None

    def work(tx: Tx) -> Deleted:
        wanted = _there(tx, ids)
        if expression is not None:
            met = _all_that_meet(tx, halts.resolved(ws, tx, expression))
            wanted = list(dict.fromkeys([*wanted, *met]))
        if children:
            wanted = below(tx, wanted)
        gone = runs.hidden(tx, wanted)
        fresh = [run for run in wanted if run not in gone]
        kept = needed(tx, fresh, hidden_too=False)
        going = [run for run in fresh if run not in kept]
        if not dry_run:
            hide(tx, going, ws.clock.now(), reason)
        return Deleted(
            deleted=going,
            kept=[KeptRun(run=run, reason=kept[run]) for run in fresh if run in kept],
        )

    if dry_run:
        return ws.read(Permission.READ, work)
    return ws.write(Permission.LOG, work)


def hide(tx: Tx, ids: Sequence[str], at: float, reason: str, action: str = "run.delete") -> None:
    """Hide runs that are not hidden, with one line in the audit log."""
    if not ids:
        return
    tx.run(insert(deleted_runs), [{"run": run, "at": at} for run in ids])
    subject = f"run:{ids[0]}" if len(ids) == 1 else f"{len(ids)} runs"
    tx.audit(action, subject, {"runs": list(ids[:TOLD]), "count": len(ids)}, reason)


def restore_runs(ws: Workspace, ids: Sequence[str]) -> Restored:
    """Restore deleted runs; restoring one that is not deleted changes nothing.

    Raises:
        NotFoundError: if one of them is not there: never was, or is gone for good.
        ConflictError: if its experiment is deleted.
    """

    def work(tx: Tx) -> Restored:
        wanted = _there(tx, ids)
        gone = [run for run in wanted if run in runs.hidden(tx, wanted)]
        keys = {run.id: run.experiment for run in runs.several(tx, gone)}
        for found in groups.by_keys(tx, sorted(set(keys.values()))).values():
            if found.deleted is not None:
                raise ConflictError(
                    f"The experiment {found.name} of these runs is deleted.",
                    field="runs",
                    hint=f"Restore it first: mainspring experiments restore {found.name}",
                )
        for run in gone:
            runs.show(tx, run)
        if gone:
            subject = f"run:{gone[0]}" if len(gone) == 1 else f"{len(gone)} runs"
            tx.audit("run.restore", subject, {"runs": gone[:TOLD], "count": len(gone)})
        return Restored(restored=gone)

    return ws.write(Permission.LOG, work)


def delete_experiment(ws: Workspace, name: str, reason: str = "") -> groups.Experiment:
    """Delete an experiment and hide its runs; ``restore_experiment`` brings both back.

    Raises:
        NotFoundError: if there is none by that name.
        ConflictError: if it is the default one, or one of its runs is still running.
    """

    def work(tx: Tx) -> groups.Experiment:
        found = _experiment(tx, name)
        if found.id == 0:
            raise ConflictError("The default experiment cannot be deleted.", field="name")
        still = (table.c.experiment == found.key) & (table.c.status == "running")
        row = tx.one(select(table.c.id).where(still).limit(1))
        if row is not None:
            raise ConflictError(
                f"Run {row.id} of {found.name} is still running.",
                field="name",
                hint="Wait for it, or cancel it first.",
            )
        if found.deleted is None:
            groups.delete(tx, found.id, ws.clock.now())
            tx.audit("experiment.delete", f"experiment:{found.key}", {"name": found.name}, reason)
        return groups.get(tx, found.id)

    return ws.write(Permission.LOG, work)


def restore_experiment(ws: Workspace, name: str) -> groups.Experiment:
    """Restore a deleted experiment with the runs that were hidden with it.

    Raises:
        NotFoundError: if there is none by that name.
    """

    def work(tx: Tx) -> groups.Experiment:
        found = _experiment(tx, name)
        if found.deleted is not None:
            groups.restore(tx, found.id, ws.clock.now())
            tx.audit("experiment.restore", f"experiment:{found.key}", {"name": found.name})
        return groups.get(tx, found.id)

    return ws.write(Permission.LOG, work)


def rename_experiment(ws: Workspace, name: str, to: str) -> groups.Experiment:
    """Give an experiment another name; its runs follow.

    Raises:
        NotFoundError: if there is none by that name.
        AlreadyExistsError: if another one has the new name, also a deleted one.
        ConflictError: if it is deleted.
        BadInputError: if the new name cannot be kept.
    """
    _catch_up(ws)  # or runs that wait in a journal would make the old name again

    def work(tx: Tx) -> groups.Experiment:
        found = _experiment(tx, name)
        if to != found.name:
            groups.rename(tx, found.id, to, ws.clock.now())
            tx.audit("experiment.rename", f"experiment:{found.key}", {"from": name, "to": to})
        return groups.get(tx, found.id)

    return ws.write(Permission.LOG, work)


def below(tx: Tx, ids: Sequence[str]) -> list[str]:
    """Return runs with all runs below them, those above first."""
    found = dict.fromkeys(ids)
    level = list(found)
    while level:
        rows: list[str] = []
        for part in in_parts(level):
            rows += [r.id for r in tx.all(select(table.c.id).where(table.c.parent.in_(part)))]
        level = [run for run in rows if run not in found]
        found.update(dict.fromkeys(level))
    return list(found)


def _all_that_meet(tx: Tx, expression: Expression) -> list[str]:
    search = finding.Search(expression=expression)
    found: list[str] = []
    cursor = None
    while True:
        page = finding.page(tx, search, limit=1000, cursor=cursor)
        found += page.ids
        cursor = page.cursor
        if cursor is None:
            return found


def _there(tx: Tx, ids: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(ids))
    found: set[str] = set()
    for part in in_parts(wanted):
        found |= {row.id for row in tx.all(select(table.c.id).where(table.c.id.in_(part)))}
    for run in wanted:
        if run not in found:
            raise NotFoundError(f"There is no run {run[:80]!r}.", field="runs")
    return wanted


def _experiment(tx: Tx, name: str) -> groups.Experiment:
    found = groups.by_name(tx, name)
    if found is None:
        raise NotFoundError(f"There is no experiment {name[:80]!r}.", field="name")
    return found


def _catch_up(ws: Workspace) -> None:
    from mainspring.workspace.tracking.catching_up import catch_up  # it loads numpy

    catch_up(ws)

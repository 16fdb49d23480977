"""Take what was deleted long enough ago out of the database, for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from mainspring.experiments.tables import (
    deleted_runs,
    experiments,
    logged_models,
    run_models,
    runs,
)
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.keeping import owning
from mainspring.workspace.keeping.deleting import KeptRun
from mainspring.workspace.keeping.needs import AT_ONCE, in_parts, named, needed
from mainspring.workspace.opening import Workspace


def going(tx: Tx, before: float) -> tuple[list[str], list[KeptRun]]:
    """Return the runs that were deleted before a time: those that may go, those that stay."""
    gone = select(deleted_runs.c.run).join(runs, runs.c.id == deleted_runs.c.run)
    # The newest first: what builds on a run came after it.
    order = gone.where(deleted_runs.c.at <= before).order_by(runs.c.started.desc(), runs.c.id)
    wanted = [row.run for row in tx.all(order)]
    kept = needed(tx, wanted, hidden_too=True)
    stay = [KeptRun(run=run, reason=kept[run]) for run in wanted if run in kept]
    return [run for run in wanted if run not in kept], stay


def purge_runs(ws: Workspace, before: float, tell: Callable[[int], None]) -> list[str]:
    """Take deleted runs out, some in each transaction; return which went.

    Whether a run may go is asked in the transaction that takes it out: what came to need it
    meanwhile keeps it.
    """
    done: list[str] = []
    while True:

        def work(tx: Tx) -> list[str]:
            part = going(tx, before)[0][:AT_ONCE]
            if part:
                owning.remove_models(tx, leaving_models(tx, part, before))
                owning.remove_runs(tx, part)
                tx.audit("gc.purge", f"{len(part)} runs", {"runs": part})
            return part

        part = ws.write(Permission.ADMIN, work)
        if not part:
            return done
        done += part
        tell(len(done))
        here("gc.purged")


def leaving_models(tx: Tx, going_runs: Sequence[str], before: float) -> list[str]:
    """Return the logged models that go: those of runs that go, and those deleted before a time.

    One that another run read or made stays, and so does one that a version names.
    """
    wanted: set[str] = set()
    others: set[str] = set()
    ids, run = logged_models.c.id, logged_models.c.run
    for part in in_parts(going_runs):
        wanted |= {row.id for row in tx.all(select(ids).where(run.in_(part)))}
    wanted |= {row.id for row in tx.all(select(ids).where(logged_models.c.deleted <= before))}
    for part in in_parts(sorted(wanted)):
        linked = select(run_models.c.model, run_models.c.run).where(run_models.c.model.in_(part))
        others |= {row.model for row in tx.all(linked) if row.run not in set(going_runs)}
    left = wanted - others
    return sorted(left - {name for name, _ in named(tx, left)})


def purge_models(ws: Workspace, before: float) -> int:
    """Take out logged models that were deleted before a time; return how many went."""

    def work(tx: Tx) -> int:
        ids = leaving_models(tx, [], before)
        owning.remove_models(tx, ids)
        if ids:
            tx.audit("gc.purge", f"{len(ids)} logged models", {"models": ids})
        return len(ids)

    return ws.write(Permission.ADMIN, work)


def empty(before: float) -> Any:
    """Return the query for experiments that were deleted before a time and hold nothing more."""
    used = select(runs.c.id).where(runs.c.experiment == experiments.c.key).exists()
    gone = (experiments.c.deleted <= before) & (experiments.c.id != 0)
    models = select(logged_models.c.id).where(logged_models.c.experiment == experiments.c.id)
    return select(experiments).where(gone, ~used, ~models.exists())


def purge_experiments(ws: Workspace, before: float) -> list[str]:
    """Take out experiments that were deleted before a time and have no run left."""

    def work(tx: Tx) -> list[str]:
        names = []
        for row in tx.all(empty(before)):
            owning.remove_experiment(tx, row.id)
            tx.audit("gc.purge", f"experiment:{row.key}", {"name": row.name})
            names.append(str(row.name))
        return names

    return ws.write(Permission.ADMIN, work)

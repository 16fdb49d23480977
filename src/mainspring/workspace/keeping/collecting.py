"""Collect the garbage: what ``mainspring gc`` does, step by step.

(1) Retention is applied: runs whose time is over are deleted as a person would. (2) Runs
deleted longer ago than their grace leave the database. (3) Data that is mostly dead is packed
anew, and everything that names objects is searched. (4) Objects that nothing names and nobody
put within a day are deleted. Each step may be cut short and is taken up by the next time.
(5) Texts of code that no step is of go, and environments that no step used for a month, which
are built again when one needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Tx
from mainspring.pipelines import texts as code
from mainspring.pipelines.tables import METADATA
from mainspring.workspace import environments
from mainspring.workspace.data import pruning
from mainspring.workspace.keeping import ageing, purging, reclaiming, texts
from mainspring.workspace.keeping.deleting import KeptRun
from mainspring.workspace.keeping.reclaiming import Space
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import catch_up

GRACE_S = 7 * DAY_S  #: a deleted run can be restored for this long
UNUSED_S = 30 * DAY_S  #: an environment that no step used for this long is built anew
YOUNG_S = DAY_S  #: who put an object has this long to write the row that names it

Tell = Callable[[str, int, int], None]
"""Is told what is being done, how far it is, and how far it goes."""


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection did, or would do."""

    dry_run: bool
    aged: int  #: runs that retention deleted; they can be restored
    purged: list[str]  #: runs that are gone for good
    experiments: list[str]  #: experiments that are gone for good
    kept: list[KeptRun]  #: runs that were deleted and must stay
    before: Space
    after: Space
    young: int  #: objects that nothing names, and that are too young to go
    environments: int  #: that no step used for a month
    environments_size: int  #: their bytes
    code_texts: int  #: of steps that are gone
    database: int  #: bytes of the database's files; 0 for a server's


def collect(
    ws: Workspace,
    *,
    older_than_s: float = GRACE_S,
    young_s: float = YOUNG_S,
    dry_run: bool = False,
    tell: Tell = lambda _what, _at, _of: None,
) -> Collected:
    """Take out what was deleted, and reclaim the space of what nothing needs.

    Args:
        ws: The workspace.
        older_than_s: How long ago a run must have been deleted.
        young_s: Objects put within this time stay. Less than a day is safe only while nobody
            else writes.
        dry_run: Change nothing, only say what would go.
        tell: Is told how far it is.

    Raises:
        PermissionDeniedError: if the principal is no admin.
        ConflictError: if journals cannot be folded, and so what they need could not be told.
        DamagedError: if a manifest is damaged: what it names could not be told.
    """
    authorise(ws.who, Permission.ADMIN)
    if waits := catch_up(ws):
        raise ConflictError(
            f"Nothing is reclaimed while journals wait, which may name objects: {waits[0]}",
            hint="mainspring doctor says more. A damaged file may be moved out of the home.",
        )
    now = ws.clock.now()
    grace = now - older_than_s
    without: frozenset[str] = frozenset()
    if dry_run:
        aged = sum(map(len, ws.read(Permission.ADMIN, lambda tx: ageing.aged(tx, now)).values()))
        purged, kept = ws.read(Permission.ADMIN, lambda tx: purging.going(tx, grace))
        names = ws.read(Permission.ADMIN, lambda tx: _names(tx, grace))
        models = ws.read(Permission.ADMIN, lambda tx: purging.leaving_models(tx, purged, grace))
        without = frozenset([*purged, *models])
    else:
        aged = ageing.apply_now(ws)
        purged = purging.purge_runs(ws, grace, lambda n: tell("deleted runs", n, n))
        purging.purge_models(ws, grace)
        names = purging.purge_experiments(ws, grace)
        kept = ws.read(Permission.ADMIN, lambda tx: purging.going(tx, grace))[1]
        pruning.tidy(ws, tell=tell)
    tell("listing objects", 0, 0)
    there = reclaiming.listed(ws)
    gone = reclaiming.unneeded(ws, there, without, lambda n: tell("searching", n, len(there)))
    before = reclaiming.measured(there)
    old = [one for one in gone if one.at < now - young_s]
    if not dry_run:
        old = reclaiming.sweep(ws, old, now - young_s, lambda n: tell("deleting", n, len(gone)))
        pruning.forget(ws, [one.digest for one in old])
        _note(ws, len(old), sum(one.size for one in old))
    written = _code_texts(ws, without, dry_run=dry_run)
    unused = environments.collect(ws, ws.clock.now() - UNUSED_S, dry_run=dry_run)
    return Collected(
        dry_run=dry_run,
        aged=aged,
        purged=purged,
        experiments=names,
        kept=kept,
        before=before,
        after=Space(
            objects=before.objects - len(old), size=before.size - sum(one.size for one in old)
        ),
        young=len(gone) - len(old),
        environments=unused[0],
        environments_size=unused[1],
        code_texts=written,
        database=_database_bytes(ws),
    )


def _code_texts(ws: Workspace, without: frozenset[str], *, dry_run: bool) -> int:
    """Delete the texts of code that no step names any more; return how many."""

    def work(tx: Tx) -> int:
        named: set[bytes] = set()
        for table in METADATA.sorted_tables:
            if table.name not in texts.SILENT:
                for text in texts.long_texts(tx, table, without.__contains__):
                    named |= texts.digests_in(text.encode("utf-8", "surrogatepass"))
        return code.forget(tx, named, dry_run=dry_run)

    ask = ws.read if dry_run else ws.write
    return ask(Permission.ADMIN, work)


def _names(tx: Tx, before: float) -> list[str]:
    # Those that only purged runs keep are not among them: they are found once the runs went.
    return [str(row.name) for row in tx.all(purging.empty(before))]


def _note(ws: Workspace, count: int, size: int) -> None:
    if count:
        detail = {"objects": count, "bytes": size}
        ws.write(Permission.ADMIN, lambda tx: tx.audit("gc.reclaim", "objects", detail))


def _database_bytes(ws: Workspace) -> int:
    url = ws.settings.database_url
    if not url.startswith("sqlite:///"):
        return 0
    path = Path(url.removeprefix("sqlite:///"))
    files = [path, path.with_name(f"{path.name}-wal")]
    return sum(file.stat().st_size for file in files if file.exists())

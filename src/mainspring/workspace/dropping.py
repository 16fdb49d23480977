"""Delete and restore runs from Python: ``ms.delete``, ``ms.restore``."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.objects import Run
from mainspring.workspace.asking import Server
from mainspring.workspace.found import asked_place
from mainspring.workspace.keeping import deleting
from mainspring.workspace.keeping.deleting import Deleted, Restored


def delete(
    *runs: str | Run,
    filter: str = "",  # noqa: A002  as it is called everywhere
    children: bool = False,
    reason: str = "",
    dry_run: bool = False,
) -> Deleted:
    """Delete runs so that they can be restored: ``ms.delete("run_01j9")``.

    Args:
        runs: Runs, or their ids.
        filter: Also every run that meets it, such as ``"metrics.auc < 0.6"``.
        children: Also the runs below them.
        reason: Why, for the audit log.
        dry_run: Only say what would be deleted.

    Those that others need stay, and ``kept`` says why. The runs are those of the home, or of
    the server that MAINSPRING_URL names.

    Raises:
        NotFoundError: if one of them is not there.
        BadInputError: if neither runs nor a filter are given, or the filter cannot be read.
    """
    ids = _ids(runs)
    with asked_place() as place:
        if not isinstance(place, Server):
            return deleting.delete_runs(
                place, ids, filter=filter, children=children, reason=reason, dry_run=dry_run
            )
        body: dict[str, Any] = {"children": children, "dry_run": dry_run}
        body |= {"runs": ids} if ids else {}
        body |= {"filter": filter} if filter else {}
        body |= {"reason": reason} if reason else {}
        return msgspec.convert(place.ask("POST", "/api/v1/runs/delete", body=body), Deleted)


def restore(*runs: str | Run) -> Restored:
    """Restore deleted runs, as long as gc has not taken them out: ``ms.restore("run_01j9")``.

    Raises:
        NotFoundError: if one of them is not there.
        ConflictError: if its experiment is deleted.
    """
    ids = _ids(runs)
    with asked_place() as place:
        if not isinstance(place, Server):
            return deleting.restore_runs(place, ids)
        told = place.ask("POST", "/api/v1/runs/restore", body={"runs": ids})
        return msgspec.convert(told, Restored)


def _ids(runs: tuple[str | Run, ...]) -> list[str]:
    return [run if isinstance(run, str) else run.id for run in runs]

"""Show a run that a script holds, as a notebook shows the last value of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.ground.display import Page, run_page
from mainspring.ground.errors import MainspringError
from mainspring.ground.permissions import Permission

if TYPE_CHECKING:
    from mainspring.workspace.tracking.active import ActiveRun


def unbegun(run: ActiveRun) -> Page:
    """Return what is shown of a run that has not begun."""
    return Page(f"run of {run.experiment}, not begun")


def page(run: ActiveRun, status: str) -> Page:
    """Return what is shown of a run: its record as it stands, or what is known of it here.

    A server is not asked: it may be away, and showing a run must not wait for it.
    """
    known = Page(f"run {run.name} ({run.id})").facts(
        [("experiment", run.experiment), ("status", status)]
    )
    known.table("params", (), sorted(run.params.items()))
    if run.target.url:
        return known
    from mainspring.experiments import runs
    from mainspring.workspace.opening import open_workspace
    from mainspring.workspace.tracking.catching_up import catch_up

    try:
        ws = open_workspace(run.target.settings)
        try:
            catch_up(ws)
            return run_page(ws.read(Permission.READ, lambda tx: runs.get(tx, run.id)))
        finally:
            ws.close()
    except MainspringError:
        return known  # whoever only wants to look is not shown an error of the home

"""Look up a run that is to go on, where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.errors import NotFoundError, UnavailableError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission

if TYPE_CHECKING:
    from mainspring.workspace.tracking.writing import Target


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a run to go on with it."""

    params: Mapping[str, str] = {}
    ended: bool = False  #: it has ended, and runs again from now on
    finished: bool = False  #: it has finished, and stays so: more may be logged all the same


def look_up(target: Target, run: str) -> Found:
    """Return what is known of a run; of a server that is away, nothing.

    Raises:
        NotFoundError: if the home has no such run. A server may not have been sent it yet.
    """
    if target.url:
        return _ask(target, run)
    from mainspring.experiments import runs
    from mainspring.workspace.opening import open_workspace
    from mainspring.workspace.tracking.catching_up import catch_up

    ws = open_workspace(target.settings)
    try:
        catch_up(ws)
        return found_of(ws.read(Permission.READ, lambda tx: runs.get(tx, run)))
    finally:
        ws.close()


def _ask(target: Target, run: str) -> Found:
    from mainspring.workspace.tracking.courier import Courier

    courier = Courier(target.url or "", target.settings.token, timeout_s=5.0)
    try:
        return found_of(msgspec.convert(courier.run(run), Run))
    except (UnavailableError, NotFoundError):
        # It goes on if it may: what is logged finds out when it comes there.
        return Found(ended=True)
    finally:
        courier.close()


def found_of(run: Run) -> Found:
    """Return what matters of a run that is to go on."""
    return Found(
        params=run.params,
        ended=run.status not in (RunStatus.RUNNING, RunStatus.FINISHED),
        finished=run.status is RunStatus.FINISHED,
    )

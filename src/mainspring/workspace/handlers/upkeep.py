"""Keep house: what is done once a day, whatever the loops do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.worker import Done, Handler
from mainspring.ground.ports import Tx
from mainspring.workspace.keeping import ageing

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Upkeep:
    """Carries out the daily work."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def retention(self, _: Lease) -> Done:
        """Delete runs whose time is over, so that they can be restored for a while."""

        def apply(tx: Tx) -> None:
            ageing.apply(tx, self._ws.clock.now())

        return Done(apply=apply)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers by the kind of task."""
    return {"retention": Upkeep(ws).retention}

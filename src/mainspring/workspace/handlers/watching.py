"""Watch traffic: keep captures small; say who judges windows, labels and rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine.worker import Done, Handler
from mainspring.ground.killpoints import here
from mainspring.ground.ports import Tx
from mainspring.scaling.serving import callers, shelf, tallies
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.handlers import losing
from mainspring.workspace.handlers import rollouts as rolling
from mainspring.workspace.handlers.labelling import Labeller
from mainspring.workspace.handlers.standing import Stands
from mainspring.workspace.handlers.windowing import Windower

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Watcher:
    """Carries out what scans find about captures."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def compact(self, lease: Lease) -> Done:
        """Turn sealed segments into Parquet and keep the captures within their budget."""
        endpoint = lease.task.payload["endpoint"]
        folder = self._ws.captures(endpoint)
        shelf.compact(folder)
        tallies.prune(folder)
        callers.prune(folder)
        here("compact.folded")
        budget = self._ws.settings.capture_budget_mb * 1024 * 1024
        dropped = shelf.enforce_budget(folder, budget)

        def apply(tx: Tx) -> None:
            losing.forget(tx, folder, endpoint)
            losing.tell_damage(tx, folder, endpoint, self._ws.clock.now())

        return Done(result={"dropped_rows": dropped.rows}, apply=apply)


def handlers(ws: Workspace, labelled: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of what the scans find."""
    stands = Stands(ws)
    watcher, windower = Watcher(ws), Windower(ws, stands)
    labeller = Labeller(ws, labelled, stands)
    return {
        "window": windower.window,
        "unjudged": windower.unjudged,
        "labels": labeller.labels,
        "relabel": labeller.relabel,
        **rolling.handlers(ws, labelled),
        "compact": watcher.compact,
    }

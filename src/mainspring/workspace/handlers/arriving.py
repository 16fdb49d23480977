"""Ask a loop for a new version because data arrived: a dataset that it names has a new version.

New is what came after the newest training of the loop began, logged by anybody but the loop's
own runs: what a training read is no reason for another. The request is patient, for data that
came inside a cool-down would else be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mainspring.engine import reactor
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import datasets, runs
from mainspring.ground import messages as m
from mainspring.ground.objects import LoopSpec
from mainspring.ground.ports import Tx
from mainspring.readiness import registry

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

ATTEMPTS = 10
KIND = "data_version"
_SHORT = 12  #: digits of a digest that people compare by eye


def due(tx: Tx, specs: Iterable[LoopSpec]) -> list[NewTask]:
    """Return one task for each version of a dataset that came since a loop last trained."""
    found = []
    for spec in specs:
        for name in spec.retraining.on_data if spec.name else ():
            since = _last_trained(tx, spec)
            if since is None:
                continue  # its first training reads the newest there is
            found += [
                NewTask(
                    id=f"data/{spec.name}/{name[:100]}/{digest}"[:250],
                    kind=KIND,
                    payload={"loop": spec.name, "dataset": name, "digest": digest, "run": run},
                    max_attempts=ATTEMPTS,
                )
                for digest, run in datasets.arrived(tx, name, since, ("loop", spec.name))
            ]
    return found


def _last_trained(tx: Tx, spec: LoopSpec) -> float | None:
    """Return when the loop last began to train, or when the champion it was given came."""
    began = runs.newest_tagged(tx, "loop", spec.name)
    champion = registry.champion(tx, spec.model)
    if began is not None or champion is None:
        return began
    return registry.get(tx, spec.model, champion).created


class Arriving:
    """Tells loops what arrived."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def data_version(self, lease: Lease) -> Done:
        """Ask a loop for a new version; the same version of a dataset asks once."""
        told = lease.task.payload
        loop, name, digest = told["loop"], told["dataset"], told["digest"]

        def apply(tx: Tx) -> None:
            view = reactor.view(tx, loop)
            asked = m.RetrainRequested(
                loop=loop,
                at=view.now,
                by=f"dataset {name}",
                reason=f"version {digest[:_SHORT]} came with {told['run']}.",
                patient=True,
            )
            reactor.emit(tx, asked, f"{lease.task.id}"[:255])

        return Done(apply=apply)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of what arrives."""
    return {KIND: Arriving(ws).data_version}

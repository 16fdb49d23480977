"""Ask a loop for a new version: a dataset that it names has a new version, or its model is stale.

New is what came after the newest training of the loop began, logged by anybody but the loop's
own runs: what a training read is no reason for another. Stale is a champion older than the limit
of the newest staleness curve, which is evidence. The requests are patient, for data that came
inside a cool-down would else be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mainspring.engine import reactor
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.experiments import datasets, runs
from mainspring.ground import messages as m
from mainspring.ground.objects import DAY_S, LoopSpec
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence, registry

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

ATTEMPTS = 10
KIND = "arrived"
_SHORT = 12  #: digits of a digest that people compare by eye


def due(tx: Tx, specs: Iterable[LoopSpec]) -> list[NewTask]:
    """Return one task for each version of a dataset that came since a loop last trained.

    And one for each champion that is past the age at which its quality is lost.
    """
    found = []
    for spec in specs:
        if spec.name and spec.retraining.max_age_measured:
            found += _stale(tx, spec)
        for name in spec.retraining.on_data if spec.name else ():
            since = _last_trained(tx, spec)
            if since is None:
                continue  # its first training reads the newest there is
            found += [
                _task(
                    f"data/{spec.name}/{name[:100]}/{digest}",
                    spec.name,
                    f"dataset {name}",
                    f"version {digest[:_SHORT]} came with {run}.",
                )
                for digest, run in datasets.arrived(tx, name, since, ("loop", spec.name))
            ]
    return found


def _stale(tx: Tx, spec: LoopSpec) -> list[NewTask]:
    curve = evidence.newest(tx, "staleness", f"model:{spec.model}")
    limit = curve.detail.get("limit_days") if curve is not None else None
    moves = registry.history(tx, spec.model, registry.CHAMPION)
    if curve is None or limit is None or not moves:
        return []  # nothing was measured, or nothing is lost with age
    since = moves[-1]
    age = (reactor.view(tx, spec.name).now - since.at) / DAY_S
    if age < limit:
        return []
    told = (
        f"the champion is {age:.0f} days old, and past {limit:.0f} too much is lost ({curve.id})."
    )
    name = f"stale/{spec.name}/{since.number}/{since.at:.0f}"
    return [_task(name, spec.name, "staleness curve", told)]


def _task(name: str, loop: str, by: str, reason: str) -> NewTask:
    payload = {"loop": loop, "by": by, "reason": reason}
    return NewTask(id=name[:250], kind=KIND, payload=payload, max_attempts=ATTEMPTS)


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

    def arrived(self, lease: Lease) -> Done:
        """Ask a loop for a new version; the same version of a dataset asks once."""
        told = lease.task.payload

        def apply(tx: Tx) -> None:
            at = reactor.view(tx, told["loop"]).now
            asked = m.RetrainRequested(**told, at=at, patient=True)
            reactor.emit(tx, asked, lease.task.id)

        return Done(apply=apply)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of what arrives."""
    return {KIND: Arriving(ws).arrived}

"""What the engine looks for: windows that are over, labels that matured, rollouts with news."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine import reactor
from mainspring.engine.tasks import NewTask
from mainspring.ground.loops import Phase
from mainspring.ground.objects import DAY_S, LoopSpec
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels, windows
from mainspring.readiness import registry
from mainspring.scaling.serving import capture, endpoints, rollouts
from mainspring.workspace.handlers import alarming, telling
from mainspring.workspace.keeping import ageing

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


#: Each is found once, so that it must not be given up because a few workers died under it.
ATTEMPTS = 10


class Scans:
    """Looks at captures and store, and names the work that should exist.

    Every task has an id made of what it is about, so that looking twice makes it once.
    """

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def all(self, tx: Tx) -> list[NewTask]:
        """Return the work that should exist now; most of it is known already."""
        found: list[NewTask] = []
        for spec in reactor.loops(tx):
            watermark = capture.watermark(self._ws.captures(spec.endpoint))
            if watermark is None or registry.champion(tx, spec.model) is None:
                continue
            found += self._windows(tx, spec, watermark)
            found += _labels(tx, spec, watermark)
            found += _rollout(tx, spec, watermark)
        for endpoint in endpoints.list_endpoints(tx):
            found += self._upkeep(endpoint.name)
        now = self._ws.clock.now()
        return found + ageing.due(tx, now) + telling.due(tx) + alarming.due(tx, now)

    def settled(self, tx: Tx) -> dict[str, float]:
        """Return how far each endpoint's traffic and labels are known by now.

        Not where a loop is at work on a new version: what it knows is not dealt with yet.
        """
        marks: dict[str, float] = {}
        for endpoint in endpoints.list_endpoints(tx):
            view = reactor.view_or_none(tx, endpoint.loop) if endpoint.loop else None
            if view is not None and view.phase not in (Phase.IDLE, Phase.ROLLOUT):
                continue
            watermark = capture.watermark(self._ws.captures(endpoint.name))
            if watermark is not None:
                marks[f"watermark:{endpoint.name}"] = watermark
                marks[f"labels:{endpoint.name}"] = labels.received(tx, endpoint.name).newest_batch
        return marks

    def _windows(self, tx: Tx, spec: LoopSpec, watermark: float) -> list[NewTask]:
        state = windows.monitor(tx, spec.endpoint)
        oldest = None
        if state.judged_until is None:
            oldest = capture.oldest(self._ws.captures(spec.endpoint))
        due = windows.due(spec.monitor, watermark, state.judged_until, oldest)
        if not due:
            return []
        start, end = due[0]  # one after the other: the next is due once this one is judged
        return [
            NewTask(
                id=f"window/{windows.window_id(spec.endpoint, start)}",
                kind="window",
                payload={"loop": spec.name, "start": start, "end": end},
                max_attempts=ATTEMPTS,
            )
        ]

    def _upkeep(self, endpoint: str) -> list[NewTask]:
        sealed = capture.sealed(self._ws.captures(endpoint))
        if not sealed:
            return []
        return [
            NewTask(
                id=f"compact/{endpoint}/{sealed[-1]}",
                kind="compact",
                payload={"endpoint": endpoint},
                max_attempts=ATTEMPTS,
                priority=-1,
            )
        ]


def _labels(tx: Tx, spec: LoopSpec, watermark: float) -> list[NewTask]:
    return [
        NewTask(
            id=f"labels/{window.id}",
            kind="labels",
            payload={"loop": spec.name, "window": window.id, "watermark": watermark},
            max_attempts=ATTEMPTS,
        )
        for window in windows.awaiting_labels(tx, spec.endpoint, spec.monitor, watermark)
    ]


def _rollout(tx: Tx, spec: LoopSpec, watermark: float) -> list[NewTask]:
    running = rollouts.running(tx, spec.endpoint)
    if running is None:
        return []
    newest = labels.received(tx, spec.endpoint).newest_batch
    # Besides new labels a new day is news: periods end.
    day = int(watermark // DAY_S)
    return [
        NewTask(
            id=f"rollout/{running.id}/{newest}/{day}",
            kind="rollout",
            payload={"loop": spec.name, "rollout": running.id, "watermark": watermark},
            max_attempts=ATTEMPTS,
            priority=1,
        )
    ]

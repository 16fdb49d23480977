"""What the engine looks for: windows that are over, labels that matured, rollouts with news."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from mainspring.engine import tasks
from mainspring.engine.rest import Rest
from mainspring.engine.tasks import NewTask
from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import LoopSpec
from mainspring.ground.ports import Tx
from mainspring.monitoring import again, labels, maturity, windows
from mainspring.readiness import registry
from mainspring.scaling.serving import capture, shelf
from mainspring.workspace.attention import Attention
from mainspring.workspace.events.noticing import Triggers
from mainspring.workspace.handlers import alarming, arriving, losing, telling
from mainspring.workspace.keeping import ageing
from mainspring.workspace.openlineage import delivering as openlineage
from mainspring.workspace.overview import Overview, Watched
from mainspring.workspace.rollout_scans import RolloutScan

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


#: Each is found once, so that it must not be given up because a few workers died under it.
ATTEMPTS = 10
#: Between when something happened and when it was asked about, in live traffic.
LIVE_S = 60.0
_log = logging.getLogger("mainspring.engine")


class Scans:
    """Looks at captures and store, and names the work that should exist.

    Every task has an id made of what it is about, so that looking twice makes it once.
    """

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._overview, self._rest = Overview(), Rest()
        self._attention = Attention(ws.captures)
        self._marks: dict[str, float] = {}  # how far each endpoint was known when it was looked at
        self._rollouts = RolloutScan(ws)
        self._triggers = Triggers()
        self._told: dict[str, float] = {}  # runs that go on -> how far OpenLineage saw their steps
        self._live: dict[str, tuple[float, bool]] = {}  # endpoint -> (watermark, traffic is live)

    def all(self, tx: Tx) -> list[NewTask]:
        """Return the work that should exist now; most of it is known already."""
        now = self._ws.clock.now()
        self._overview.refresh(tx, self._ws.store.changed())
        # What was needed and is not at work is over, or was never begun: worth a look either way.
        pending = self._attention.pending
        states = tasks.over(tx, pending)
        ended = {one for one in pending if states.get(one, True)}
        needed: dict[str, list[NewTask]] = {}
        broken: Exception | None = None
        for name in self._attention.due(self._overview.keys, ended, now, self._overview.rolling):
            try:
                needed[name] = self._look(tx, self._overview.endpoints[name])
            except (MainspringError, OSError) as error:
                broken = error  # one endpoint's trouble is not another's
                _log.exception("a look at %s", name)
        found = [task for several in needed.values() for task in several]
        done = tasks.over(tx, [task.id for task in found])
        for name, several in needed.items():
            self._attention.looked(name, [t.id for t in several if not done.get(t.id)], now)
        found += self._of_the_house(tx, now)
        if broken is not None and not found:
            raise broken  # with nothing else to do, it is shown to people
        return found

    def _of_the_house(self, tx: Tx, now: float) -> list[NewTask]:
        """Return the work that is no endpoint's own: what is too old, who is to be told."""
        changed = self._ws.store.changed()
        if self._rest.holds(changed, now):
            return []
        watched = [one.spec for one in self._overview.endpoints.values() if one.spec is not None]
        found = ageing.due(tx, now) + telling.due(tx) + alarming.due(tx, now)
        found += arriving.due(tx, watched) + self._triggers.due(tx, now)
        found += openlineage.due(tx, self._ws.settings, now, self._told)
        if not found:
            self._rest.begin(changed, now)
        return found

    def _look(self, tx: Tx, one: Watched) -> list[NewTask]:
        """Return the work of one endpoint, and note how far it is known by now."""
        watermark = capture.watermark(self._ws.captures(one.name))
        if one.spec is not None:
            needed = self.watching(tx, one.spec, one.kind)
        else:
            needed = self._rollouts.due(tx, one.name, None, watermark, one.kind)
        if watermark is not None:
            self._marks[f"watermark:{one.name}"] = watermark
            self._marks[f"labels:{one.name}"] = labels.newest(tx, one.name)
        return needed + self._upkeep(one.name)

    def watching(self, tx: Tx, spec: LoopSpec, kind: str) -> list[NewTask]:
        """Return the work that one endpoint's traffic and labels should make."""
        watermark = capture.watermark(self._ws.captures(spec.endpoint))
        if watermark is None or (kind == "served" and registry.champion(tx, spec.model) is None):
            return self._rollouts.due(tx, spec.endpoint, spec, None, kind)
        if kind == "served":
            watermark = self._passed(spec, watermark)
        known = watermark
        if spec.monitor.by_batch:  # no further row will come to say how late it is
            known = max(watermark, self._ws.clock.now())
        found = self._windows(tx, spec, watermark) + _labels(tx, spec, known)
        return found + self._rollouts.due(tx, spec.endpoint, spec, watermark, kind)

    def settled(self, tx: Tx) -> dict[str, float]:
        """Return how far each endpoint's traffic and labels are known by now.

        Not where a loop is at work on a new version: what it knows is not dealt with yet.
        """
        there = self._overview.at_rest(tx, self._ws.store.changed())
        return {
            mark: value for mark, value in self._marks.items() if mark.partition(":")[2] in there
        }

    def _windows(self, tx: Tx, spec: LoopSpec, watermark: float) -> list[NewTask]:
        state = windows.monitor(tx, spec.endpoint)
        span = self._due(spec, watermark, state.judged_until)
        if span is None:
            return []
        start, end = span
        name = f"window/{windows.window_id(spec.endpoint, start)}"
        payload = {"loop": spec.name, "endpoint": spec.endpoint, "start": start, "end": end}
        failed = tasks.get(tx, name)
        if failed is None or failed.state not in tasks.BROKEN:
            return [NewTask(id=name, kind="window", payload=payload, max_attempts=ATTEMPTS)]
        # One window that cannot be judged must not keep all others from it.
        why = failed.error or f"its task was {failed.state}"
        payload |= {"why": why, "task": name}
        return [NewTask(id=f"un{name}", kind="unjudged", payload=payload, max_attempts=ATTEMPTS)]

    def _due(
        self, spec: LoopSpec, watermark: float, judged_until: float | None
    ) -> tuple[float, float] | None:
        """Return the next window: the one behind it is due once this one is judged."""
        folder, policy = self._ws.captures(spec.endpoint), spec.monitor
        rows = 1 if policy.by_batch else policy.window_rows
        if rows is None:
            oldest = capture.oldest(folder) if judged_until is None else None
            found = windows.due(policy, watermark, judged_until, oldest)
            return found[0] if found else None
        if capture.rows_since(folder, judged_until) < rows:
            return None
        times = capture.times(folder, judged_until, watermark - policy.grace_s)
        return windows.due_by_count(rows, times.tolist(), judged_until)

    def _passed(self, spec: LoopSpec, watermark: float) -> float:
        """Return how far event time is: for live traffic that fell silent, as far as the clock.

        Otherwise an endpoint that nobody asks any more would never close a window, and the
        silence would go unseen. Traffic is live if the newest row came about when it happened;
        what is replayed, or fed in later, waits for its next row.
        """
        now = self._ws.clock.now()
        if spec.monitor.by_batch or spec.monitor.window_rows:
            return watermark
        if now - watermark <= spec.monitor.window_s + spec.monitor.grace_s:
            return watermark
        known = self._live.get(spec.endpoint)
        if known is None or known[0] != watermark:
            newest = capture.read(self._ws.captures(spec.endpoint), watermark, None, columns=[])
            late = (newest["_received"] - newest["_time"]).abs().max() if newest.height else None
            known = (watermark, isinstance(late, float) and late <= LIVE_S)
            self._live[spec.endpoint] = known
        return now - LIVE_S if known[1] else watermark

    def _upkeep(self, endpoint: str) -> list[NewTask]:
        folder = self._ws.captures(endpoint)
        found = losing.due(folder, endpoint)
        sealed = capture.sealed(folder)
        newest = sealed[-1] if sealed else shelf.crowded(folder)
        if newest is None:
            return found
        return [
            *found,
            NewTask(
                id=f"compact/{endpoint}/{newest}",
                kind="compact",
                payload={"endpoint": endpoint},
                max_attempts=ATTEMPTS,
                priority=-1,
            ),
        ]


def _labels(tx: Tx, spec: LoopSpec, watermark: float) -> list[NewTask]:
    """Return the work on the oldest window whose labels are mature, and on late labels.

    One window after the other: what a monitor hands on to the next window counts each once.
    """
    found = _late(tx, spec, watermark)
    delay = maturity.effective(spec.monitor, again.learnt_delay(tx, spec.endpoint))
    policy = msgspec.structs.replace(spec.monitor, label_delay_s=delay)
    for window in windows.awaiting_labels(tx, spec.endpoint, policy, watermark, limit=20):
        name = f"labels/{window.id}"
        known = tasks.get(tx, name)
        if known is not None and known.state in tasks.BROKEN:
            continue  # it must not keep all others from being judged
        payload = {
            "loop": spec.name,
            "endpoint": spec.endpoint,
            "window": window.id,
            "watermark": watermark,
        }
        task = NewTask(id=name, kind="labels", payload=payload, max_attempts=ATTEMPTS)
        return [*found, task]
    return found


def _late(tx: Tx, spec: LoopSpec, watermark: float) -> list[NewTask]:
    """Return the look through labels that came since the last: they may change what was judged.

    Its id is where it goes on from, so that there is one at a time, however many labels come.
    """
    seen = again.cursor(tx, spec.endpoint)
    if labels.newest(tx, spec.endpoint) <= seen or not windows.any_labelled(tx, spec.endpoint):
        return []
    return [
        NewTask(
            id=f"relabel/{spec.endpoint}/{seen}",
            kind="relabel",
            payload={"loop": spec.name, "endpoint": spec.endpoint, "watermark": watermark},
            max_attempts=ATTEMPTS,
            priority=-1,
        )
    ]

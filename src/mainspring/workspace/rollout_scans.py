"""Look at running rollouts: is there news for their tests, a rail crossed, a step due?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.engine.tasks import NewTask
from mainspring.ground.monitors import Pair
from mainspring.ground.objects import DAY_S, LoopSpec, Rollout, RolloutPolicy
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels
from mainspring.retraining import challenge, guardrails
from mainspring.scaling.serving import endpoints, rollouts, tallies
from mainspring.workspace.handlers.rollouts import held
from mainspring.workspace.routing import policy_of
from mainspring.workspace.shifts import limit_of

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

ATTEMPTS = 10
#: A step that had to wait, as for a pause, is asked for again after so much event time.
AGAIN_S = 60.0


@dataclass
class _Followed:
    rollout: str
    follower: tallies.Follower
    limit: float | None  #: how far its scores may be from the other's


class RolloutScan:
    """Remembers what it read of each endpoint's rollout, so that a look reads only what is new."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._followed: dict[str, _Followed] = {}

    def due(
        self, tx: Tx, endpoint: str, spec: LoopSpec | None, watermark: float | None, kind: str
    ) -> list[NewTask]:
        """Return the work that an endpoint's rollout should make now."""
        running = rollouts.running(tx, endpoint)
        if running is None:
            self._followed.pop(endpoint, None)
            return []
        policy = running.policy or policy_of(tx, endpoints.get(tx, endpoint))
        at = running.started if watermark is None else watermark
        payload: dict[str, Any] = {"rollout": running.id, "endpoint": endpoint, "watermark": at}
        found = []
        if watermark is not None:
            found.append(_look(self._name(tx, running, policy, at), "rollout", payload))
        if kind != "served":
            return found
        pairs = self._pairs(tx, running, policy)
        found += [
            _look(f"guard/{running.id}/{version}", "guard", payload)
            for version in self._harmful(running, policy, pairs)
        ]
        own = None if running.hand else spec
        if running.purpose == "challenge" and not held(tx, own):
            found += _onward(running, policy, pairs, at, payload)
        return found

    def _name(self, tx: Tx, running: Rollout, policy: RolloutPolicy, at: float) -> str:
        newest = labels.received(tx, running.endpoint).newest_batch
        # Besides new labels a new day is news: periods end. And so do steps and baking.
        name = f"rollout/{running.id}/{newest}/{int(at // DAY_S)}"
        if policy.steps or policy.bake_s:
            name += f"/{running.step}/{int(challenge.finished(running, policy, at))}"
        return name

    def _pairs(self, tx: Tx, running: Rollout, policy: RolloutPolicy) -> dict[int, Pair]:
        known = self._followed.get(running.endpoint)
        if known is None or known.rollout != running.id:
            folder = self._ws.captures(running.endpoint)
            follower = tallies.Follower(folder, running.id, running.started)
            known = _Followed(running.id, follower, limit_of(tx, running, policy))
            self._followed[running.endpoint] = known
        return known.follower.total()

    def _harmful(
        self, running: Rollout, policy: RolloutPolicy, pairs: dict[int, Pair]
    ) -> list[int]:
        """Return the versions that crossed a guard rail; what callers feel waits for no labels."""
        limit = self._followed[running.endpoint].limit
        sent = {arm.version for arm in running.arms if arm.weight <= 0}
        return [
            version
            for version, pair in pairs.items()
            if version not in sent
            and guardrails.harm(running, policy, pair, limit, version) is not None
        ]


def _onward(
    running: Rollout,
    policy: RolloutPolicy,
    pairs: dict[int, Pair],
    at: float,
    payload: dict[str, Any],
) -> list[NewTask]:
    """Return the next step, or the end, of a rollout that did no harm so far."""
    pair = pairs.get(running.challenger)
    rows = pair.rows if pair is not None else 0
    again = int(at // AGAIN_S)
    if challenge.may_step(running, policy, at, rows):
        more = {**payload, "step": running.step, "rows": rows}
        return [_look(f"rollout_step/{running.id}/{running.step}/{again}", "rollout_step", more)]
    if running.ends == "baked" and challenge.finished(running, policy, at):
        return [_look(f"rollout_bake/{running.id}", "rollout_bake", payload)]
    return []


def _look(name: str, kind: str, payload: dict[str, Any]) -> NewTask:
    return NewTask(id=name, kind=kind, payload=payload, max_attempts=ATTEMPTS, priority=1)

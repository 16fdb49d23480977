"""Know of every endpoint how the store has it, and ask again only once the store has moved."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from itertools import count

import msgspec

from mainspring.engine import reactor
from mainspring.ground.loops import Phase, View
from mainspring.ground.objects import LoopSpec
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels, watches
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints, rollouts

#: Of its time, an engine spends no more than this share on asking how things are declared.
_SHARE = 0.02
#: Where asking takes less than this, it is always asked.
_CHEAP_S = 0.005
_STAMPS = count()


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint that is watched, and how."""

    name: str
    kind: str  #: served, or fed
    spec: LoopSpec | None  #: None: nothing watches it
    stamp: int  #: another one whenever the spec or the rollout is another
    rollout: str | None = None  #: the one that runs there


class _Moved:
    """Tells whether the store has moved since it was last asked.

    The count of changes may have been taken after a transaction began to read, so that the change
    is not in what it sees: after every change it says so twice.
    """

    def __init__(self) -> None:
        self._seen: int | None = None
        self._again = False

    def since(self, changed: int) -> bool:
        moved = changed != self._seen
        told = moved or self._again
        self._again, self._seen = moved, changed
        return told


class Overview:
    """The endpoints, how each is watched, and what in the store could make work for one."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Watched] = {}
        self.keys: dict[str, Hashable] = {}
        self.labels: dict[str, int] = {}  #: endpoint -> number of its newest batch of labels
        self.rolling: set[str] = set()  #: endpoints in a rollout, which are felt at every look
        self._specs: dict[str, tuple[int, LoopSpec]] = {}  # loop -> version, spec
        self._newest = 0  # batch of labels
        self._moved = _Moved()
        self._views_moved = _Moved()
        self._views: dict[str, tuple[str, bool]] = {}  # loop -> its view as stored, is it at rest
        self._next = 0.0

    def refresh(self, tx: Tx, changed: int) -> bool:
        """Ask the store anew if it has moved; return whether it was asked.

        ``changed`` is the store's count of changes.
        """
        if time.monotonic() < self._next or not self._moved.since(changed):
            return False
        began = time.monotonic()
        fresh = labels.newest_of_each(tx, self._newest)
        self.labels |= fresh
        self._newest = max(self._newest, *fresh.values(), 0)
        champions = registry.champions(tx)
        self.endpoints = self._watched(tx)
        served = {one.name: one for one in endpoints.list_endpoints(tx)}
        self.keys = {
            name: (
                self.labels.get(name, 0),
                champions.get(served[name].model) if name in served else None,
                one.stamp,
            )
            for name, one in self.endpoints.items()
        }
        took = time.monotonic() - began
        self._next = began + took / _SHARE if took > _CHEAP_S else 0.0
        return True

    def at_rest(self, tx: Tx, changed: int) -> set[str]:
        """Return the endpoints that no loop is making a new version for."""
        if self._views_moved.since(changed):
            before = self._views
            self._views = {
                loop: before[loop] if before.get(loop, ("",))[0] == text else (text, _rests(text))
                for loop, text in reactor.views_as_stored(tx)
            }
        working = {
            self._specs[loop][1].endpoint
            for loop, (_, rests) in self._views.items()
            if not rests and loop in self._specs
        }
        return self.endpoints.keys() - working

    def _watched(self, tx: Tx) -> dict[str, Watched]:
        there = endpoints.list_endpoints(tx)
        running = rollouts.all_running(tx)
        self.rolling = set(running)
        kinds = {one.name: one.kind for one in there}
        found = {one.name: self._one(one.name, None, kinds, running) for one in there}
        for watch in watches.every(tx):
            found[watch.endpoint] = self._one(watch.endpoint, watch.as_loop(), kinds, running)
        for spec in self._declared(tx):
            found[spec.endpoint] = self._one(spec.endpoint, spec, kinds, running)
        return found

    def _one(
        self,
        name: str,
        spec: LoopSpec | None,
        kinds: Mapping[str, str],
        running: Mapping[str, str],
    ) -> Watched:
        before, kind = self.endpoints.get(name), kinds.get(name, "served")
        known = None if before is None else (before.spec, before.kind, before.rollout)
        if before is not None and known == (spec, kind, running.get(name)):
            return before
        return Watched(
            name=name, kind=kind, spec=spec, stamp=next(_STAMPS), rollout=running.get(name)
        )

    def _declared(self, tx: Tx) -> list[LoopSpec]:
        """Return the loops in force; only those that were declared anew are read."""
        versions = reactor.declared(tx)
        known = {name: one for name, one in self._specs.items() if versions.get(name) == one[0]}
        for name, version in versions.items():
            if name not in known:
                known[name] = (version, reactor.spec(tx, name))
        self._specs = known
        return [spec for _, spec in known.values()]


def _rests(view: str) -> bool:
    found = msgspec.json.decode(view, type=View)
    return found.phase in (Phase.IDLE, Phase.ROLLOUT)

"""Move traffic: start a rollout, promote, withdraw, go back. Each is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import LoopSpec, Rollout, Strategy
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.serving import rollouts

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of the commands that move traffic."""

    def spec_of(command: m.Command) -> LoopSpec:
        return ws.read(Permission.WORK, lambda tx: reactor.spec(tx, command.loop))

    def start_rollout(lease: Lease) -> Done:
        command = msgspec.convert(lease.task.payload, m.StartRollout)
        spec = spec_of(command)
        return Done(apply=lambda tx: _start(tx, spec, command))

    def promote(lease: Lease) -> Done:
        command = msgspec.convert(lease.task.payload, m.Promote)
        spec = spec_of(command)
        previous = ws.read(Permission.WORK, lambda tx: registry.champion(tx, spec.model))
        event = m.Promoted(
            loop=command.loop,
            at=command.at,
            version=command.version,
            previous=previous,
            command=command.id,
            reason=command.reason,
        )
        return Done(
            apply=lambda tx: _promote(tx, spec, command, previous),
            events=[(f"promoted:{command.id}", event)],
        )

    def withdraw(lease: Lease) -> Done:
        command = msgspec.convert(lease.task.payload, m.Withdraw)
        spec = spec_of(command)
        champion = ws.read(Permission.WORK, lambda tx: registry.champion(tx, spec.model))
        event = m.RolledBack(
            loop=command.loop,
            at=command.at,
            version=command.version,
            champion=champion,
            command=command.id,
            reason=command.reason,
        )
        return Done(
            apply=lambda tx: _end_running(tx, spec.endpoint, command.outcome, command.at),
            events=[(f"withdrawn:{command.id}", event)],
        )

    def revert(lease: Lease) -> Done:
        command = msgspec.convert(lease.task.payload, m.Revert)
        spec = spec_of(command)
        event = m.RolledBack(
            loop=command.loop,
            at=command.at,
            version=command.version,
            champion=command.to,
            command=command.id,
            reason=command.reason,
        )

        def apply(tx: Tx) -> None:
            reactor.check_awaited(tx, command)
            if registry.champion(tx, spec.model) != command.version:
                raise ConflictError(f"{spec.model}/{command.version} serves no more.")
            _end_running(tx, spec.endpoint, "rolled_back", command.at)
            registry.promote(tx, spec.model, command.to, reason=command.reason, at=command.at)

        return Done(apply=apply, events=[(f"reverted:{command.id}", event)])

    return {
        "start_rollout": start_rollout,
        "promote": promote,
        "withdraw": withdraw,
        "revert": revert,
    }


def _start(tx: Tx, spec: LoopSpec, command: m.StartRollout) -> None:
    reactor.check_awaited(tx, command)
    champion = registry.champion(tx, spec.model)
    if champion is None:
        raise ConflictError(f"{spec.model} has no champion to compare {command.version} with.")
    if champion != command.over:
        raise ConflictError(f"The champion of {spec.model} changed meanwhile; nothing started.")
    _end_running(tx, spec.endpoint, "ended", command.at)
    policy = spec.rollout
    rollouts.start(
        tx,
        Rollout(
            id=new_id("rollout"),
            endpoint=spec.endpoint,
            model=spec.model,
            champion=champion,
            challenger=command.version,
            strategy=policy.strategy,
            share=policy.share,
            state="running",
            started=command.at,
        ),
    )
    tx.audit(
        "rollout.start",
        f"endpoint:{spec.endpoint}",
        {"champion": champion, "challenger": command.version, "share": policy.share},
        command.reason,
    )


def _promote(tx: Tx, spec: LoopSpec, command: m.Promote, previous: int | None) -> None:
    """Move the alias, end the rollout, keep the champion before on watch.

    Raises:
        ConflictError: if the champion changed since the command was read.
    """
    reactor.check_awaited(tx, command)
    if registry.champion(tx, spec.model) != previous or previous != command.over:
        raise ConflictError(f"The champion of {spec.model} changed meanwhile; not promoted.")
    _end_running(tx, spec.endpoint, "promoted", command.at)
    registry.promote(tx, spec.model, command.version, reason=command.reason, at=command.at)
    if previous is None or spec.rollout.watch_s <= 0:
        return
    rollouts.start(
        tx,
        Rollout(
            id=new_id("rollout"),
            endpoint=spec.endpoint,
            model=spec.model,
            champion=command.version,
            challenger=previous,
            strategy=Strategy.SHADOW,
            share=0.0,
            state="running",
            started=command.at,
            purpose="watch",
        ),
    )


def _end_running(tx: Tx, endpoint: str, state: str, at: float) -> None:
    running = rollouts.running(tx, endpoint)
    if running is None:
        return
    ended = "ended" if running.purpose == "watch" and state != "rolled_back" else state
    rollouts.end(tx, running.id, ended, at=max(at, running.started))
    tx.audit("rollout.end", f"endpoint:{endpoint}", {"rollout": running.id, "state": ended})

"""Move traffic: start a rollout, promote, withdraw, go back. Each is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.clock import iso
from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import CheckResult, LoopSpec, Rollout, Strategy
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, facts, registry, verdicts
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace.rollingout import first_share

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Traffic:
    """Carries out the commands that move traffic."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def start_rollout(self, lease: Lease) -> Done:
        """Let a challenger meet traffic beside the champion."""
        command = msgspec.convert(lease.task.payload, m.StartRollout)
        spec, _ = self._standing(command)
        return Done(apply=lambda tx: _start(tx, spec, command))

    def promote(self, lease: Lease) -> Done:
        """Make a version champion and keep the one before on watch."""
        command = msgspec.convert(lease.task.payload, m.Promote)
        spec, previous = self._standing(command)
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

    def withdraw(self, lease: Lease) -> Done:
        """End the rollout of a challenger; the champion stays."""
        command = msgspec.convert(lease.task.payload, m.Withdraw)
        spec, champion = self._standing(command)
        return Done(
            apply=lambda tx: _end_running(tx, spec.endpoint, command.outcome, command.at),
            events=[(f"withdrawn:{command.id}", _rolled_back(command, champion))],
        )

    def revert(self, lease: Lease) -> Done:
        """Give the champion alias back to the version before."""
        command = msgspec.convert(lease.task.payload, m.Revert)
        spec, _ = self._standing(command)
        return Done(
            apply=lambda tx: _revert(tx, spec, command),
            events=[(f"reverted:{command.id}", _rolled_back(command, command.to))],
        )

    def _standing(self, command: m.Command) -> tuple[LoopSpec, int | None]:
        """Return the loop as declared and the champion of its model."""

        def look(tx: Tx) -> tuple[LoopSpec, int | None]:
            spec = reactor.spec(tx, command.loop)
            return spec, registry.champion(tx, spec.model)

        return self._ws.read(Permission.WORK, look)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of the commands that move traffic."""
    traffic = Traffic(ws)
    return {
        "start_rollout": traffic.start_rollout,
        "promote": traffic.promote,
        "withdraw": traffic.withdraw,
        "revert": traffic.revert,
    }


def _rolled_back(command: m.Withdraw | m.Revert, champion: int | None) -> m.RolledBack:
    return m.RolledBack(
        loop=command.loop,
        at=command.at,
        version=command.version,
        champion=champion,
        command=command.id,
        reason=command.reason,
    )


def _revert(tx: Tx, spec: LoopSpec, command: m.Revert) -> None:
    """Move the alias back, if the version that broke still serves.

    Raises:
        ConflictError: if another version serves by now.
    """
    reactor.check_awaited(tx, command)
    if registry.champion(tx, spec.model) != command.version:
        raise ConflictError(f"{spec.model}/{command.version} serves no more.")
    _end_running(tx, spec.endpoint, "rolled_back", command.at)
    registry.promote(tx, spec.model, command.to, reason=command.reason, at=command.at)


def _start(tx: Tx, spec: LoopSpec, command: m.StartRollout) -> None:
    reactor.check_awaited(tx, command)
    champion = registry.champion(tx, spec.model)
    if champion is None:
        raise ConflictError(f"{spec.model} has no champion to compare {command.version} with.")
    if champion != command.over:
        raise ConflictError(f"The champion of {spec.model} changed meanwhile; nothing started.")
    if not decisions.overridden(tx, spec.model, command.version):
        facts.refuse_ungated(tx, spec.model, command.version, "meet traffic")
    running = rollouts.running(tx, spec.endpoint)
    if running is not None and running.hand:
        raise ConflictError(
            f"Rollout {running.id} of {spec.endpoint} was begun by hand ({running.by}), which"
            f" goes before: {spec.model}/{command.version} met no traffic."
        )
    _end_running(tx, spec.endpoint, "ended", command.at)
    policy = spec.rollout
    # Elsewhere we answer nobody: the challenger scores the rows that are fed.
    fed = endpoints.get(tx, spec.endpoint).kind == "fed"
    rollouts.start(
        tx,
        Rollout(
            id=new_id("rollout"),
            endpoint=spec.endpoint,
            model=spec.model,
            champion=champion,
            challenger=command.version,
            strategy=Strategy.SHADOW if fed else policy.strategy,
            share=0.0 if fed else first_share(policy),
            state="running",
            started=command.at,
        ),
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
    _renew(tx, spec, command)
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
        command.reason,
    )


def _renew(tx: Tx, spec: LoopSpec, command: m.Promote) -> None:
    """Make a gate young again that grew stale during the rollout which proved its version."""
    running = rollouts.running(tx, spec.endpoint)
    if running is None or running.purpose != "challenge" or running.challenger != command.version:
        return
    proof = CheckResult(
        name="rollout",
        passed=True,
        found=f"{command.reason} {running.rows:,} paired rows since {iso(running.started)}",
        wanted=f"better than version {running.champion} in traffic",
        evidence={"rollout": running.id, "rows": running.rows, "champion": running.champion},
        opens=[f"rollout:{running.id}"],
    )
    verdicts.renew(tx, spec.model, command.version, proof, command.at)


def _end_running(tx: Tx, endpoint: str, state: str, at: float) -> None:
    running = rollouts.running(tx, endpoint)
    if running is None:
        return
    ended = "ended" if running.purpose == "watch" and state != "rolled_back" else state
    rollouts.end(tx, running.id, ended, at=max(at, running.started))

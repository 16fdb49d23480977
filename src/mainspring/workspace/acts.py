"""What people do by hand: declare, promote, roll back, override, pause, ask, label.

Each is one transaction that moves the state and tells the loop, so that neither can happen
without the other.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainspring.debt import consumers
from mainspring.engine import freezes, reactor
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import LoopSpec, Rollout
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels
from mainspring.readiness import decisions, registry
from mainspring.retraining.declaring import check_wishes
from mainspring.scaling.serving import capture, endpoints, rollouts
from mainspring.workspace import crons, gates, promoting
from mainspring.workspace.opening import Workspace


def declare(ws: Workspace, spec: LoopSpec) -> int:
    """Store a loop as declared, with its endpoint; return its version (the same for the same)."""
    now = ws.clock.now()
    freezes.check(spec.retraining.freeze)
    check_wishes(spec.retraining.on, "retraining.on")

    def work(tx: Tx) -> int:
        gates.refuse_fewer_eyes(tx, spec.model, spec.gate)
        registry.ensure_model(tx, spec.model, at=now)
        kind: Literal["served", "fed"] = "fed" if spec.fed else "served"
        endpoints.ensure(tx, spec.endpoint, spec.model, at=now, loop=spec.name, kind=kind)
        before = reactor.spec_or_none(tx, spec.name)
        # A loop whose rows carry event time begins at no time at all: the first rows tell.
        start = now if spec.time is None else 0.0
        champion = registry.champion(tx, spec.model)
        at = promoting.event_time(tx, spec.name, start)
        version = reactor.declare(tx, spec, at=at, champion=champion)
        crons.of_loop(tx, before, spec, now)
        if before != spec:
            tx.audit("loop.declare", f"loop:{spec.name}", {"version": version})
        return version

    return ws.write(Permission.LOOP, work)


def promote(
    ws: Workspace, model: str, number: int, reason: str, *, watch: bool = True
) -> int | None:
    """Make a version champion by hand and return the champion before it.

    A running rollout of the model's endpoint ends in the same transaction. The champion before
    scores along for a time, and comes back by itself should the new one break; not without
    ``watch``.

    Raises:
        GateRefusedError: if the version has no passed gate.
    """
    return _move(ws, model, number, needed(reason), back=False, watch=watch)[0]


def roll_back(ws: Workspace, model: str, reason: str, to: int | None = None) -> int:
    """Give the champion alias back to the champion before, or to a version named; return it.

    Raises:
        ConflictError: if there is nothing to go back to.
    """
    return _move(ws, model, to, needed(reason), back=True)[1]


def _move(
    ws: Workspace,
    model: str,
    wanted: int | None,
    reason: str,
    *,
    back: bool,
    watch: bool = False,
) -> tuple[int | None, int]:
    """Move the champion alias, to the champion before if none is ``wanted``; before and after."""

    def work(tx: Tx) -> tuple[int | None, int]:
        number = _champion_before(tx, model) if wanted is None else wanted
        return promoting.move(ws, tx, model, number, reason, back=back, watch=watch), number

    return ws.write(Permission.PROMOTE, work)


def _champion_before(tx: Tx, model: str) -> int:
    found = registry.previous_champion(tx, model)
    if found is None:
        raise ConflictError(
            f"{model} never had another champion, so there is nothing to go back to.",
            hint=f"Promote a version instead: mainspring promote {model}/NUMBER --reason WHY",
        )
    return found


def override(ws: Workspace, model: str, number: int, reason: str) -> None:
    """Let a refused version into a canary. It can never get past one."""
    reason = needed(reason)

    def work(tx: Tx) -> None:
        registry.get(tx, model, number)
        loop = _loop_of(tx, model)
        now = ws.clock.now()
        decisions.override(tx, model, number, reason=reason, at=now)
        event = m.Overridden(
            loop=loop,
            at=promoting.event_time(tx, loop, now),
            version=number,
            by=tx.who.name,
            reason=reason,
        )
        reactor.emit(tx, event, key=new_id("hand"))
        promoting.note(tx, "override", f"{model}/{number}", reason, now, loop=loop, at=event.at)

    ws.write(Permission.PROMOTE, work)


def pause(ws: Workspace, loop: str, reason: str, *, withdraw: bool = False) -> None:
    """Stop a loop from acting. Monitoring, and a roll-back that must be, go on.

    ``withdraw`` sends a challenger in traffic home; without it, only harm ends its rollout.
    """
    _tell(ws, loop, m.Paused, needed(reason), "loop.pause", withdraw=withdraw)


def resume(ws: Workspace, loop: str, reason: str) -> None:
    """Let a paused loop act again."""
    _tell(ws, loop, m.Resumed, needed(reason), "loop.resume")


def retrain(
    ws: Workspace, loop: str, reason: str, *, key: str | None = None, patient: bool = False
) -> bool:
    """Ask a loop for a new version; inside its cool-down it declines, or waits if ``patient``.

    The same ``key`` asks once, however often it is sent: then the answer is False.
    """
    reason = needed(reason)
    permission = Permission.RETRAIN
    known = None if key is None else f"asked:{loop}:{key}"
    if known is not None and len(known) > 255:
        raise BadInputError("A key is at most 100 characters.", field="key")
    more = {"patient": patient}
    return _tell(
        ws, loop, m.RetrainRequested, reason, "loop.retrain", permission, key=known, **more
    )


def _tell(
    ws: Workspace,
    loop: str,
    kind: type[Any],
    reason: str,
    action: str,
    permission: Permission = Permission.LOOP,
    key: str | None = None,
    **more: Any,
) -> bool:
    def work(tx: Tx) -> bool:
        reactor.spec(tx, loop)
        at = promoting.event_time(tx, loop, ws.clock.now())
        event = kind(loop=loop, at=at, by=tx.who.name, reason=reason, **more)
        new = reactor.emit(tx, event, key=key or new_id("hand"))
        if new:
            tx.audit(action, f"loop:{loop}", {k: v for k, v in more.items() if v}, reason)
        return new

    return ws.write(permission, work)


def add_labels(ws: Workspace, endpoint: str, ids: list[str], values: list[Any]) -> int:
    """Keep ground truth for predictions, by prediction id; return the batch's number."""

    def work(tx: Tx) -> int:
        endpoints.get(tx, endpoint)
        newest = capture.watermark(ws.captures(endpoint))
        return labels.add(tx, endpoint, ids, values, at=ws.clock.now(), watermark=newest)

    return ws.write(Permission.LABEL, work)


def create_endpoint(ws: Workspace, name: str, model: str, *, shared: bool = False) -> None:
    """Serve a model's champion under a name. The engine starts its process.

    ``shared``: by the process that many endpoints share, which loads models on demand; else as
    it is served already, or by a process of its own.

    Raises:
        NotFoundError: if the model has no champion.
    """

    def work(tx: Tx) -> None:
        if registry.champion(tx, model) is None:
            raise NotFoundError(
                f"{model} has no champion to serve.",
                field="model",
                hint=f"Promote a version first: mainspring promote {model}/NUMBER --reason WHY",
            )
        there = endpoints.ensure(tx, name, model, at=ws.clock.now(), loop=None)
        tx.audit("endpoint.create", f"endpoint:{name}", {"model": model})
        if shared and there.options.place != "shared":
            asked = msgspec.structs.replace(there.options, place="shared")
            endpoints.configure(tx, name, asked)

    ws.write(Permission.SERVE, work)


def remove_endpoint(ws: Workspace, name: str) -> None:
    """Stop serving under a name. Captured traffic and labels are kept."""

    def work(tx: Tx) -> None:
        running = rollouts.running(tx, name)
        if running is not None and running.purpose == "watch":
            rollouts.end(tx, running.id, "ended", at=max(ws.clock.now(), running.started))
        endpoints.remove(tx, name)
        consumers.forget(tx, name)
        tx.audit("endpoint.remove", f"endpoint:{name}", {})

    ws.write(Permission.SERVE, work)


def running_rollout(ws: Workspace, endpoint: str) -> Rollout | None:
    """Return the rollout an endpoint is in, if any."""
    return ws.read(Permission.READ, lambda tx: rollouts.running(tx, endpoint))


def _loop_of(tx: Tx, model: str) -> str:
    for spec in reactor.loops(tx):
        if spec.model == model:
            return spec.name
    raise NotFoundError(f"No loop looks after the model {model}.", field="model")


def needed(reason: str) -> str:
    """Return a reason without what surrounds it.

    Raises:
        BadInputError: if there is none, or far too much of it.
    """
    text = reason.strip()
    if not text:
        raise BadInputError("A reason is needed: it is what others will read.", field="reason")
    if len(text) > 2000:
        raise BadInputError("A reason is at most 2,000 characters.", field="reason")
    return text


def changed(before: LoopSpec, after: LoopSpec) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two declarations, by field."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return {key: (old[key], new[key]) for key in new if old[key] != new[key]}

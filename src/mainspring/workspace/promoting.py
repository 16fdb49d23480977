"""Move a champion alias with all that hangs on it: rollouts, the watch, the loop, the reason."""

from __future__ import annotations

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Decision, Rollout, Strategy
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, registry
from mainspring.scaling.serving import capture, endpoints, rollouts
from mainspring.scaling.serving.endpoints import Endpoint
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import policy_of


def move(
    ws: Workspace,
    tx: Tx,
    model: str,
    number: int,
    reason: str,
    *,
    back: bool,
    watch: bool = True,
    by: str | None = None,
) -> int | None:
    """Make a version champion by a person's word and return the champion before it.

    ``by`` is that person where the engine does what was agreed before. The champion before scores
    along for a time (``watch``), so that a new one that breaks goes back by itself.

    Raises:
        ConflictError: if it is the champion already.
        GateRefusedError: if the version has no passed gate.
    """
    now, who = ws.clock.now(), by or tx.who.name
    before = registry.champion(tx, model)
    if before == number:
        raise ConflictError(f"{model}/{number} is the champion already.", field="number")
    registry.promote(tx, model, number, reason=reason, at=now)
    kind = "roll_back" if back else "promote"
    serving = endpoints.of_model(tx, model)
    if not serving:
        note(tx, kind, f"{model}/{number}", reason, now, by=who)
    for place in serving:
        _end_rollout(tx, place.name, number, now)
        if watch and not back and before is not None:
            stand_by(ws, tx, place, number, before, reason)
        if place.loop is None:
            note(tx, kind, f"{model}/{number}", reason, now, by=who)
            continue
        at = event_time(tx, place.loop, now)
        event: m.AnyEvent = m.Promoted(
            loop=place.loop, at=at, version=number, previous=before, by=who, reason=reason
        )
        if back and before is not None:
            event = m.RolledBack(
                loop=place.loop, at=at, version=before, champion=number, by=who, reason=reason
            )
        reactor.emit(tx, event, key=new_id("hand"))
    return before


def stand_by(
    ws: Workspace, tx: Tx, place: Endpoint, champion: int, before: int, reason: str
) -> None:
    """Let the champion before score in the shadow, ready to return, for as long as is declared."""
    if place.kind != "served" or policy_of(tx, place).watch_s <= 0:
        return
    watch = Rollout(
        id=new_id("rollout"),
        endpoint=place.name,
        model=place.model,
        champion=champion,
        challenger=before,
        strategy=Strategy.SHADOW,
        share=0.0,
        state="running",
        started=begins(ws, tx, place),
        purpose="watch",
    )
    rollouts.start(tx, watch, reason)


def begins(ws: Workspace, tx: Tx, place: Endpoint) -> float:
    """Return the event time of an endpoint's traffic now: that of the rows, or the wall's."""
    now = ws.clock.now()
    if place.loop is not None:
        return event_time(tx, place.loop, now)
    champion = registry.champion(tx, place.model)
    if champion is None or registry.get(tx, place.model, champion).signature.time is None:
        return now
    newest = capture.watermark(ws.captures(place.name))
    return now if newest is None else newest


def event_time(tx: Tx, loop: str, now: float) -> float:
    """Return the loop's own time: of its newest event, or the wall's where rows have none."""
    view = reactor.view_or_none(tx, loop)
    if view is None:
        return now
    return now if reactor.spec(tx, loop).time is None else view.now


def _end_rollout(tx: Tx, endpoint: str, champion: int, now: float) -> None:
    running = rollouts.running(tx, endpoint)
    if running is not None:
        met = running.challenger == champion or any(a.version == champion for a in running.arms)
        state = "promoted" if met else "rejected"
        if running.purpose == "watch":
            state = "ended"
        rollouts.end(tx, running.id, state, at=max(now, running.started))


def note(
    tx: Tx,
    kind: str,
    subject: str,
    reason: str,
    now: float,
    *,
    loop: str | None = None,
    at: float | None = None,
    by: str | None = None,
    evidence: dict[str, object] | None = None,
    name: str | None = None,
) -> Decision:
    """Write a decision down; one by a ``name`` that is there already is left alone."""
    decision = Decision(
        id=name or new_id("dec"),
        at=now if at is None else at,
        made=now,
        kind=kind,
        subject=subject,
        reason=reason,
        by=by or tx.who.name,
        loop=loop,
        evidence=evidence or {},
    )
    decisions.record(tx, decision)
    return decision

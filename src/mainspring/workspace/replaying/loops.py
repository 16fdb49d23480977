"""Replay what a loop captured and got labels for, and keep what came of it as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from mainspring.engine import reactor
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.loops import View
from mainspring.ground.objects import Evidence, LoopSpec, Signature
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence, registry
from mainspring.retraining.ageing import Staleness, staleness
from mainspring.retraining.contenders import Contender, Pace, parse
from mainspring.retraining.outcomes import Progress, Simulation
from mainspring.retraining.table import Stream, prepare
from mainspring.workspace.evidence import LabelShelf, labelled
from mainspring.workspace.replaying.simulating import replayed

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

USUAL = ("static", "every-period", "declared")
_FOREVER = 1e15
_FREEZES = "Freezes are not replayed: the policy acts as if there were none."


def simulate(
    ws: Workspace,
    name: str,
    policies: Sequence[str] = USUAL,
    *,
    period_s: float | None = None,
    delay_s: float | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Replay a loop's captures with labels through policies, and keep the figures as evidence.

    ``declared`` is the policy of the loop. A period is a window of its monitor and labels are
    as late as it declares, unless it is said otherwise.

    Raises:
        NotFoundError: if there is no such loop or model.
        BadInputError: if it has too few labelled rows, or a policy is not known.
    """
    spec, view, stream = _history(ws, name, period_s)
    minutes = view.trained_s / view.retrainings / 60 if view.retrainings else None
    declared = Contender(
        name="declared",
        retraining=spec.retraining,
        rollout=spec.rollout,
        minutes=minutes or None,
    )
    pace = Pace(stream.length_s, stream.length_s)
    contenders = [parse(text, pace, declared) for text in policies]
    monitor = msgspec.structs.replace(spec.monitor, window_s=stream.length_s)
    if spec.retraining.freeze:
        stream = replace(stream, notices=[*stream.notices, _FREEZES])
    found = replayed(
        stream,
        contenders,
        delay_s=spec.monitor.label_delay_s if delay_s is None else delay_s,
        monitor=monitor,
        gate=spec.gate,
        progress=progress,
    )
    _keep(ws, spec, "simulation", found.sentence, told(found))
    return found


def age(
    ws: Workspace,
    name: str,
    *,
    period_s: float | None = None,
    value_per_loss: float | None = None,
    cost: float | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Staleness:
    """Say how models age on a loop's history, and keep the curve as evidence.

    Worth, cost and tolerance are those that the loop declares, unless it is said otherwise.

    Raises:
        NotFoundError, BadInputError: as :func:`simulate`.
    """
    spec, _, stream = _history(ws, name, period_s)
    policy = spec.retraining
    found = staleness(
        stream,
        tolerance=spec.monitor.loss_tolerance if tolerance is None else tolerance,
        value_per_loss=policy.value_per_loss if value_per_loss is None else value_per_loss,
        cost=policy.cost if cost is None else cost,
        progress=progress,
    )
    _keep(ws, spec, "staleness", found.found, msgspec.to_builtins(found))
    return found


def newest(ws: Workspace, name: str, kind: str) -> Evidence | None:
    """Return what was kept last of a loop: of kind ``simulation`` or ``staleness``."""

    def look(tx: Tx) -> Evidence | None:
        spec = _spec(tx, name)
        return evidence.newest(tx, kind, f"model:{spec.model}")

    return ws.read(Permission.READ, look)


def told(found: Simulation) -> dict[str, Any]:
    """Return a simulation as small as a page needs it: figures and lines, no happenings."""
    whole: dict[str, Any] = msgspec.to_builtins(found)
    for one in whole["policies"]:
        one["happenings"] = [
            {"period": h["period"], "at": h["at"], "what": h["what"]} for h in one["happenings"]
        ]
    return {
        name: whole[name]
        for name in ("metric", "higher_is_better", "rows", "period_s", "delay_s", "periods")
    } | {"policies": whole["policies"], "notices": whole["notices"]}


def _history(ws: Workspace, name: str, period_s: float | None) -> tuple[LoopSpec, View, Stream]:
    """Return a loop as declared and as it stands, and its labelled rows as a stream."""

    def look(tx: Tx) -> tuple[LoopSpec, View, Signature, pl.DataFrame]:
        spec = _spec(tx, name)
        champion = registry.champion(tx, spec.model)
        if champion is None:
            raise BadInputError(
                f"{spec.model} has no champion, so nothing of it was served yet.",
                field="name",
                hint="Replay the file it learnt from: mainspring loop simulate FILE --target ...",
            )
        signature = registry.get(tx, spec.model, champion).signature
        rows = labelled(ws, LabelShelf(), tx, spec.endpoint, signature, 0.0, _FOREVER)
        return spec, reactor.view(tx, spec.name), signature, rows

    spec, view, signature, rows = ws.read(Permission.READ, look)
    names = [column.name for column in signature.columns if column.name in rows.columns]
    frame = rows.select(*names, "_time", "_y") if rows.height else pl.DataFrame({"_y": []})
    if rows.height == 0:
        raise BadInputError(
            f"No captured row of {spec.endpoint} has a label yet.",
            field="name",
            hint="Labels are sent with: mainspring label ENDPOINT FILE",
        )
    stream = prepare(frame, "_y", "_time", spec.kind, period_s or spec.monitor.window_s)
    if spec.kind == "regression":
        stream = replace(stream, scale=signature.scale)
    return spec, view, stream


def _spec(tx: Tx, name: str) -> LoopSpec:
    """Return the loop of a name, or that of the model of that name."""
    try:
        return reactor.spec(tx, name)
    except NotFoundError:
        for one in reactor.loops(tx):
            if one.model == name:
                return one
        raise


def _keep(ws: Workspace, spec: LoopSpec, kind: str, found: str, detail: dict[str, Any]) -> None:
    made = Evidence(
        id=new_id("ev"),
        kind=kind,
        subject=f"model:{spec.model}",
        passed=None,
        found=found,
        at=ws.clock.now(),
        by=ws.who.name,
        detail={"loop": spec.name} | detail,
        opens=[f"/loops/{spec.name}"],
    )
    ws.write(Permission.LOOP, lambda tx: evidence.record(tx, made))

"""The promises of loops, rollouts and alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from sqlalchemy import select

from mainspring.engine import reactor, tasks
from mainspring.engine import tables as engine
from mainspring.experiments import tables as experiments
from mainspring.ground.errors import NotFoundError
from mainspring.ground.loops import Phase, View
from mainspring.ground.ports import Tx
from mainspring.monitoring import tables as monitoring
from mainspring.readiness import registry
from mainspring.readiness import tables as readiness
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving import tables as serving
from mainspring.workspace.opening import Workspace


def views(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001  one shape
    """Yield loops whose view cannot be read, or names another champion than the registry."""
    waiting = _with_events(tx)
    for row in tx.all(select(engine.views)):
        try:
            view = msgspec.json.decode(row.view, type=View)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            yield f"The view of loop {row.loop} cannot be read: {error}"
            continue
        spec = reactor.spec_or_none(tx, row.loop)
        if spec is None or row.loop in waiting or view.phase is not Phase.IDLE:
            continue
        champion = registry.champion(tx, spec.model)
        if view.champion != champion:
            yield (
                f"Loop {row.loop} rests and takes version {view.champion} for the champion of"
                f" {spec.model}, which is {champion}."
            )


def commands(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield loops that wait for a command which is over, with no answer on its way."""
    waiting = _with_events(tx)
    for row in tx.all(select(engine.views)):
        view = _view(row.view)
        if view is None or view.command is None or row.loop in waiting:
            continue
        task = tasks.get(tx, view.command)
        if task is None:
            yield f"Loop {row.loop} is {view.phase} and waits for {view.command}: no such task."
        elif task.state in tasks.BROKEN and view.phase is not Phase.ROLLOUT:
            yield f"Loop {row.loop} is {view.phase} and {view.command} is {task.state}."


def single_flight(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield loops with more than one training that is not over."""
    going = tx.all(
        select(engine.tasks.c.payload).where(
            engine.tasks.c.kind == "train",
            engine.tasks.c.state.in_(("ready", "leased", "waiting")),
        )
    )
    count = Counter(msgspec.json.decode(row.payload)["loop"] for row in going)
    runs, tags = experiments.runs, experiments.tags
    running = tx.all(
        select(tags.c.value)
        .join(runs, runs.c.id == tags.c.run)
        .where(tags.c.key == "loop", runs.c.status == "running")
    )
    count += Counter(row.value for row in running)
    for loop, several in count.items():
        if several > 1:
            yield f"Loop {loop} has {several} trainings under way."


def rollouts(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield rollouts that run two at a time, or against a version that is not the champion."""
    found: dict[str, list[str]] = {}
    for row in tx.all(select(serving.rollouts).where(serving.rollouts.c.state == "running")):
        found.setdefault(row.endpoint, []).append(row.id)
        champion = registry.champion(tx, row.model)
        if champion != row.champion:
            yield (
                f"Rollout {row.id} of {row.endpoint} runs against version {row.champion}, and the"
                f" champion of {row.model} is {champion}."
            )
        try:
            endpoints.get(tx, row.endpoint)
            registry.get(tx, row.model, row.challenger)
        except NotFoundError as error:
            yield f"Rollout {row.id}: {error}"
    for endpoint, several in found.items():
        if len(several) > 1:
            yield f"{endpoint} has {len(several)} rollouts at once: {', '.join(several)}."


def alarms(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield alarms that are neither open nor ended, and those a loop holds that are not open."""
    table = monitoring.alarms
    state = {}
    for row in tx.all(select(table.c.id, table.c.outcome, table.c.open_key)):
        state[row.id] = row.outcome
        if (row.outcome is None) != (row.open_key is not None):
            yield f"Alarm {row.id} has the outcome {row.outcome} and is held open all the same."
    waiting = _with_events(tx)
    for row in tx.all(select(engine.views)):
        view = _view(row.view)
        for alarm in view.alarms if view is not None and row.loop not in waiting else ():
            if alarm.id not in state:
                yield f"Loop {row.loop} holds alarm {alarm.id}, which is not there."
            elif state[alarm.id] is not None:
                yield f"Loop {row.loop} holds alarm {alarm.id}, which ended {state[alarm.id]}."


def promotions(ws: Workspace, tx: Tx) -> Iterator[str]:  # noqa: ARG001
    """Yield moves of a champion that nobody gave a reason for."""
    moves = readiness.alias_history
    for row in tx.all(select(moves).where(moves.c.alias == "champion").order_by(moves.c.id)):
        if not row.reason.strip():
            yield f"{row.model}@champion moved to {row.number} without a reason, by {row.by}."
        if not row.by.strip():
            yield f"{row.model}@champion moved to {row.number} by nobody."


def _with_events(tx: Tx) -> set[str]:
    """Return the loops that have not reacted yet to all that happened."""
    waiting = select(engine.events.c.loop).where(engine.events.c.handled.is_(None)).distinct()
    return {row.loop for row in tx.all(waiting)}


def _view(text: str) -> View | None:
    try:
        return msgspec.json.decode(text, type=View)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None  # told by the promise about views

"""Gather what is shown of loops: where they stand, what they decided, whether they rest."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.engine import freezes, marks, reactor, tasks
from mainspring.engine.reactor import LoopRow
from mainspring.ground.clock import iso
from mainspring.ground.loops import Phase
from mainspring.ground.objects import Decision
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.readiness import decisions, registry, verdicts
from mainspring.scaling.serving import rollouts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import holding
from mainspring.workspace.views.shapes import (
    DecisionPage,
    Link,
    LoopStatus,
    Settled,
    TimelineEntry,
)

_WORDS = {
    Phase.IDLE: "Watching {endpoint}: version {champion} serves.",
    Phase.CHECKING: "Measuring whether a fresh version would do better than {champion}.",
    Phase.TRAINING: "Training a new version.",
    Phase.REGISTERING: "Registering the new version.",
    Phase.JUDGING: "Putting version {candidate} through the gate.",
    Phase.ROLLOUT: "Version {candidate} meets traffic beside champion {champion}.",
    Phase.PROMOTING: "Making version {candidate} champion.",
    Phase.WITHDRAWING: "Withdrawing version {candidate}; {champion} stays.",
    Phase.REVERTING: "Going back from version {champion} to {previous}.",
}

_WAITS = (
    "Version {candidate} waits for approval by another person than its author:"
    " mainspring approve {model}/{candidate} --reason WHY."
)


def loop_statuses(ws: Workspace) -> list[LoopStatus]:
    """Return every loop as it stands, by name."""
    now = ws.clock.now()

    def work(tx: Tx) -> list[LoopStatus]:
        return [_status(tx, row, now) for row in reactor.loop_rows(tx)]

    return ws.read(Permission.READ, work)


def loop_status(ws: Workspace, name: str) -> LoopStatus:
    """Return one loop as it stands.

    Raises:
        NotFoundError: if there is no such loop.
    """
    now = ws.clock.now()
    return ws.read(Permission.READ, lambda tx: _status(tx, _row(tx, name), now))


def _row(tx: Tx, name: str) -> LoopRow:
    reactor.view(tx, name)  # says that it is not there, as everywhere
    return next(row for row in reactor.loop_rows(tx) if row.name == name)


def _status(tx: Tx, row: LoopRow, now: float) -> LoopStatus:
    spec, view = row.spec, row.view
    frozen_until = freezes.until(spec.retraining.freeze, now)
    running = rollouts.running(tx, spec.endpoint)
    made = decisions.list_decisions(tx, loop=row.name, limit=1)
    return LoopStatus(
        name=row.name,
        version=row.version,
        declared=row.declared,
        model=spec.model,
        endpoint=spec.endpoint,
        phase=str(view.phase),
        words=in_words(row, frozen_until, waits=_waits(tx, row)),
        paused=view.paused,
        champion=registry.champion(tx, spec.model),
        candidate=view.candidate,
        open_alarms=len(alarms.open_alarms(tx, spec.endpoint)),
        # Numbers never come back, so the newest is how many there are.
        versions=next((m.newest for m in registry.models(tx) if m.name == spec.model), 0),
        windows=windows.count(tx, spec.endpoint),
        retrainings=view.retrainings,
        rollout=running,
        last_decision=made[0] if made else None,
        view=view,
        spec=spec,
        frozen_until=frozen_until,
        on_hold=holding.on_hold(row, frozen_until),
        still_acts=holding.still_acts(row, frozen_until, running),
    )


def _waits(tx: Tx, row: LoopRow) -> bool:
    """Return whether a loop waits for a person to approve its candidate."""
    if row.view.phase is not Phase.JUDGING or row.view.candidate is None:
        return False
    newest = verdicts.latest(tx, row.spec.model, row.view.candidate)
    return newest is not None and newest.waits


def in_words(row: LoopRow, frozen_until: float | None = None, *, waits: bool = False) -> str:
    """Return what a loop is doing, as a sentence; ``waits`` for the approval of a person."""
    view = row.view
    words = _WAITS if waits else _WORDS[view.phase]
    said = words.format(
        model=row.spec.model,
        endpoint=row.spec.endpoint,
        champion=view.champion,
        candidate=view.candidate,
        previous=view.previous,
    )
    if view.phase is Phase.IDLE and view.champion is None:
        said = "Waiting for its first version."
    if view.paused:
        return f"Paused by hand. {said}"
    if frozen_until is not None:
        return f"Frozen until {iso(frozen_until)}. {said}"
    cooling = row.spec.retraining.cooldown_s
    until = None if view.trained_at is None else view.trained_at + cooling
    if view.phase is Phase.IDLE and until is not None and view.now < until:
        return f"{said} No retraining before {iso(until)}."
    return said


def settled(ws: Workspace, name: str) -> Settled:
    """Return whether everything a loop was told has been worked off, and what has not.

    A rollout that waits for labels is settled: nothing will happen until somebody sends some.
    """

    def work(tx: Tx) -> Settled:
        view = reactor.view(tx, name)
        waiting = []
        if reactor.pending(tx) is not None:
            waiting.append("events to react to")
        if tasks.unsettled(tx, ws.clock.now()):
            waiting.append("tasks to carry out")
        waiting += _unseen(tx, ws, reactor.spec(tx, name).endpoint)
        if view.phase not in (Phase.IDLE, Phase.ROLLOUT):
            waiting.append(f"the loop is {view.phase}")
        endpoint = reactor.spec(tx, name).endpoint
        seen = marks.read(tx)
        return Settled(
            settled=not waiting,
            phase=str(view.phase),
            waiting=waiting,
            now=view.now,
            watermark=seen.get(f"watermark:{endpoint}"),
            labels=int(seen.get(f"labels:{endpoint}", 0)),
        )

    return ws.read(Permission.READ, work)


def _unseen(tx: Tx, ws: Workspace, endpoint: str) -> list[str]:
    """Return what came in and was not looked at yet, by the marks the engine leaves."""
    from mainspring.monitoring import labels  # both bring polars: only for those who wait
    from mainspring.scaling.serving import capture

    seen = marks.read(tx)
    found = []
    watermark = capture.watermark(ws.captures(endpoint))
    if watermark is not None and seen.get(f"watermark:{endpoint}", -1.0) < watermark:
        found.append("traffic to look at")
    newest = labels.received(tx, endpoint).newest_batch
    if seen.get(f"labels:{endpoint}", 0.0) < newest:
        found.append("labels to look at")
    return found


def timeline(ws: Workspace, name: str, limit: int = 100) -> list[TimelineEntry]:
    """Return a loop's decisions, newest first, with links to what they speak of.

    Raises:
        NotFoundError: if there is no such loop.
    """

    def work(tx: Tx) -> list[TimelineEntry]:
        model = reactor.spec(tx, name).model
        found = decisions.list_decisions(tx, loop=name, limit=limit)
        return [TimelineEntry(decision=one, links=links_of(one, model)) for one in found]

    return ws.read(Permission.READ, work)


def links_of(decision: Decision, model: str | None) -> list[Link]:
    """Return what a decision speaks of and where that is shown."""
    named = [decision.subject, decision.cause or ""]
    named += [f"{key}:{decision.evidence[key]}" for key in _KINDS if key in decision.evidence]
    found = [link for text in named if (link := _link(text, model)) is not None]
    return list({link.href: link for link in found}.values())


_KINDS = {"run": "/runs/{}", "alarm": "/alarms/{}", "loop": "/loops/{}"}


def _link(text: str, model: str | None) -> Link | None:
    kind, mark, name = text.partition(":")
    if mark and kind in _KINDS:
        return Link(kind=kind, id=name, href=_KINDS[kind].format(name))
    if kind == "version" and model is not None:
        return Link(
            kind="version", id=f"{model}/{name}", href=f"/models/{model}?version={name}#v{name}"
        )
    of, slash, number = text.rpartition("/")
    if slash and number.isdecimal():
        return Link(kind="version", id=text, href=f"/models/{of}?version={number}#v{number}")
    return None


def decision_page(
    ws: Workspace, loop: str | None = None, limit: int = 50, cursor: str | None = None
) -> DecisionPage:
    """Return decisions, newest first, from after the one that ``cursor`` names.

    Raises:
        NotFoundError: if the cursor names no decision.
    """

    def work(tx: Tx) -> Sequence[Decision]:
        return decisions.list_decisions(tx, loop=loop, limit=limit + 1, before=cursor)

    found = ws.read(Permission.READ, work)
    page = list(found[:limit])
    return DecisionPage(decisions=page, cursor=page[-1].id if len(found) > limit else None)

"""Gather why a version is not champion, and why a loop trained nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mainspring.engine import freezes, reactor
from mainspring.engine.reactor import LoopRow
from mainspring.ground.clock import iso
from mainspring.ground.loops import Phase
from mainspring.ground.objects import Decision, Rollout, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, gate, registry, whynot
from mainspring.retraining import triggers
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import holding
from mainspring.workspace.views.loops import in_words
from mainspring.workspace.views.shapes import NotRetrained

MOST = 1000  #: decisions looked at
SHOWN = 30


def of_version(ws: Workspace, ref: str) -> whynot.WhyNot:
    """Return why a version is not champion.

    Raises:
        NotFoundError: if the reference names nothing.
    """

    def work(tx: Tx) -> whynot.WhyNot:
        version = registry.resolve(tx, ref)
        return whynot.why_not(_known(tx, version, ws.clock.now()))

    return ws.read(Permission.READ, work)


def _known(tx: Tx, version: Version, now: float) -> whynot.Known:
    model, number = version.model, version.number
    return whynot.Known(
        version=version,
        champion=registry.champion(tx, model),
        moves=registry.history(tx, model, registry.CHAMPION),
        gate=gate.latest(tx, model, number),
        overridden=bool(decisions.overrides_of(tx, model, number)),
        rollouts=_challenges(tx, model, number),
        decisions=decisions.list_decisions(tx, subject=f"{model}/{number}"),
        under_way=_under_way(tx, model, number, now),
    )


def _challenges(tx: Tx, model: str, number: int) -> list[Rollout]:
    found = [
        one
        for endpoint in endpoints.of_model(tx, model)
        for one in rollouts.of_endpoint(tx, endpoint.name)
        if one.challenger == number and one.purpose == "challenge"
    ]
    return sorted(found, key=lambda one: one.started, reverse=True)


def _under_way(tx: Tx, model: str, number: int, now: float) -> str:
    for row in reactor.loop_rows(tx):
        if row.spec.model == model and row.view.candidate == number:
            frozen = freezes.until(row.spec.retraining.freeze, now)
            return " ".join([in_words(row, frozen), *holding.on_hold(row, frozen)])
    return ""


def of_loop(ws: Workspace, name: str, since: float | None = None) -> NotRetrained:
    """Return why a loop trained nothing since a moment of its own time.

    If none is named, it is since its last training began.

    Raises:
        NotFoundError: if there is no such loop.
    """

    def work(tx: Tx) -> NotRetrained:
        reactor.view(tx, name)  # says that it is not there, as everywhere
        row = next(row for row in reactor.loop_rows(tx) if row.name == name)
        view = row.view
        start = since if since is not None else view.trained_at or 0.0
        found = [
            one
            for one in decisions.list_decisions(tx, loop=name, limit=MOST)
            if one.at > start or (since is not None and one.at == start)
        ]
        trained = [one for one in found if one.kind == "retrain"]
        frozen = freezes.until(row.spec.retraining.freeze, ws.clock.now())
        return NotRetrained(
            loop=name,
            since=start,
            trained=len(trained),
            reason=_reason(row, found, trained, frozen, start),
            on_hold=holding.on_hold(row, frozen),
            counts=dict(Counter(one.kind for one in found)),
            decisions=_each_once([one for one in found if one.kind in _LED_NOWHERE]),
        )

    return ws.read(Permission.READ, work)


_LED_NOWHERE = ("wait", "decline", "hold", "dismiss", "delay", "pause", "reject")


def _reason(
    row: LoopRow,
    found: Sequence[Decision],
    trained: Sequence[Decision],
    frozen: float | None,
    since: float,
) -> str:
    """Return the one thing that keeps the loop from training now, or that nothing asked."""
    if trained:
        last = trained[0]
        times = "once" if len(trained) == 1 else f"{len(trained)} times"
        return f"It was, {times} since {iso(since)}, last {iso(last.at)}: {last.reason}"
    looks = (_stopped(row, found, frozen), _busy(row), _limit(row), _looked(row, found))
    return next(
        (one for one in looks if one),
        "Nothing asked for it: no alarm, no look at the regret, no request came since.",
    )


def _stopped(row: LoopRow, found: Sequence[Decision], frozen: float | None) -> str | None:
    if row.view.paused:
        told = next((one for one in found if one.kind == "pause"), None)
        return "The loop is paused." if told is None else f"The loop is paused, {told.reason}"
    return None if frozen is None else f"A freeze is in force until {iso(frozen)}."


def _busy(row: LoopRow) -> str | None:
    if row.view.phase is not Phase.IDLE:
        return f"Something is under way: {in_words(row)}"
    return in_words(row) if row.view.champion is None else None


def _limit(row: LoopRow) -> str | None:
    view, policy = row.view, row.spec.retraining
    if spent := triggers.spent(view, policy):
        return f"{spent[0].upper()}{spent[1:]}."
    if triggers.cooling(view, policy) and view.trained_at is not None:
        return f"The cool-down is not over before {iso(view.trained_at + policy.cooldown_s)}."
    return None


def _looked(row: LoopRow, found: Sequence[Decision]) -> str | None:
    checked = next((one for one in found if one.kind == "wait"), None)
    if checked is not None:
        return f"Looked at last on {iso(checked.at)}: {checked.reason}"
    return "Alarms are open and wait for the next look at the regret." if row.view.alarms else None


def _each_once(found: Sequence[Decision]) -> list[Decision]:
    """Return decisions with each reason of a moment once: many alarms end by one."""
    known: dict[tuple[float, str, str], Decision] = {}
    for one in found:
        known.setdefault((one.at, one.kind, one.reason), one)
    return list(known.values())[:SHOWN]

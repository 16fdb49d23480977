"""Watch traffic: let rollouts decide, and say who judges windows and their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import LoopSpec, Rollout, Signature
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels
from mainspring.numerics.scores import row_losses
from mainspring.readiness import registry
from mainspring.retraining import challenge, guardrails
from mainspring.scaling.serving import callers, capture, rollouts, shelf, tallies
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.handlers import losing
from mainspring.workspace.handlers.labelling import Labeller
from mainspring.workspace.handlers.standing import Stands
from mainspring.workspace.handlers.windowing import Windower

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Watcher:
    """Carries out what scans find about rollouts and captures."""

    def __init__(self, ws: Workspace, shelf: LabelShelf) -> None:
        self._ws = ws
        self._shelf = shelf

    # ------------------------------------------------------------ rollouts

    def rollout(self, lease: Lease) -> Done:
        """Take newly arrived labels into account and see whether a rollout has decided itself."""
        spec = self._spec(lease.task.payload["loop"])

        def look(tx: Tx) -> tuple[Rollout, int, pl.DataFrame, Signature, list[float]]:
            now = rollouts.get(tx, lease.task.payload["rollout"])
            signature = registry.get(tx, spec.model, now.champion).signature
            newest, known = self._shelf.all(tx, spec.endpoint)
            seen = known.filter(pl.col("_batch") <= now.cursor)
            fresh = known.filter(pl.col("_batch") > now.cursor).join(seen, on="_id", how="anti")
            # All rows there are by now: the labels are all there are by now, too, and a label
            # that is counted as seen without its row would be lost to the tests for good.
            captured = capture.read(self._ws.captures(spec.endpoint), now.started)
            joined = labels.join(captured, fresh, signature)
            return now, newest, joined, signature, _fleet(tx, spec, now)

        before, newest, joined, signature, fleet = self._ws.read(Permission.WORK, look)
        if before.state != "running":
            return Done()
        champion, challenger = _paired_losses(joined, before, signature)
        # It may have waited for a worker meanwhile: the time is that of the rows it looked at.
        newest_row = capture.watermark(self._ws.captures(spec.endpoint)) or 0.0
        watermark = max(float(lease.task.payload["watermark"]), newest_row)
        after = challenge.advance(before, champion, challenger, spec.rollout, cursor=newest)
        found = challenge.verdict(after, spec.rollout, watermark, fleet)

        def apply(tx: Tx) -> None:
            now = rollouts.get(tx, before.id)
            if now.state != "running":
                return
            if now.cursor != before.cursor:
                raise UnavailableError("Another task took labels into account; it looks again.")
            rollouts.update(
                tx, now.id, after.better, after.worse, rows=after.rows, cursor=after.cursor
            )
            if found and before.purpose == "watch" and found[0] != "better":
                rollouts.end(tx, now.id, "ended", at=watermark)
            for key, event in _told(before, found, spec.name, watermark):
                reactor.emit(tx, event, key)

        return Done(result={"rows": len(champion)}, apply=apply)

    def guard(self, lease: Lease) -> Done:
        """End a rollout whose challenger fails or keeps callers waiting, labels or none."""
        spec = self._spec(lease.task.payload["loop"])
        rollout, watermark = lease.task.payload["rollout"], lease.task.payload["watermark"]
        running = self._ws.read(Permission.WORK, lambda tx: rollouts.get(tx, rollout))
        folder = self._ws.captures(spec.endpoint)
        counts = tallies.Follower(folder, running.challenger, running.started).total()
        found = guardrails.harm(running, spec.rollout, counts)
        if running.state != "running" or found is None:
            return Done()
        return Done(events=_told(running, found, spec.name, float(watermark)))

    # ------------------------------------------------------------ upkeep

    def compact(self, lease: Lease) -> Done:
        """Turn sealed segments into Parquet and keep the captures within their budget."""
        endpoint = lease.task.payload["endpoint"]
        folder = self._ws.captures(endpoint)
        shelf.compact(folder)
        tallies.prune(folder)
        callers.prune(folder)
        here("compact.folded")
        budget = self._ws.settings.capture_budget_mb * 1024 * 1024
        dropped = shelf.enforce_budget(folder, budget)

        def apply(tx: Tx) -> None:
            losing.forget(tx, folder, endpoint)
            losing.tell_damage(tx, folder, endpoint, self._ws.clock.now())

        return Done(result={"dropped_rows": dropped.rows}, apply=apply)

    def _spec(self, loop: str) -> LoopSpec:
        return self._ws.read(Permission.WORK, lambda tx: reactor.spec(tx, loop))


def handlers(ws: Workspace, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of what the scans find."""
    stands = Stands(ws)
    watcher, windower = Watcher(ws, shelf), Windower(ws, stands)
    labeller = Labeller(ws, shelf, stands)
    return {
        "window": windower.window,
        "unjudged": windower.unjudged,
        "labels": labeller.labels,
        "relabel": labeller.relabel,
        "rollout": watcher.rollout,
        "guard": watcher.guard,
        "compact": watcher.compact,
    }


def _fleet(tx: Tx, spec: LoopSpec, rollout: Rollout) -> list[float]:
    """Return the evidence of the rollouts that this one is judged together with."""
    if spec.rollout.fdr is None or rollout.purpose == "watch":
        return []
    fleet = [one.endpoint for one in reactor.loops(tx) if one.rollout.fdr is not None]
    return [challenge.evidence_of(one) for one in rollouts.beside(tx, rollout, fleet)]


def _paired_losses(joined: pl.DataFrame, rollout: Rollout, signature: Signature) -> Any:
    """Return the losses of champion and challenger on the rows that both scored."""
    pair = {rollout.champion, rollout.challenger}
    both = joined.filter(
        pl.col("_version").is_in(list(pair)) & pl.col("_other_version").is_in(list(pair))
    )
    if both.height == 0:
        return np.empty(0), np.empty(0)
    target = both["_y"].to_numpy()
    answered = row_losses(signature.kind, _scores(both, "_score"), target, scale=signature.scale)
    other = row_losses(
        signature.kind, _scores(both, "_other_score"), target, scale=signature.scale
    )
    by_champion = (both["_version"] == rollout.champion).to_numpy()
    return np.where(by_champion, answered, other), np.where(by_champion, other, answered)


def _scores(frame: pl.DataFrame, column: str) -> Any:
    values = frame[column]
    if values.dtype == pl.List or isinstance(values.dtype, pl.Array):
        return np.array(values.to_list(), dtype=np.float64)
    return values.to_numpy().reshape(-1, 1)


def _told(rollout: Rollout, found: Any, loop: str, at: float) -> list[tuple[str, m.AnyEvent]]:
    if found is None:
        return []
    verdict, reason, evidence = found
    if rollout.purpose == "watch":
        if verdict != "better":
            return []
        broke = m.ChampionBroke(
            loop=loop, at=at, version=rollout.champion, reason=reason, evidence=evidence
        )
        return [(f"broke:{rollout.id}", broke)]
    # Each outcome has a key: a proof that waits in a pause must not keep harm from being told.
    event = m.Verdict(
        loop=loop,
        at=at,
        rollout=rollout.id,
        version=rollout.challenger,
        verdict=verdict,
        reason=reason,
        evidence=evidence,
    )
    return [(f"verdict:{rollout.id}:{verdict}", event)]

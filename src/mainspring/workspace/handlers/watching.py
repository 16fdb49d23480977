"""Watch traffic: judge windows, judge their labels when mature, let rollouts decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import NotFoundError, UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Alarm, LoopSpec, Rollout, Signature, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import judge, labels, rules, windows
from mainspring.monitoring.sight import Sight
from mainspring.numerics.scores import row_losses
from mainspring.readiness import registry
from mainspring.retraining import challenge
from mainspring.scaling.serving import capture, endpoints, rollouts, shelf
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.feeding.declared import spec_of
from mainspring.workspace.handlers.standing import (
    Standing,
    Stands,
    all_found,
    beside,
    end_quiet,
    own_rows,
)
from mainspring.workspace.handlers.standing import raised as raise_all
from mainspring.workspace.handlers.windowing import Windower

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Watcher:
    """Carries out what scans find: windows that are over, labels that came."""

    def __init__(self, ws: Workspace, shelf: LabelShelf, stands: Stands) -> None:
        self._ws = ws
        self._shelf = shelf
        self._stands = stands

    # ------------------------------------------------------------ labels

    def labels(self, lease: Lease) -> Done:
        """Judge one window on its labels, now that they are mature."""
        name = lease.task.payload["window"]

        def look(tx: Tx) -> tuple[LoopSpec, Window, Standing, pl.DataFrame]:
            window = windows.get(tx, name)
            spec = spec_of(tx, window.endpoint)
            standing = self._stands.of(tx, spec, window.version, window.start, window.side)
            if standing is None:
                raise NotFoundError(f"Nobody answered in window {name}.", field="window")
            return spec, window, standing, self._shelf.all(tx, spec.endpoint)[1]

        spec, window, standing, known = self._ws.read(Permission.WORK, look)
        frame = capture.read(self._ws.captures(spec.endpoint), window.start, window.end)
        frame = self._ws.read(Permission.WORK, lambda tx: own_rows(tx, spec, frame, standing))
        joined = labels.join_counted(frame, known, standing.signature)
        performance, raised = judge.judge_labels(
            window,
            joined,
            standing.baseline.loss,
            spec.monitor,
            signature=standing.signature,
            open_subjects=standing.open,
        )
        found, more = judge.judge_truth(
            window,
            Sight(
                frame=frame,
                joined=joined,
                baseline=standing.baseline,
                signature=standing.signature,
                policy=spec.monitor,
                span=(window.start, window.end),
                endpoint=spec.endpoint,
                version=window.version,
                window=window.id,
                earlier=standing.earlier,
                reference=self._stands.reference(standing),
                score=self._stands.score(standing),
            ),
            open_subjects=standing.open,
        )
        raised = rules.repeated(raised + more, standing.earlier, spec.monitor)

        def apply(tx: Tx) -> None:
            windows.update_performance(tx, window.id, performance, joined.rows.height)
            windows.update_found(tx, window.id, found)
            at = float(lease.task.payload["watermark"])
            self._tell(tx, spec, window, raised, at, joined.rows.height)

        return Done(apply=apply)

    def _tell(
        self, tx: Tx, spec: LoopSpec, window: Window, new: list[Alarm], at: float, labelled: int
    ) -> None:
        """Raise what labels deserve, end what they found quiet, and tell the loop."""
        if window.side is not None:
            _, new = beside(window, new, window.side)
        if not spec.name:
            now = windows.get(tx, window.id)
            end_quiet(tx, spec, now, all_found(now), self._ws.clock.now())
            raise_all(tx, new)
            return
        # Who does not serve any more is no reason to train another.
        serves = registry.champion(tx, spec.model) == window.version
        serves = serves or endpoints.get(tx, spec.endpoint).kind == "fed"
        event = m.WindowClosed(
            loop=spec.name,
            at=at,
            window=window.id,
            alarms=raise_all(tx, new, window.side) if serves or window.side is not None else [],
            labelled_rows=labelled,
        )
        reactor.emit(tx, event, f"labels:{window.id}")

    # ------------------------------------------------------------ rollouts

    def rollout(self, lease: Lease) -> Done:
        """Take newly arrived labels into account and see whether a rollout has decided itself."""
        spec = self._spec(lease.task.payload["loop"])

        def look(tx: Tx) -> tuple[Rollout, int, pl.DataFrame, Signature]:
            now = rollouts.get(tx, lease.task.payload["rollout"])
            signature = registry.get(tx, spec.model, now.champion).signature
            newest, known = self._shelf.all(tx, spec.endpoint)
            seen = known.filter(pl.col("_batch") <= now.cursor)
            fresh = known.filter(pl.col("_batch") > now.cursor).join(seen, on="_id", how="anti")
            # All rows there are by now: the labels are all there are by now, too, and a label
            # that is counted as seen without its row would be lost to the tests for good.
            captured = capture.read(self._ws.captures(spec.endpoint), now.started)
            return now, newest, labels.join(captured, fresh, signature), signature

        before, newest, joined, signature = self._ws.read(Permission.WORK, look)
        if before.state != "running":
            return Done()
        champion, challenger = _paired_losses(joined, before, signature)
        # It may have waited for a worker meanwhile: the time is that of the rows it looked at.
        newest_row = capture.watermark(self._ws.captures(spec.endpoint)) or 0.0
        watermark = max(float(lease.task.payload["watermark"]), newest_row)
        after = challenge.advance(before, champion, challenger, spec.rollout, cursor=newest)
        found = challenge.verdict(after, spec.rollout, watermark)

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

    # ------------------------------------------------------------ upkeep

    def compact(self, lease: Lease) -> Done:
        """Turn sealed segments into Parquet and keep the captures within their budget."""
        folder = self._ws.captures(lease.task.payload["endpoint"])
        shelf.compact(folder)
        here("compact.folded")
        budget = self._ws.settings.capture_budget_mb * 1024 * 1024
        dropped = shelf.enforce_budget(folder, budget)
        return Done(result={"dropped_rows": dropped.rows})

    def _spec(self, loop: str) -> LoopSpec:
        return self._ws.read(Permission.WORK, lambda tx: reactor.spec(tx, loop))


def handlers(ws: Workspace, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of what the scans find."""
    stands = Stands(ws)
    watcher, windower = Watcher(ws, shelf, stands), Windower(ws, stands)
    return {
        "window": windower.window,
        "unjudged": windower.unjudged,
        "labels": watcher.labels,
        "rollout": watcher.rollout,
        "compact": watcher.compact,
    }


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
    event = m.Verdict(
        loop=loop,
        at=at,
        rollout=rollout.id,
        version=rollout.challenger,
        verdict=verdict,
        reason=reason,
        evidence=evidence,
    )
    return [(f"verdict:{rollout.id}", event)]

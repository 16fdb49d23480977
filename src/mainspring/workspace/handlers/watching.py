"""Watch traffic: judge windows, judge their labels when mature, let rollouts decide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import NotFoundError, UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Alarm, LoopSpec, Profile, Rollout, Signature, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, judge, labels, rules, windows
from mainspring.monitoring.sight import LOOKS_BACK, Sight
from mainspring.numerics.scores import row_losses
from mainspring.readiness import registry
from mainspring.retraining import challenge
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, rollouts, shelf
from mainspring.workspace.evidence import LabelShelf, Models, References

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who served in a window, and what its rows are compared with."""

    version: int
    package: str
    signature: Signature
    baseline: Profile
    open: set[tuple[str, str]]  # (kind, subject) of open alarms
    earlier: list[Window]


class Watcher:
    """Carries out what scans find: windows that are over, labels that came."""

    def __init__(self, ws: Workspace, shelf: LabelShelf) -> None:
        self._ws = ws
        self._shelf = shelf
        self._references = References(ws.objects)
        self._models = Models(ws.objects)

    # ------------------------------------------------------------ windows

    def window(self, lease: Lease) -> Done:
        """Judge one window on its inputs and tell the loop."""
        loop, start, end = (lease.task.payload[k] for k in ("loop", "start", "end"))
        spec = self._spec(loop)
        frame = capture.read(self._ws.captures(spec.endpoint), start, end)
        standing = self._ws.read(
            Permission.WORK, lambda tx: self._standing(tx, spec, _answered(tx, spec, frame), start)
        )
        if frame.height == 0 or standing is None:
            return Done(apply=lambda tx: _advance(tx, spec.endpoint, end, empty=1))
        window, raised = judge.judge_inputs(
            frame,
            standing.baseline,
            standing.signature,
            spec.monitor,
            (start, end),
            spec.endpoint,
            standing.version,
            open_subjects=standing.open,
            earlier=standing.earlier,
            reference=self._references.of(standing.package),
            score=partial(self._models.score, standing.package),
        )
        raised = rules.repeated(raised, standing.earlier, spec.monitor)

        def apply(tx: Tx) -> None:
            windows.save(tx, window)
            refs = _raised(tx, raised)
            _advance(tx, spec.endpoint, end)
            event = m.WindowClosed(loop=loop, at=end, window=window.id, alarms=refs)
            reactor.emit(tx, event, f"window:{window.id}")

        return Done(result={"rows": frame.height, "alarms": len(raised)}, apply=apply)

    def labels(self, lease: Lease) -> Done:
        """Judge one window on its labels, now that they are mature."""
        loop, name = lease.task.payload["loop"], lease.task.payload["window"]
        spec = self._spec(loop)

        def look(tx: Tx) -> tuple[Window, Standing, pl.DataFrame]:
            window = windows.get(tx, name)
            standing = self._standing(tx, spec, window.version, window.start)
            if standing is None:
                raise NotFoundError(f"Nobody answered in window {name}.", field="window")
            return window, standing, self._shelf.all(tx, spec.endpoint)[1]

        window, standing, known = self._ws.read(Permission.WORK, look)
        frame = capture.read(self._ws.captures(spec.endpoint), window.start, window.end)
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
                reference=self._references.of(standing.package),
                score=partial(self._models.score, standing.package),
            ),
            open_subjects=standing.open,
        )
        raised = rules.repeated(raised + more, standing.earlier, spec.monitor)

        def apply(tx: Tx) -> None:
            windows.update_performance(tx, window.id, performance, joined.rows.height)
            windows.update_found(tx, window.id, found)
            # Who does not serve any more is no reason to train another.
            serves = registry.champion(tx, spec.model) == window.version
            event = m.WindowClosed(
                loop=loop,
                at=float(lease.task.payload["watermark"]),
                window=window.id,
                alarms=_raised(tx, raised) if serves else [],
                labelled_rows=joined.rows.height,
            )
            reactor.emit(tx, event, f"labels:{window.id}")

        return Done(apply=apply)

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

    def _standing(
        self, tx: Tx, spec: LoopSpec, number: int | None, start: float
    ) -> Standing | None:
        """Return who served in a window that began at ``start``; None if nobody ever did."""
        version = registry.champion(tx, spec.model) if number is None else number
        if version is None:
            return None
        found = registry.get(tx, spec.model, version)
        return Standing(
            version=version,
            package=found.package,
            signature=found.signature,
            baseline=package.profile(found.package, self._ws.objects),
            open=alarms.open_subjects(tx, spec.endpoint),
            earlier=windows.before(tx, spec.endpoint, start, LOOKS_BACK),
        )


def handlers(ws: Workspace, shelf: LabelShelf) -> dict[str, Handler]:
    """Return the handlers of what the scans find."""
    watcher = Watcher(ws, shelf)
    return {
        "window": watcher.window,
        "labels": watcher.labels,
        "rollout": watcher.rollout,
        "compact": watcher.compact,
    }


def _answered(tx: Tx, spec: LoopSpec, frame: pl.DataFrame) -> int | None:
    """Return the champion, of now or before, that answered most of a window's rows.

    A window may be judged late, after another was promoted: it belongs to who served in it.
    """
    champions = {move.number for move in registry.history(tx, spec.model, registry.CHAMPION)}
    counted = frame.group_by("_version").len().sort(["len", "_version"], descending=True)
    return next((n for n in counted["_version"].to_list() if n in champions), None)


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


def _advance(tx: Tx, endpoint: str, end: float, empty: int = 0) -> None:
    windows.advance(tx, endpoint, end, empty=empty)


def _raised(tx: Tx, found: list[Alarm]) -> list[m.AlarmRef]:
    """Raise alarms and return those the loop has to hear of.

    Two windows judged at the same moment find the same thing: only one alarm about it is
    raised, and the loop would wait forever to end the other.
    """
    new = [alarm for alarm in found if alarms.raise_(tx, alarm).id == alarm.id]
    return [m.AlarmRef(id=a.id, kind=a.kind, subject=a.subject) for a in new]

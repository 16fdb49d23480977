"""Watch traffic: judge windows, judge their labels when mature, let rollouts decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done, Handler
from mainspring.ground import messages as m
from mainspring.ground.errors import UnavailableError
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Alarm, LoopSpec, Profile, Rollout, Signature
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, judge, labels, windows
from mainspring.numerics.scores import row_losses
from mainspring.readiness import registry
from mainspring.retraining import challenge
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, rollouts, shelf
from mainspring.workspace.evidence import LabelShelf, labelled

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Watcher:
    """Carries out what scans find: windows that are over, labels that came."""

    def __init__(self, ws: Workspace, shelf: LabelShelf) -> None:
        self._ws = ws
        self._shelf = shelf

    # ------------------------------------------------------------ windows

    def window(self, lease: Lease) -> Done:
        """Judge one window on its inputs and tell the loop."""
        loop, start, end = (lease.task.payload[k] for k in ("loop", "start", "end"))
        spec = self._spec(loop)
        frame = capture.read(self._ws.captures(spec.endpoint), start, end)
        champion, signature, baseline, open_ = self._ws.read(
            Permission.WORK, lambda tx: self._standing(tx, spec, _answered(tx, spec, frame))
        )
        if frame.height == 0 or champion is None:
            return Done(apply=lambda tx: _advance(tx, spec.endpoint, end, empty=1))
        window, raised = judge.judge_inputs(
            frame,
            baseline,
            signature,
            spec.monitor,
            (start, end),
            spec.endpoint,
            champion,
            open_subjects=open_,
        )

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

        def look(tx: Tx) -> tuple[Any, ...]:
            window = windows.get(tx, name)
            champion, signature, baseline, open_ = self._standing(tx, spec, window.version)
            joined = labelled(
                self._ws, self._shelf, tx, spec.endpoint, signature, window.start, window.end
            )
            return window, champion, signature, baseline, open_, joined

        window, _, signature, baseline, open_, joined = self._ws.read(Permission.WORK, look)
        performance, raised = judge.judge_labels(
            window,
            joined,
            baseline.loss,
            spec.monitor,
            signature=signature,
            open_subjects=open_,
        )

        def apply(tx: Tx) -> None:
            windows.update_performance(tx, window.id, performance, joined.height)
            # Who does not serve any more is no reason to train another.
            serves = registry.champion(tx, spec.model) == window.version
            event = m.WindowClosed(
                loop=loop,
                at=float(lease.task.payload["watermark"]),
                window=window.id,
                alarms=_raised(tx, raised) if serves else [],
                labelled_rows=joined.height,
            )
            reactor.emit(tx, event, f"labels:{window.id}")

        return Done(apply=apply)

    # ------------------------------------------------------------ rollouts

    def rollout(self, lease: Lease) -> Done:
        """Take newly arrived labels into account and see whether a rollout has decided itself."""
        spec = self._spec(lease.task.payload["loop"])

        def look(tx: Tx) -> tuple[Rollout, int, pl.DataFrame, Signature]:
            now = rollouts.get(tx, lease.task.payload["rollout"])
            _, signature, _, _ = self._standing(tx, spec, now.champion)
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
        self, tx: Tx, spec: LoopSpec, number: int | None = None
    ) -> tuple[int | None, Signature, Profile, set[tuple[str, str]]]:
        """Return the champion (or ``number``), what it takes, its baseline, the open alarms."""
        champion = registry.champion(tx, spec.model) if number is None else number
        if champion is None:
            return (
                None,
                Signature(columns=[], kind=spec.kind, target=spec.target),
                Profile(rows=0, columns=[]),
                set(),
            )
        version = registry.get(tx, spec.model, champion)
        baseline = package.profile(version.package, self._ws.objects)
        return (
            champion,
            version.signature,
            baseline,
            alarms.open_subjects(tx, spec.endpoint),
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

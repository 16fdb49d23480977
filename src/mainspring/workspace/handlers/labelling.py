"""Judge windows on their labels: once when those are mature, and again when late ones come."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done
from mainspring.ground import messages as m
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Alarm, Finding, LoopSpec, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import again, judge, labels, maturity, rules, windows
from mainspring.monitoring.sight import Sight
from mainspring.readiness import registry
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.feeding.declared import spec_of
from mainspring.workspace.handlers.standing import (
    Standing,
    Stands,
    all_found,
    beside,
    end_quiet,
    of_side,
    own_rows,
)
from mainspring.workspace.handlers.standing import raised as raise_all

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the labels of a window said, not yet written down."""

    window: Window
    performance: dict[str, Any]
    found: list[Finding]
    raised: list[Alarm]
    labelled: int
    delay: float | None  #: how long labels take, as far as is known with this window's


class Labeller:
    """Carries out what scans find about labels: windows whose labels are mature, late labels."""

    def __init__(self, ws: Workspace, shelf: LabelShelf, stands: Stands) -> None:
        self._ws = ws
        self._shelf = shelf
        self._stands = stands
        self._ids = lru_cache(maxsize=4)(self._asked)

    def labels(self, lease: Lease) -> Done:
        """Judge one window on its labels, now that they are mature."""
        name, at = lease.task.payload["window"], float(lease.task.payload["watermark"])
        spec, window, standing, known = self._look(name)
        judged = self._judged(spec, window, standing, known)

        def apply(tx: Tx) -> None:
            self._keep(tx, spec, judged)
            self._tell(tx, spec, judged, at, f"labels:{window.id}")

        return Done(result={"rows": judged.labelled, "alarms": len(judged.raised)}, apply=apply)

    def relabel(self, lease: Lease) -> Done:
        """Judge those windows again whose rows got labels after they were judged.

        Only the newest judged windows are looked at, and only so many batches at once. What a
        window was an alarm about, or an alarm of it or a later window has told, is not raised.
        """
        endpoint = lease.task.payload["endpoint"]
        at = float(lease.task.payload["watermark"])

        def look(tx: Tx) -> tuple[LoopSpec, list[Window], pl.DataFrame, int]:
            spec = spec_of(tx, endpoint)
            seen = again.cursor(tx, endpoint)
            until = labels.later(tx, endpoint, seen, again.MOST_BATCHES)
            new = labels.read(tx, endpoint, after=seen, until=until)
            return spec, again.opened(tx, endpoint, spec.monitor.reopened), new, until

        spec, opened, new, until = self._ws.read(Permission.WORK, look)
        judged: list[Judged] = []
        if opened and new.height:
            span = min(one.start for one in opened), max(one.end for one in opened)
            captured = self._ids(endpoint, *span)
            for window in again.touched(opened, captured, new):
                _, window_now, standing, known = self._look(window.id)
                judged.append(self._judged(spec, window_now, standing, known, anew=True))

        def apply(tx: Tx) -> None:
            for one in judged:
                self._keep(tx, spec, one)
                said = again.told_since(tx, endpoint, one.window.end)
                said = again.alarmed(one.window) | of_side(said, one.window.side)
                fresh = msgspec.structs.replace(one, raised=again.unsaid(one.raised, said))
                if fresh.raised or not spec.name:
                    key = f"labels:{one.window.id}:{one.performance['batch']}"
                    self._tell(tx, spec, fresh, at, key)
            again.advance(tx, endpoint, until)

        return Done(result={"windows": [one.window.id for one in judged]}, apply=apply)

    def _asked(self, endpoint: str, since: float, to: float) -> pl.DataFrame:
        """Return the ids of the rows of windows that were judged.

        Read once: labels come far more often than windows end, and a row that comes later than
        this belongs to no window that was judged.
        """
        rows = capture.read(self._ws.captures(endpoint), since, to, columns=[])
        return rows.select("_id", "_time")

    def _look(self, name: str) -> tuple[LoopSpec, Window, Standing, pl.DataFrame]:
        def look(tx: Tx) -> tuple[LoopSpec, Window, Standing, pl.DataFrame]:
            window = windows.get(tx, name)
            spec = spec_of(tx, window.endpoint)
            standing = self._stands.of(tx, spec, window.version, window.start, window.side)
            if standing is None:
                raise NotFoundError(f"Nobody answered in window {name}.", field="window")
            delay = maturity.effective(spec.monitor, again.learnt_delay(tx, spec.endpoint))
            policy = msgspec.structs.replace(spec.monitor, label_delay_s=delay)
            spec = msgspec.structs.replace(spec, monitor=policy)
            return spec, window, standing, self._shelf.all(tx, spec.endpoint)[1]

        return self._ws.read(Permission.WORK, look)

    def _judged(
        self,
        spec: LoopSpec,
        window: Window,
        standing: Standing,
        known: pl.DataFrame,
        *,
        anew: bool = False,
    ) -> Judged:
        captured = capture.read(self._ws.captures(spec.endpoint), window.start, window.end)
        frame = self._ws.read(Permission.WORK, lambda tx: own_rows(tx, spec, captured, standing))
        joined = labels.join_counted(frame, known, standing.signature)
        reference = self._stands.reference(standing)
        performance, raised = judge.judge_labels(
            window,
            joined,
            standing.baseline.loss,
            spec.monitor,
            signature=standing.signature,
            open_subjects=standing.open,
            reference=reference,
            earlier=standing.earlier,
        )
        performance["judged"] = int((window.performance or {}).get("judged") or 0) + 1
        sight = Sight(
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
            reference=reference,
            score=self._stands.score(standing),
            beside=self._stands.beside(spec, standing, (window.start, window.end)),
        )
        found, more = judge.judge_truth(window, sight, open_subjects=standing.open, again=anew)
        now = msgspec.structs.replace(window, performance=performance)
        share = spec.monitor.label_share
        delay = None
        if share is not None and window.side is None:
            delay = maturity.learnt_delay([now, *standing.earlier], share)
        return Judged(
            window=window,
            performance=performance,
            found=found,
            raised=rules.repeated(raised + more, standing.earlier, spec.monitor),
            labelled=joined.rows.height,
            delay=delay,
        )

    def _keep(self, tx: Tx, spec: LoopSpec, judged: Judged) -> None:
        name = judged.window.id
        windows.update_performance(tx, name, judged.performance, judged.labelled)
        windows.update_found(tx, name, judged.found)
        again.learn_delay(tx, spec.endpoint, judged.delay)

    def _tell(self, tx: Tx, spec: LoopSpec, judged: Judged, at: float, key: str) -> None:
        """Raise what labels deserve, end what they found quiet, and tell the loop."""
        window, new = judged.window, judged.raised
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
            labelled_rows=judged.labelled,
            labels_seen=labels.received(tx, spec.endpoint).labels,
        )
        reactor.emit(tx, event, key)

"""Judge windows on their inputs: each once, each version on its own, none left out in silence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from mainspring.engine import reactor
from mainspring.engine.worker import Done
from mainspring.ground import messages as m
from mainspring.ground.clock import iso
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Alarm, Finding, LoopSpec, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, judge, labels, rules, windows
from mainspring.monitoring.traffic import expects_traffic, main_version, measure_traffic
from mainspring.readiness import registry
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.feeding.declared import spec_of
from mainspring.workspace.handlers.standing import (
    Standing,
    Stands,
    all_found,
    beside,
    end_quiet,
    own_rows,
    raised,
)

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

Judged = list[tuple[Window, list[Alarm]]]
#: Empty windows that are looked at, one by one, for whether traffic was due in them.
MOST_LOOKED_AT = 2_000


class Windower:
    """Carries out what the scans say of windows that are over."""

    def __init__(self, ws: Workspace, stands: Stands) -> None:
        self._ws = ws
        self._stands = stands

    def window(self, lease: Lease) -> Done:
        """Judge one window, and what other versions answered of it, and tell the loop."""
        start, end = lease.task.payload["start"], lease.task.payload["end"]
        again = bool(lease.task.payload.get("again"))
        spec = self._spec(lease.task.payload)
        folder, now = self._ws.captures(spec.endpoint), self._ws.clock.now()
        frame = capture.read(folder, start, end)
        standings, few = self._ws.read(
            Permission.WORK, lambda tx: self._who(tx, spec, frame, start)
        )
        if not standings or (frame.height == 0 and not _missed(spec, standings[0], start, end)):
            until = end if again else self._past_the_empty(spec, end, standings)
            empty = max(round((until - start) / (end - start)), 1)
            return Done(apply=lambda tx: _advance(tx, spec.endpoint, until, empty))
        judged: Judged = [self._judge(spec, frame, one, (start, end)) for one in standings]
        told = [*few, *self._late(folder, standings[0], (start, end))]
        first, found = judged[0]
        first = self._stated(first, frame, told, now)
        judged[0] = (first, found)
        here("window.judged")

        def apply(tx: Tx) -> None:
            refs = [ref for one, some in judged for ref in self._keep(tx, spec, one, some, again)]
            if not again:
                windows.advance(tx, spec.endpoint, end)
            _tell(tx, spec, first, refs, lease.task.id if again else "", frame.height)

        rows, alarmed = frame.height, sum(len(some) for _, some in judged)
        return Done(result={"rows": rows, "alarms": alarmed}, apply=apply)

    def unjudged(self, lease: Lease) -> Done:
        """State that a window could not be judged, raise an alarm, and go on to the next."""
        payload = lease.task.payload
        start, end, why = payload["start"], payload["end"], str(payload["why"])[:2000]
        spec = self._spec(payload)
        try:
            rows = len(capture.times(self._ws.captures(spec.endpoint), start, end))
        except (OSError, pl.exceptions.PolarsError):
            rows = 0  # it may be why the window could not be judged
        window = windows.not_judged(spec.endpoint, (start, end), rows, why)
        alarm = Alarm(
            id=alarms.alarm_id(spec.endpoint, "traffic", windows.WINDOW, window.id),
            endpoint=spec.endpoint,
            kind="traffic",
            subject=windows.WINDOW,
            reason=f"Window {window.id} was not judged: {why}",
            raised=end,
            window=window.id,
            evidence={"why": why, "task": payload.get("task", "")},
        )

        def apply(tx: Tx) -> None:
            windows.save(tx, window)
            windows.advance(tx, spec.endpoint, end)
            _tell(tx, spec, window, raised(tx, [alarm]), "")

        return Done(apply=apply)

    # ------------------------------------------------------------ parts

    def _spec(self, payload: dict[str, Any]) -> LoopSpec:
        def ask(tx: Tx) -> LoopSpec:
            endpoint = payload.get("endpoint")  # tasks of before named the loop alone
            return spec_of(tx, endpoint) if endpoint else reactor.spec(tx, payload["loop"])

        return self._ws.read(Permission.WORK, ask)

    def _who(
        self, tx: Tx, spec: LoopSpec, frame: pl.DataFrame, start: float
    ) -> tuple[list[Standing], list[Finding]]:
        """Return who is judged: first the one that answered most, then those beside it."""
        main = _answered(tx, spec, frame)
        standing = self._stands.of(tx, spec, main, start)
        if standing is None:
            return [], []
        counted = frame["_version"].drop_nulls().value_counts().sort("_version")
        found, few = [standing], []
        for version, rows in counted.rows():
            if version == standing.version:
                continue
            if rows < spec.monitor.min_rows:
                few.append(_too_few(version, rows, spec.monitor.min_rows))
                continue
            side = self._stands.of(tx, spec, version, start, side=version)
            found += [side] if side is not None else []
        return found, few

    def _judge(
        self, spec: LoopSpec, frame: pl.DataFrame, standing: Standing, span: tuple[float, float]
    ) -> tuple[Window, list[Alarm]]:
        own = self._ws.read(Permission.WORK, lambda tx: own_rows(tx, spec, frame, standing))
        window, found = judge.judge_inputs(
            own,
            standing.baseline,
            standing.signature,
            spec.monitor,
            span,
            spec.endpoint,
            standing.version,
            open_subjects=standing.open,
            earlier=standing.earlier,
            reference=self._stands.reference(standing),
            score=self._stands.score(standing),
            beside=self._stands.beside(spec, standing, span),
        )
        found = rules.repeated(found, standing.earlier, spec.monitor)
        return (window, found) if standing.side is None else beside(window, found, standing.side)

    def _stated(
        self, window: Window, frame: pl.DataFrame, told: list[Finding], at: float
    ) -> Window:
        """Return the window with what holds for all of its rows, whoever answered them."""
        traffic = {
            **window.traffic,
            "versions": measure_traffic(frame, (window.start, window.end))["versions"],
            "watermark": capture.watermark(self._ws.captures(window.endpoint)),
            "judged_at": at,  # rows received from here on are not in it
        }
        return msgspec.structs.replace(window, traffic=traffic, found=[*window.found, *told])

    def _late(self, folder: Any, standing: Standing, span: tuple[float, float]) -> list[Finding]:
        """Return what is to be said of rows that came too late, or from a clock that jumped."""
        found = []
        before = standing.earlier[0] if standing.earlier else None
        since = (before.traffic if before else {}).get("judged_at")
        if before is not None and since is not None:
            times = capture.came_late(folder, span[0], since)
            found += [_late_rows(times, standing.earlier)] if len(times) else []
        jumped = capture.ahead(folder, span[0])
        if jumped:
            found.append(
                Finding(
                    monitor="traffic",
                    subject="clock",
                    value=float(jumped),
                    rows=jumped,
                    verdict="notice",
                    why=f"{jumped:,} rows bear a time more than {capture.AHEAD_S:.0f} s after"
                    " they were received. They end no window before that time has come.",
                )
            )
        return found

    def _past_the_empty(self, spec: LoopSpec, end: float, standings: list[Standing]) -> float:
        """Return up to where there is no row: a clock that was set to 1970 is one step, too.

        A window in which rows were to be expected is not passed over, though it has none.
        """
        folder, length = self._ws.captures(spec.endpoint), spec.monitor.window_s
        newest = capture.watermark(folder)
        following = capture.next_time(folder, end)
        if newest is None or following is None or spec.monitor.window_rows:
            return end
        over = math.floor((newest - spec.monitor.grace_s) / length) * length
        until = max(end, min(math.floor(following / length) * length, over))
        for number in range(min(math.ceil((until - end) / length), MOST_LOOKED_AT)):
            start = end + number * length
            if standings and _missed(spec, standings[0], start, start + length):
                return start
        return until

    def _keep(
        self, tx: Tx, spec: LoopSpec, window: Window, found: list[Alarm], again: bool
    ) -> list[m.AlarmRef]:
        (windows.replace if again else windows.save)(tx, window)
        end_quiet(tx, spec, window, all_found(window), self._ws.clock.now())
        return raised(tx, found, window.side)


def _missed(spec: LoopSpec, standing: Standing, start: float, end: float) -> bool:
    """Return whether a window without any row says something."""
    return expects_traffic(standing.earlier, (start, end), spec.monitor)


def _answered(tx: Tx, spec: LoopSpec, frame: pl.DataFrame) -> int | None:
    """Return whom a window belongs to: the champion, of now or before, that answered most of it.

    A window may be judged late, after another was promoted: it belongs to who served in it.
    Elsewhere, whoever answered most rows served.
    """
    main = main_version(frame)
    if endpoints.get(tx, spec.endpoint).kind == "fed":
        return main
    champions = {move.number for move in registry.history(tx, spec.model, registry.CHAMPION)}
    counted = frame.group_by("_version").len().sort(["len", "_version"], descending=True)
    return next((n for n in counted["_version"].to_list() if n in champions), None)


def _too_few(version: int, rows: int, wanted: int) -> Finding:
    return Finding(
        monitor="traffic",
        subject=f"version/{version}",
        value=float(rows),
        rows=rows,
        verdict="too few rows",
        why=f"Version {version} answered {rows:,} rows; {wanted:,} are needed to judge it apart.",
    )


def _late_rows(times: Any, earlier: list[Window]) -> Finding:
    counted: dict[str, int] = {}
    for window in earlier:
        here_ = int(((times >= window.start) & (times < window.end)).sum())
        if here_:
            counted[window.id] = here_
    elsewhere = len(times) - sum(counted.values())
    shown = [f"{rows:,} of {name}" for name, rows in list(counted.items())[:5]]
    shown += [f"{elsewhere:,} of no window that is kept"] if elsewhere else []
    return Finding(
        monitor="traffic",
        subject="late",
        value=float(len(times)),
        rows=len(times),
        verdict="notice",
        why=f"{len(times):,} rows came after their window had been judged: {', '.join(shown)}."
        f" The oldest is of {iso(float(times[0]))}. They are in no verdict; labels join them.",
        detail={"windows": counted, "elsewhere": elsewhere},
    )


def _tell(
    tx: Tx, spec: LoopSpec, window: Window, refs: list[m.AlarmRef], again: str, rows: int = 0
) -> None:
    """Tell the loop, if one watches; of a window judged again only what is new."""
    if not spec.name or (again and not refs):
        return
    event = m.WindowClosed(
        loop=spec.name,
        at=window.end,
        window=window.id,
        alarms=refs,
        rows=0 if again else rows,
        labels_seen=labels.received(tx, spec.endpoint).labels,
    )
    reactor.emit(tx, event, f"window:{window.id}{f':{again}' if again else ''}"[:255])


def _advance(tx: Tx, endpoint: str, until: float, empty: int) -> None:
    windows.advance(tx, endpoint, until, empty=empty)

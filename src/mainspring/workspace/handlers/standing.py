"""Who served in a window, what its rows are compared with, and what becomes of its alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from mainspring.ground import messages as m
from mainspring.ground.identity import new_id
from mainspring.ground.objects import (
    Alarm,
    Decision,
    Finding,
    LoopSpec,
    Profile,
    Record,
    Signature,
    Window,
)
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, findings, windows
from mainspring.monitoring.alarms import alarm_id
from mainspring.monitoring.sight import LOOKS_BACK, Beside, Score
from mainspring.readiness import decisions, registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints, tallies
from mainspring.workspace.beside import both_paths, run_custom
from mainspring.workspace.evidence import Models, References

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

Open = set[tuple[str, str]]


class Standing(Record, frozen=True, kw_only=True):
    """Who served in a window, and what its rows are compared with."""

    version: int
    package: str
    signature: Signature
    baseline: Profile
    open: Open  #: (kind, subject) of open alarms
    earlier: list[Window]
    trained_until: float | None = None  #: event time of the newest row it learnt from
    side: int | None = None  #: not None: judged beside the version that answered most


class Stands:
    """Finds out how a version stands; packages are read once, for they never change."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._references = References(ws.objects)
        self._models = Models(ws.objects)

    def of(
        self, tx: Tx, spec: LoopSpec, number: int | None, start: float, side: int | None = None
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
            open=of_side(alarms.open_subjects(tx, spec.endpoint), side),
            earlier=windows.before(tx, spec.endpoint, start, LOOKS_BACK, side),
            trained_until=found.trained_until,
            side=side,
        )

    def beside(self, spec: LoopSpec, standing: Standing, span: tuple[float, float]) -> Beside:
        """Return what monitors may ask beside the rows of a window."""
        return Beside(
            trained_until=standing.trained_until,
            tallies=tallies.read(self._ws.captures(spec.endpoint), *span),
            paths=None
            if self.score(standing) is None
            else partial(both_paths, self._ws, self._models, standing.package),
            custom=partial(run_custom, self._ws, spec),
        )

    def reference(self, standing: Standing) -> pl.DataFrame | None:
        """Return rows that the version was measured on."""
        return self._references.of(standing.package)

    def score(self, standing: Standing) -> Score | None:
        """Return the version's model, loaded when first called; None if it answers elsewhere."""
        if not package.holds_model(standing.package, self._ws.objects):
            return None
        return partial(self._models.score, standing.package)


def own_rows(tx: Tx, spec: LoopSpec, frame: pl.DataFrame, standing: Standing) -> pl.DataFrame:
    """Return the rows of a window that a version is judged on.

    Where we serve, the champion is judged on all rows: those that a challenger answers are
    drawn by chance. Elsewhere nobody knows how rows are shared out, so each is judged on its
    own, and so is whoever stands beside the champion.
    """
    if standing.side is None and endpoints.get(tx, spec.endpoint).kind == "served":
        return frame
    return frame.filter(pl.col("_version") == standing.version)


def beside(window: Window, found: Sequence[Alarm], side: int) -> tuple[Window, list[Alarm]]:
    """Return a window and its alarms as those of a version beside the one that answered most.

    What they are about is said with the version, so that two versions may have an alarm each.
    """
    name = windows.window_id(window.endpoint, window.start, side)
    own = msgspec.structs.replace(window, id=name, side=side)
    return own, [
        msgspec.structs.replace(
            alarm,
            id=alarm_id(alarm.endpoint, alarm.kind, _called(alarm.subject, side), name),
            subject=_called(alarm.subject, side),
            reason=f"Version {side}: {alarm.reason}",
            window=name,
        )
        for alarm in found
    ]


def raised(tx: Tx, found: Iterable[Alarm], side: int | None = None) -> list[m.AlarmRef]:
    """Raise alarms and return those the loop has to hear of.

    Two windows judged at the same moment find the same thing: only one alarm about it is
    raised, and the loop would wait forever to end the other. Of a version beside the champion
    the loop only takes note: who does not serve is no reason to train another.
    """
    new = [alarm for alarm in found if alarms.raise_(tx, alarm).id == alarm.id]
    return [
        m.AlarmRef(id=a.id, kind=a.kind if side is None else "side", subject=a.subject)
        for a in new
    ]


def end_quiet(tx: Tx, spec: LoopSpec, judged: Window, found: Sequence[Finding], at: float) -> None:
    """End what is open about subjects that a window found quiet again.

    Where a loop watches, the loop ends alarms, by what it did about them. Elsewhere nobody
    would, and a subject with an open alarm raises no second one.
    """
    if spec.name:
        return
    quiet = {
        (one.monitor, one.subject.partition("/")[0] if one.monitor == "quality" else one.subject)
        for one in found
        if one.verdict in ("quiet", "notice")
    } - {
        (one.monitor, one.subject.partition("/")[0] if one.monitor == "quality" else one.subject)
        for one in found
        if one.verdict == "alarm"
    }
    if windows.was_judged(judged) and judged.side is None:
        quiet.add(("traffic", windows.WINDOW))
    named = {(kind, _called(subject, judged.side)): subject for kind, subject in quiet}
    for alarm in alarms.open_alarms(tx, spec.endpoint):
        if (alarm.kind, alarm.subject) in named and alarm.raised < judged.end:
            _dismiss(tx, alarm, judged, at)


def _dismiss(tx: Tx, alarm: Alarm, judged: Window, at: float) -> None:
    decision = Decision(
        id=new_id("dec"),
        at=judged.end,
        made=at,
        kind="dismiss",
        subject=f"alarm:{alarm.id}",
        reason=f"{alarm.subject} is quiet again in window {judged.id}.",
        by="monitor",
        cause=f"window:{judged.id}",
    )
    decisions.record(tx, decision)
    alarms.end(tx, alarm.id, "dismissed", decision.id)


def all_found(window: Window) -> list[Finding]:
    """Return everything that was found in a window."""
    return findings.of_window(window)


def _called(subject: str, side: int | None) -> str:
    return subject if side is None else f"v{side} {subject}"


def of_side(open_: Open, side: int | None) -> Open:
    """Return (kind, subject) of alarms that are about one side, as its monitors call them."""
    if side is None:
        return open_
    head = _called("", side)
    return {(k, s.removeprefix(head)) for k, s in open_ if s.startswith(head)}


Payload = dict[str, Any]

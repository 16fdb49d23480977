"""Look at captured traffic for the score: when rows came, if answers are finite, if they lean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from mainspring.debt.score import facts as f
from mainspring.engine import reactor
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Profile, Record, Version, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import prediction_bias
from mainspring.monitoring.graded import graded
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture
from mainspring.workspace.evidence import LabelShelf, labelled
from mainspring.workspace.opening import Workspace

#: Windows whose rows are read to date them: the newest, and the newest with mature labels.
DATED = 3

Named = tuple[str, Window]  #: an endpoint, and a window of it


class Answers(Record, frozen=True, kw_only=True):
    """The newest answers of a version: how many, how many no finite number, when they came."""

    rows: int
    bad: int
    at: float | None
    page: str


def dated(ws: Workspace, seen: Sequence[Named]) -> list[f.Seen]:
    """Return windows as the score looks at them, those that matter dated by their rows."""
    judged = [one for one in seen if one[1].drift and one[1].quality][:DATED]
    mature = [one for one in seen if one[1].performance is not None][:DATED]
    wanted = {one[1].id for one in (*seen[:DATED], *judged, *mature)}
    return [
        f.Seen(
            id=window.id,
            page=page(name, window),
            at=_came(ws, name, window) if window.id in wanted else None,
            rows=window.rows,
            version=window.version,
            drift=len([row for row in window.drift if row.get("verdict") in _SAID]),
            quality=len(window.quality),
            found=window.found,
            performance=window.performance,
        )
        for name, window in seen
    ]


#: Verdicts of drift that say something of a column.
_SAID = ("quiet", "notice", "alarm")


def page(endpoint: str, window: Window) -> str:
    """Return where a window can be looked at."""
    return f"/endpoints/{endpoint}/report?window={window.id}"


def answers(ws: Workspace, champion: Version, seen: Sequence[Named]) -> Answers | None:
    """Return the champion's answers in the newest window that has any; None without one."""
    for name, window in seen[:DATED]:
        rows = capture.read(ws.captures(name), window.start, window.end, [])
        mine = rows.filter(pl.col("_version") == champion.number)
        if not mine.height:
            continue
        scores = mine["_score"]
        if isinstance(scores.dtype, pl.List | pl.Array):
            scores = scores.explode()
        values = scores.cast(pl.Float64).to_numpy()
        bad = int((~np.isfinite(values)).sum())
        return Answers(rows=mine.height, bad=bad, at=_newest(mine), page=page(name, window))
    return None


def biases(ws: Workspace, champion: Version, seen: Sequence[Named]) -> list[f.SliceBias]:
    """Return the prediction bias of the newest window whose labels were judged."""
    said = [one for one in seen if (one[1].performance or {}).get("verdict") in ("quiet", "alarm")]
    if not said:
        return []
    name, window = said[0]

    def look(tx: Tx) -> tuple[pl.DataFrame, list[str]]:
        spec = next((one for one in reactor.loops(tx) if one.endpoint == name), None)
        signature = champion.signature
        rows = labelled(ws, LabelShelf(), tx, name, signature, window.start, window.end)
        return rows, [] if spec is None else spec.monitor.slices

    baseline = profile_of(ws, champion)
    if baseline is None:
        return []
    rows, declared = ws.read(Permission.READ, look)
    own = graded(rows, window.version, champion.signature)
    return [
        f.SliceBias(
            window=window.id,
            slice=one.slice,
            said=one.said,
            came=one.came,
            rows=one.rows,
            biased=one.biased,
        )
        for one in prediction_bias.tilts(own, champion.signature, baseline, declared)
    ]


def profile_of(ws: Workspace, version: Version) -> Profile | None:
    """Return a version's training profile; None if another tool made it, not converted yet."""
    try:
        return package.profile(version.package, ws.objects)
    except (NotFoundError, BadInputError):
        return None


def _came(ws: Workspace, name: str, window: Window) -> float | None:
    """Return when the newest row of a window came; where its rows are gone, not later than now."""
    rows = capture.read(ws.captures(name), window.start, window.end, [])
    found = _newest(rows)
    if found is None and window.end <= ws.clock.now():
        return window.end
    return found


def _newest(rows: pl.DataFrame) -> float | None:
    newest = rows["_received"].max() if rows.height else None
    return None if newest is None else float(newest)  # type: ignore[arg-type]

"""Everything that monitors computed of an endpoint, as series: one a monitor and subject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from mainspring.ground.monitors import Finding, Verdict, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, findings, windows
from mainspring.workspace.logs.lines import moment
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import monitoring
from mainspring.workspace.views.endpoints import endpoint_names
from mainspring.workspace.views.series_shapes import FindingPoint, FindingSeries, Newest, Watched

#: Windows looked at for the newest figure of each series: late labels fill old windows.
NEWEST = 60
#: Alarms of the logs and of channels may be about no endpoint.
HOUSE = ""
#: How much a verdict matters, for whoever can show only some.
WEIGHTS: dict[Verdict, int] = {
    "alarm": 2, "notice": 1, "quiet": 0, "too few rows": -1, "not judged": -2,
}  # fmt: skip


def finding_series(
    ws: Workspace,
    endpoint: str,
    *,
    monitor: str | None = None,
    subject: str | None = None,
    since: str | None = None,
    limit: int = 100,
) -> list[FindingSeries]:
    """Return the series of an endpoint's newest ``limit`` windows, by monitor and subject.

    ``since`` is a time (event time), or how long before the end of the newest window.

    Raises:
        NotFoundError: if there is no such endpoint.
        BadInputError: if ``since`` is no time.
    """
    found = monitoring.window_list(ws, endpoint, limit)
    if since is not None:
        newest = found[0].end if found else ws.clock.now()
        begin = moment(since, newest, "since")
        found = [window for window in found if window.end > begin]
    points: dict[tuple[str, str], list[FindingPoint]] = {}
    for window, one in _each(reversed(found)):
        if monitor in (None, one.monitor) and subject in (None, one.subject):
            points.setdefault((one.monitor, one.subject), []).append(_point(window, one))
    return [
        FindingSeries(monitor=key[0], subject=key[1], points=points[key]) for key in sorted(points)
    ]


def rows_of(series: Sequence[FindingSeries]) -> list[dict[str, Any]]:
    """Return series as rows of a table, one a point."""
    return [
        {"monitor": one.monitor, "subject": one.subject, **msgspec.structs.asdict(point)}
        for one in series
        for point in one.points
    ]


def watched(ws: Workspace) -> list[Watched]:
    """Return, for everything that is watched, the newest figure of each of its series.

    Labels come late, so a figure of the performance is of an older window than one of drift.
    """

    def work(tx: Tx) -> list[Watched]:
        found = []
        for name in [*endpoint_names(tx), HOUSE]:
            newest = windows.list_windows(tx, name, limit=NEWEST) if name else []
            by_kind: dict[str, int] = {}
            for alarm in alarms.open_alarms(tx, name):
                by_kind[alarm.kind] = by_kind.get(alarm.kind, 0) + 1
            found.append(
                Watched(
                    endpoint=name,
                    window=newest[0] if newest else None,
                    newest=_newest(newest),
                    open_alarms=by_kind,
                )
            )
        return found

    return ws.read(Permission.READ, work)


def _newest(found: Sequence[Window]) -> list[Newest]:
    """Return the newest figure of each series, the most alarming first."""
    seen: dict[tuple[str, str], Newest] = {}
    for window, one in _each(found):
        key = (one.monitor, one.subject)
        if key not in seen:
            bare = msgspec.structs.replace(one, detail={})
            seen[key] = Newest(finding=bare, end=window.end, version=window.version)
    return sorted(seen.values(), key=_matters)


def _matters(newest: Newest) -> tuple[Any, ...]:
    one = newest.finding
    over = abs(one.value or 0.0) / one.line if one.line else 0.0
    few = one.monitor in ("drift", "quality")  # these have a series for every column
    return -WEIGHTS[one.verdict], few, -over, one.monitor, one.subject


def _each(found: Iterator[Window] | Sequence[Window]) -> Iterator[tuple[Window, Finding]]:
    for window in found:
        for one in findings.of_window(window):
            yield window, one


def _point(window: Window, one: Finding) -> FindingPoint:
    return FindingPoint(
        window=window.id,
        start=window.start,
        end=window.end,
        version=window.version,
        rows=one.rows,
        value=one.value,
        low=one.low,
        high=one.high,
        baseline=one.baseline,
        line=one.line,
        radius=one.radius,
        smallest=one.smallest,
        verdict=one.verdict,
        why=one.why,
    )

"""Tell Prometheus what monitors found: the newest figure of each series, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mainspring.ground.exposition import Family, gauge
from mainspring.ground.identity import key_of
from mainspring.ground.monitors import Finding
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.series_shapes import Newest, Watched

#: Series told of one endpoint; those that matter least are counted instead. A table of a
#: thousand columns would be five thousand series of each version, for one endpoint alone.
MOST_SERIES = 300
MOST_SUBJECT = 120  #: characters of a label

_FIGURES: dict[str, tuple[str, Callable[[Finding], float | None]]] = {
    "value": ("Newest figure of a monitor.", lambda one: one.value),
    "low": ("Lower end of its interval.", lambda one: one.low),
    "high": ("Upper end of its interval.", lambda one: one.high),
    "line": ("From where on it matters.", lambda one: one.line),
    "baseline": ("The same figure at training.", lambda one: one.baseline),
}


def families(ws: Workspace) -> list[Family]:
    """Return what is known of everything watched, and what endpoints' processes count."""
    from mainspring.workspace.views.endpoints import endpoint_metrics, host_metrics
    from mainspring.workspace.views.series import watched

    found = watched(ws)
    asked = endpoint_metrics(ws)
    counted = [family for found in asked.values() if found for family in found]
    up = [({"endpoint": name}, float(found is not None)) for name, found in asked.items()]
    return [
        gauge("mainspring_endpoint_up", "1 while the endpoint answers.", up),
        *counted,
        *host_metrics(ws),
        *_windows(found),
        *_series(found),
        gauge(
            "mainspring_alarms_open_by_kind",
            "Alarms that have not ended, by what raised them.",
            (
                ({"endpoint": one.endpoint, "kind": kind}, n)
                for one in found
                for kind, n in sorted(one.open_alarms.items())
            ),
        ),
    ]


def _windows(found: list[Watched]) -> list[Family]:
    there = [(one.endpoint, one.window) for one in found if one.window is not None]
    return [
        gauge(
            "mainspring_window_end_seconds",
            "Event time at which the newest judged window ends.",
            (({"endpoint": name}, window.end) for name, window in there),
        ),
        gauge(
            "mainspring_window_rows",
            "Rows of the newest judged window.",
            (({"endpoint": name}, window.rows) for name, window in there),
        ),
        gauge(
            "mainspring_window_labelled_rows",
            "Those of them whose truth is known.",
            (({"endpoint": name}, window.labelled) for name, window in there),
        ),
        gauge(
            "mainspring_window_version",
            "Version that answered most of them.",
            (
                ({"endpoint": name}, window.version)
                for name, window in there
                if window.version is not None
            ),
        ),
    ]


def _series(found: list[Watched]) -> Iterator[Family]:
    from mainspring.workspace.views.series import WEIGHTS

    told = [(one.endpoint, newest) for one in found for newest in one.newest[:MOST_SERIES]]
    for figure, (words, take) in _FIGURES.items():
        rows = ((_labels(name, one), take(one.finding)) for name, one in told)
        yield gauge(
            f"mainspring_monitor_{figure}",
            words,
            ((labels, value) for labels, value in rows if value is not None),
        )
    yield gauge(
        "mainspring_monitor_verdict",
        "2 alarm, 1 notice, 0 quiet, -1 too few rows, -2 not judged.",
        ((_labels(name, one), WEIGHTS[one.finding.verdict]) for name, one in told),
    )
    yield gauge(
        "mainspring_monitor_window_end_seconds",
        "Event time at which the window ends that a monitor's newest figures are of.",
        (
            ({"endpoint": one.endpoint, "monitor": monitor}, end)
            for one in found
            for monitor, end in sorted(_ends(one.newest).items())
        ),
    )
    yield gauge(
        "mainspring_monitor_series_left_out",
        "Series of an endpoint that are not told here, as there are too many.",
        (
            ({"endpoint": one.endpoint}, max(len(one.newest) - MOST_SERIES, 0))
            for one in found
            if one.endpoint
        ),
    )


def _labels(endpoint: str, newest: Newest) -> dict[str, str]:
    one = newest.finding
    return {
        "endpoint": endpoint,
        "monitor": one.monitor,
        "subject": _short(one.subject),
        "version": "" if newest.version is None else str(newest.version),
    }


def _short(subject: str) -> str:
    """Return a subject of bounded length; two that differ stay different."""
    if len(subject) <= MOST_SUBJECT:
        return subject
    return f"{subject[: MOST_SUBJECT - 9]}~{key_of(subject)[:8]}"


def _ends(newest: list[Newest]) -> dict[str, float]:
    ends: dict[str, float] = {}
    for one in newest:
        monitor = one.finding.monitor
        ends[monitor] = max(ends.get(monitor, one.end), one.end)
    return ends

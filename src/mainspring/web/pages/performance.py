"""The performance page: how good answers were, how sure that is, what is only estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from mainspring.ground.objects import Finding, Window
from mainspring.web.pages import drift, figures, quality, watched, words
from mainspring.web.pages.figures import Figure
from mainspring.web.pages.watched import Spot, Watched
from mainspring.workspace.opening import Workspace

#: What the monitor of performance says besides how good answers were.
_BESIDE = ("coverage", "label_age")
#: What the monitor of slices says of its search, and of no slice.
_SEARCH = "search"


class Maturity(msgspec.Struct, frozen=True, kw_only=True):
    """How far labels are there."""

    until: float | None  #: windows up to here are judged on their labels
    waiting: int  #: windows after it
    due: float | None  #: event time at which the next of them is judged
    coverage: Finding | None  #: of the newest judged window
    age: Finding | None  #: when labels came


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the performance page shows.

    Raises:
        NotFoundError: if there is no such endpoint.
    """
    from mainspring.workspace.views.endpoints import endpoint_board

    board = endpoint_board(ws, asked["name"])
    seen = watched.watched(ws, board.name)
    newest = _newest_labelled(seen)
    found = seen.of(newest)
    guess = seen.newest_with("estimate")
    return {
        "board": board,
        "seen": seen,
        "newest": newest,
        "metrics": [(name, quality.name_of(name)) for name in metrics(seen)],
        "metric": _metric(seen, asked),
        "figures": [one for one in found if one.monitor == "performance" and _is_measure(one)],
        "late": [one for one in found if one.subject.startswith("label_age/")],
        "maturity": maturity(seen),
        "estimates": [one for one in seen.of(guess) if one.monitor == "estimate"],
        "guessed": guess,
        "calibration": [one for one in found if one.monitor == "calibration"],
        "concept": [one for one in found if one.monitor == "concept"],
        "slices": slices(found),
        "searched": next(
            (one.why for one in found if one.monitor == "slice" and one.subject == _SEARCH), ""
        ),
        "name_of": quality.name_of,
        "query": lambda **changed: watched.query(asked, **changed),
    }  # fmt: skip


def metrics(seen: Watched) -> list[str]:
    """Return the metrics that any window has, the loss first."""
    known = [
        name
        for name in seen.subjects("performance", "estimate")
        if name.partition("/")[0] not in _BESIDE
        and any(spot.found.value is not None for spot in _spots(seen, name))
    ]
    return sorted(known, key=lambda name: (name != "loss", name != "auc", name))


def _is_measure(one: Finding) -> bool:
    return one.subject.partition("/")[0] not in _BESIDE


def _spots(seen: Watched, metric: str) -> list[Spot]:
    return seen.series("performance", metric) + seen.series("estimate", metric)


def _metric(seen: Watched, asked: Mapping[str, str]) -> str:
    known = metrics(seen)
    wanted = asked.get("metric", "")
    return wanted if wanted in known else (known[0] if known else "")


def _newest_labelled(seen: Watched) -> Window | None:
    """Return the newest window that was judged on its labels."""
    return next((one for one in reversed(seen.oldest_first) if one.performance), None)


def maturity(seen: Watched) -> Maturity:
    """Return how far labels are there, and when the next window is judged."""
    judged = [one for one in seen.oldest_first if one.performance]
    waiting = [one for one in seen.oldest_first if not one.performance]
    newest = judged[-1] if judged else None
    found = {one.subject: one for one in seen.of(newest) if one.monitor == "performance"}
    due = None
    at = (newest.performance or {}).get("mature_at") if newest is not None else None
    after = [one for one in waiting if newest is not None and one.end > newest.end]
    if newest is not None and isinstance(at, int | float) and after:
        due = after[0].end + (float(at) - newest.end)
    return Maturity(
        until=None if newest is None else newest.end,
        waiting=len(waiting),
        due=due,
        coverage=found.get("coverage"),
        age=found.get("label_age"),
    )


def slices(found: Sequence[Finding]) -> list[Finding]:
    """Return the slices of a window, those first that lose most beyond what is usual."""
    held = [one for one in found if one.monitor == "slice" and one.subject != _SEARCH]

    def worse(one: Finding) -> float:
        return (one.value or 0.0) - (one.baseline or 0.0)

    return sorted(held, key=lambda one: (one.verdict != "alarm", -worse(one)))[:40]


# ---------------------------------------------------------------- figures


def metric_figure(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return one metric over time: measured with its band, estimated dashed, immature hatched."""
    seen = watched.watched(ws, asked["name"])
    metric = _metric(seen, asked)
    if not metric:
        return figures.empty("No window has mature labels yet, and nothing was estimated.")
    spots = [s for s in seen.series("performance", metric) if s.found.value is not None]
    guesses = [s for s in seen.series("estimate", metric) if s.found.value is not None]
    data = [*_immature(seen), *_measured(spots), *_estimated(guesses), *_levels(spots)]
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(
            title=figures.titled(quality.name_of(metric)), fixedrange=True, nticks=7
        ),
        "yaxis2": figures.axis(
            overlaying="y", range=[0, 1], fixedrange=True, showgrid=False,
            showticklabels=False, zeroline=False, automargin=False,
        ),
    }  # fmt: skip
    shape = figures.layout(380, showlegend=True, legend=drift.LEGEND, barmode="overlay", **axes)
    return {"data": data, "layout": shape, "options": {"metric": metric}}


def _measured(spots: Sequence[Spot]) -> list[Figure]:
    """Return a line and a band for each stretch of one version."""
    out: list[Figure] = []
    for version, stretch in groupby(spots, key=lambda spot: spot.window.version):
        run = list(stretch)
        colour = figures.colour_of(version)
        out += _band(run, colour)
        out.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": "all versions" if version is None else f"v{version}, measured",
                "x": [drift.middle(spot.window) for spot in run],
                "y": [spot.found.value for spot in run],
                "line": {"color": colour, "width": 2.5},
                "marker": {
                    "size": [10 if spot.found.verdict == "alarm" else 6 for spot in run],
                    "color": ["--amber" if s.found.verdict == "alarm" else colour for s in run],
                },
                "text": [_told(spot) for spot in run],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return out


def _estimated(spots: Sequence[Spot]) -> list[Figure]:
    """Return the estimate that needs no labels: dashed, with the band of its own past error."""
    if not spots:
        return []
    return [
        *_band(spots, "--grey"),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "estimated without labels",
            "x": [drift.middle(spot.window) for spot in spots],
            "y": [spot.found.value for spot in spots],
            "line": {"color": "--grey", "width": 2, "dash": "dash"},
            "text": [_told(spot) for spot in spots],
            "hovertemplate": "%{text}<extra></extra>",
        },
    ]


def _band(spots: Sequence[Spot], colour: str) -> list[Figure]:
    sure = [s for s in spots if s.found.low is not None and s.found.high is not None]
    if not sure:
        return []
    times = [drift.middle(spot.window) for spot in sure]
    low, high = [s.found.low or 0.0 for s in sure], [s.found.high or 0.0 for s in sure]
    return [figures.band(times, low, high, colour)]


def _levels(spots: Sequence[Spot]) -> list[Figure]:
    """Return what it was at training, and from where on a monitor calls it worse."""
    times = [drift.middle(spot.window) for spot in spots]
    out: list[Figure] = []
    if any(spot.found.baseline is not None for spot in spots):
        values = [spot.found.baseline for spot in spots]
        out.append(drift.line(times, values, "at training", "--ink", "dot"))
    if any(spot.found.line is not None for spot in spots):
        values = [spot.found.line for spot in spots]
        out.append(drift.line(times, values, "begins to matter", "--red", "dash"))
    return out


def _immature(seen: Watched) -> list[Figure]:
    """Return the windows whose labels are not there yet, hatched over the whole height."""
    waiting = [one for one in seen.oldest_first if not one.performance]
    if not waiting:
        return []
    return [
        {
            "type": "bar",
            "name": "labels not mature",
            "x": [drift.middle(one) for one in waiting],
            "y": [1] * len(waiting),
            "width": [(one.end - one.start) * 1000 for one in waiting],
            "yaxis": "y2",
            "marker": {
                "color": "rgba(0,0,0,0)",
                "line": {"width": 0},
                "pattern": {"shape": "/", "fgcolor": "--grey/0.35", "size": 9, "solidity": 0.18},
            },
            "text": [f"{words.day(one.start)}: labels are not mature yet" for one in waiting],
            "textposition": "none",
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _told(spot: Spot) -> str:
    found, window = spot.found, spot.window
    band = ""
    if found.low is not None and found.high is not None:
        band = f" ({found.low:.4f} to {found.high:.4f})"
    span = f"{words.day(window.start)} to {words.day(window.end)}"
    told = f"{span}<br>{found.value:.4f}{band}, {found.rows:,} rows"
    return f"{told}<br>{figures.said(found.why)}" if found.why else told


def coverage_figure(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return what part of each window's rows has a label by now."""
    seen = watched.watched(ws, asked["name"])
    spots = [s for s in seen.series("performance", "coverage") if s.found.value is not None]
    if not spots:
        return figures.empty("No label has come yet.")
    bars = {
        "type": "bar",
        "x": [drift.middle(spot.window) for spot in spots],
        "y": [spot.found.value for spot in spots],
        "name": "labelled",
        "marker": {"color": "--teal"},
        "hovertemplate": "%{y:.1%} labelled<extra></extra>",
    }
    axes = {
        "xaxis": figures.axis(type="date", showgrid=False, automargin=False),
        "yaxis": figures.axis(
            title=figures.titled("labelled share of the rows"), range=[0, 1.02], tickformat=".0%",
            fixedrange=True,
        ),
    }  # fmt: skip
    return {"data": [bars], "layout": figures.layout(200, bargap=0.3, **axes)}


def reliability_figure(ws: Workspace, asked: Mapping[str, str]) -> Figure:
    """Return what came beside what was said, in the newest window that was judged on labels."""
    seen = watched.watched(ws, asked["name"])
    held = [
        (one.subject.removeprefix("ece").strip("/: "), one.detail["bins"])
        for one in seen.of(_newest_labelled(seen))
        if one.monitor == "calibration" and one.subject.startswith("ece") and "bins" in one.detail
    ]
    if not held:
        return figures.empty("No calibration was measured in the newest labelled window.")
    data: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "hoverinfo": "skip",
            "name": "as said", "line": {"color": "--grey", "dash": "dot", "width": 1.5},
        }
    ]  # fmt: skip
    for place, (name, bins) in enumerate(held[:6]):
        colour = figures.colour_of(place)
        most = max((rows for rows, _, _ in bins), default=1) or 1
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [said for _, said, _ in bins],
                "y": [came for _, _, came in bins],
                "name": name or "came",
                "line": {"color": colour, "width": 2},
                "marker": {"color": colour, "size": [6 + 8 * rows / most for rows, _, _ in bins]},
                "text": [
                    f"said {said:.3f}, came {came:.3f}<br>{rows:,} rows"
                    for rows, said, came in bins
                ],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    axes = {
        "xaxis": figures.axis(title=figures.titled("probability that was said"), range=[0, 1.01],
                              fixedrange=True),
        "yaxis": figures.axis(title=figures.titled("share that came true"), range=[0, 1.01],
                              fixedrange=True),
    }  # fmt: skip
    shape = figures.layout(322, showlegend=True, legend=drift.LEGEND, **axes)
    return {"data": data, "layout": shape}

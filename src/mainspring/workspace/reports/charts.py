"""Plotly figures of two samples: histograms laid over each other, distances by column."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.ground.words import share
from mainspring.workspace.reports.distributions import Distribution
from mainspring.workspace.reports.looks import Figure, axis, empty, layout, said, titled

_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
TONES = {"alarm": "--amber", "notice": "--violet", "quiet": "--accent"}


def overlaid(
    found: Distribution | None, title: str, names: tuple[str, str] = ("baseline", "now")
) -> Figure:
    """Return a column's distribution in two samples, the baseline wide and grey behind."""
    if found is None:
        return empty("There is no value to draw on either side.")
    text = found.kind == "category"
    # Bars stand at numbers, so that a name that looks like one is not taken for a place.
    places = list(range(len(found.names)))
    told = [
        f"{said(name)}<br>{said(names[0], 40)} {share(a)}<br>{said(names[1], 40)} {share(b)}"
        for name, a, b in zip(found.names, found.before, found.now, strict=True)
    ]
    bars = [
        _bars(places, found.before, names[0], "--grey/0.42", 0.98, told),
        _bars(places, found.now, names[1], "--accent/0.85", 0.5, told),
    ]
    if found.alone:
        alone = [
            f"{said(name)}<br>{share(a)}"
            for name, a in zip(found.names, found.before, strict=True)
        ]
        bars = [_bars(places, found.before, names[0], "--accent/0.85", 0.94, alone)]
    axes = {
        "xaxis": axis(
            title=titled(title), tickvals=_ticks(found), ticktext=_labels(found), showgrid=False,
            fixedrange=True, tickangle=-40 if text and len(places) > 5 else 0,
        ),
        "yaxis": axis(
            title=titled("share of the rows"), tickformat=".0%", rangemode="tozero",
            fixedrange=True,
        ),
    }  # fmt: skip
    shape = layout(300, barmode="overlay", showlegend=True, legend=_LEGEND, **axes)
    return {"data": bars, "layout": shape}


def distances(
    names: Sequence[str],
    values: Sequence[float | None],
    radii: Sequence[float | None],
    lines: Sequence[float | None],
    verdicts: Sequence[str],
) -> Figure:
    """Return a bar a column with what chance reaches and where it matters, the first on top."""
    if not names:
        return empty("No column could be judged.")
    places = list(range(len(names)))
    told = [
        f"{said(name)}<br>{verdict}, distance {value or 0:.3f}"
        for name, value, verdict in zip(names, values, verdicts, strict=True)
    ]
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "x": list(values),
        "marker": {"color": [TONES.get(verdict, "--grey") for verdict in verdicts]},
        "text": told,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "name": "distance",
    }
    marks = [
        _ticked(places, radii, "chance reaches", "--ink"),
        _ticked(places, lines, "begins to matter", "--red"),
    ]
    axes = {
        "xaxis": axis(title=titled("distance from the baseline"), rangemode="tozero",
                      fixedrange=True),
        "yaxis": axis(tickvals=places, ticktext=[said(name[:36]) for name in names],
                      autorange="reversed", showgrid=False, fixedrange=True),
    }  # fmt: skip
    shape = layout(90 + 24 * len(names), showlegend=True, legend=_LEGEND, bargap=0.35, **axes)
    return {"data": [bars, *marks], "layout": shape}


def _bars(
    places: list[int], values: list[float], name: str, colour: str, width: float, told: list[str]
) -> Figure:
    return {
        "type": "bar",
        "x": places,
        "y": values,
        "width": width,
        "name": said(name, 40),
        "marker": {"color": colour},
        "text": told,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }


def _ticked(places: list[int], at: Sequence[float | None], name: str, colour: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(at),
        "y": places,
        "name": name,
        "marker": {
            "symbol": "line-ns-open",
            "size": 15,
            "color": colour,
            "line": {"width": 2, "color": colour},
        },
        "hoverinfo": "skip",
    }


def _ticks(found: Distribution) -> list[float]:
    if not found.cuts:
        return [float(place) for place in range(len(found.names))]
    steps = range(0, len(found.cuts), max(len(found.cuts) // 6, 1))
    return [place - 0.5 for place in steps]


def _labels(found: Distribution) -> list[str]:
    if not found.cuts:
        return [said(name[:28], 40) for name in found.names]
    from mainspring.ground.words import figure

    steps = range(0, len(found.cuts), max(len(found.cuts) // 6, 1))
    return [figure(found.cuts[place]) for place in steps]

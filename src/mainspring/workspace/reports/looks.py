"""What every chart has in common: axes, layout, hover texts that cannot be markup.

A colour is written as the name of a style sheet's variable (``--green``, ``--v1/0.2`` with its
opacity); whoever draws puts in what it is in the light or the dark.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

Figure = dict[str, Any]


def said(text: object, width: int = 64) -> str:
    """Return text for a hover label: wrapped, and without anything that could be a tag.

    Our own labels hold no tag but ``<br>`` either: plotly writes others as inline styles.
    """
    safe = str(text)[:600].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<br>".join(textwrap.wrap(safe, width)) or safe


def axis(**given: Any) -> Figure:
    """Return an axis in our looks."""
    plain: Figure = {
        "gridcolor": "--line",
        "linecolor": "--line",
        "zerolinecolor": "--line",
        "tickfont": {"color": "--muted", "size": 12},
        "automargin": True,
        "title": {"text": ""},
    }
    return {**plain, **given}


def titled(text: str) -> Figure:
    """Return the title of an axis."""
    return {"text": said(text), "font": {"size": 12, "color": "--muted"}, "standoff": 8}


def layout(height: int, **given: Any) -> Figure:
    """Return a layout in our looks, of a height in pixels."""
    plain: Figure = {
        "height": height,
        "margin": {"l": 8, "r": 26, "t": 10, "b": 42},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "color": "--ink", "size": 13},
        "hoverlabel": {
            "bgcolor": "--card",
            "bordercolor": "--line",
            "font": {"color": "--ink", "size": 13},
            "align": "left",
        },
        "hovermode": "closest",
        "showlegend": False,
        "uirevision": "kept",
    }
    return {**plain, **given}


def band(times: Sequence[str], low: Sequence[float], high: Sequence[float], colour: str) -> Figure:
    """Return a closed band between two lines."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*times, *reversed(times)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": f"{colour}/0.18",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def empty(text: str) -> Figure:
    """Return what stands where there is nothing to draw yet."""
    return {"data": [], "layout": layout(80), "empty": text}

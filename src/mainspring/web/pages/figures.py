"""Colours of versions and times of axes, beside what every chart has in common."""

from __future__ import annotations

from mainspring.web.pages import words
from mainspring.workspace.reports.looks import Figure, axis, band, empty, layout, said, titled

__all__ = [
    "VERSION_COLOURS",
    "Figure",
    "axis",
    "axis_time",
    "band",
    "colour_of",
    "empty",
    "layout",
    "said",
    "titled",
]

#: As many colours as the style sheet has for versions, one after the other.
VERSION_COLOURS = 6


def colour_of(version: int | None) -> str:
    """Return the colour of a version."""
    return "--grey" if version is None else f"--v{version % VERSION_COLOURS}"


def axis_time(seconds: float) -> str:
    """Return a UTC time as plotly's axes read it."""
    return words.stamp(seconds).rstrip("Z")

"""The pages of pipelines: all that ever ran, and one with its runs and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from mainspring.experiments.by_pipeline import Past
from mainspring.pipelines import boxes, picture
from mainspring.web.pages import sparks
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import pipelines


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001  every page is asked alike
    """Return every pipeline that ran, its last runs, and what starts it."""
    found = pipelines.every_pipeline(ws)
    return {
        "pipelines": [(one, _durations(one.past)) for one in found],
        "now": ws.clock.now(),
    }


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one pipeline: its runs, its steps over them, and the graph of the newest.

    Raises:
        NotFoundError: if it never ran.
    """
    found = pipelines.pipeline_detail(ws, asked["name"])
    now, newest = ws.clock.now(), found.runs[0].past
    there = f"/runs/{quote(newest.run, safe='')}"

    def link(box: picture.Box) -> str:
        return f"{there}?{urlencode({'group' if box.several else 'step': box.name})}#step"

    svg = picture.drawn(boxes.boxes(found.newest, now), link, soft=False)
    return {
        "found": found,
        "newest": newest,
        "spark": _durations([one.past for one in found.runs]),
        "graph": Markup(svg) if found.newest else None,  # noqa: S704  every text is escaped
        "now": now,
    }


def _durations(past: Sequence[Past]) -> Markup | None:
    """Return the durations of runs as a curve, the newest on the right."""
    took = [one.ended - one.started for one in past if one.ended is not None]
    return sparks.curve([value for value in took[::-1] if value >= 0])

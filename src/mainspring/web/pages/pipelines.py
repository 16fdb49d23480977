"""The pages of pipelines: all that ran or could, one with its runs and steps, and starting it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from mainspring.experiments.by_pipeline import Past
from mainspring.ground.permissions import Permission, authorise
from mainspring.pipelines import boxes, picture
from mainspring.web.pages import outcomes, sparks
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import declared, pipelines


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001  every page is asked alike
    """Return every pipeline that ran, its last runs, what starts it, and those yet to run."""
    found = pipelines.every_pipeline(ws)
    project = declared.declared(ws)
    ran = {one.ran.pipeline for one in found}
    return {
        "pipelines": [(one, _durations(one.past), outcomes.marks(one.past)) for one in found],
        "fresh": [one for one in project.pipelines if one.target not in ran],
        "problem": project.problem,
        "now": ws.clock.now(),
    }


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one pipeline: its runs, its steps over them, and the graph of the newest.

    Raises:
        NotFoundError: if it never ran, and the project declares none of that name.
    """
    found = pipelines.pipeline_detail(ws, asked["name"])
    now, newest = ws.clock.now(), found.runs[0].past if found.runs else None
    there = f"/runs/{quote(newest.run if newest else '', safe='')}"
    wanted = declared.of_target(ws, found.pipeline)

    def link(box: picture.Box) -> str:
        return f"{there}?{urlencode({'group' if box.several else 'step': box.name})}#step"

    svg = picture.drawn(boxes.boxes(found.newest, now, found.items), link, soft=False)
    return {
        "found": found,
        "newest": newest,
        "spark": _durations([one.past for one in found.runs]),
        "outcomes": outcomes.marks([one.past for one in found.runs[: pipelines.DRAWN_RUNS]]),
        "wanted": wanted,
        "inputs": [_input(one) for one in wanted.parameters] if wanted else [],
        "graph": Markup(svg) if found.newest else None,  # noqa: S704  every text is escaped
        "now": now,
    }


#: Type of a parameter -> the attributes of the field it is typed into.
_FIELDS = {
    "int": {"type": "number", "step": "1", "inputmode": "numeric"},
    "float": {"type": "number", "step": "any", "inputmode": "decimal"},
}


def _input(one: declared.Asks) -> dict[str, Any]:
    """Return how a parameter is asked for; left empty it is what it is by default."""
    kind = one.type.removesuffix(" or None")
    default = "" if one.required else json.dumps(one.default, ensure_ascii=False, default=str)
    plain = one.default if isinstance(one.default, str) else default
    return {
        "name": one.name,
        "type": one.type,
        "required": one.required,
        "default": plain,
        "switch": kind == "bool",
        "field": _FIELDS.get(kind, {"type": "text"}),
        "json": kind not in ("str", "int", "float", "bool"),
    }


def run(ws: Workspace, given: Asked) -> str:
    """Start a run of a pipeline with what was typed into its form; lead to that run.

    Raises:
        PermissionDeniedError: for who may not run pipelines; nothing of the project is read.
        BadInputError: naming the parameter that is missing or cannot be so.
    """
    from mainspring.workspace import running

    authorise(ws.who, Permission.RUN)
    params = {
        name.removeprefix(_PARAM): value
        for name, value in given.pairs
        if name.startswith(_PARAM) and value.strip()
    }
    start = given.get("from", "").strip() or None
    made = running.start_run(ws, given["name"], params, start=start)
    return f"/runs/{quote(made, safe='')}"


_PARAM = "param."

#: Path -> what a form that is sent there does.
ACTS: dict[str, Callable[[Workspace, Asked], str]] = {"/pipelines/{name:path}/run": run}


def _durations(past: Sequence[Past]) -> Markup | None:
    """Return the durations of runs as a curve, the newest on the right."""
    took = [one.ended - one.started for one in past if one.ended is not None]
    return sparks.curve([value for value in took[::-1] if value >= 0])

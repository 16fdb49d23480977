"""The page of the logs: what processes wrote, by text, time, level, process, run and endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.logs import LEVELS
from mainspring.ground.permissions import Permission, authorise
from mainspring.workspace.opening import Workspace

MOST = 200  #: lines shown
SPANS = ("15m", "1h", "1d", "7d")
_KEPT = (
    "text",
    "since",
    "until",
    "process",
    "run",
    "step",
    "endpoint",
    "loop",
    "request",
    "prediction",
)


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the newest lines that were asked for, newest first; for administrators alone."""
    from mainspring.workspace.logs import asking, reading
    from mainspring.workspace.logs.lines import Query

    authorise(ws.who, Permission.ADMIN)
    wanted = {key: asked.get(key, "").strip() for key in _KEPT}
    level = asked.get("level", "") or "info"
    query = Query(
        text=wanted["text"],
        level=level,
        process=wanted["process"] or None,
        run=wanted["run"] or None,
        step=wanted["step"] or None,
        endpoint=wanted["endpoint"] or None,
        loop=wanted["loop"] or None,
        request=wanted["request"] or None,
        prediction=wanted["prediction"] or None,
    )
    found, trouble = [], ""
    try:
        found = asking.find(
            ws.home,
            query,
            since=wanted["since"] or None,
            until=wanted["until"] or None,
            limit=MOST,
        )
    except MainspringError as error:  # what was typed cannot be asked: the form stays
        trouble = f"{error.message} {error.hint or ''}".strip()
    return {
        "lines": [msgspec.structs.asdict(line) for line in found],
        "wanted": {**wanted, "level": level},
        "trouble": trouble,
        "levels": LEVELS,
        "spans": SPANS,
        "processes": reading.processes(ws.home / "logs"),
        "most": MOST,
    }

"""What starts by itself: schedules and their fire times, triggers and their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mainspring.ground.durations import spoken
from mainspring.ground.errors import BadInputError
from mainspring.web.pages.fields import Asked
from mainspring.workspace import crons
from mainspring.workspace.events import verbs
from mainspring.workspace.opening import Workspace

_NEXT, _LAST = 3, 5
_MOST = 100  #: schedules and triggers that are shown with what became of them


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001  every page is asked alike
    """Return schedules and triggers, when they fire next, and what became of the last."""
    schedules = []
    for one in crons.listed(ws)[:_MOST]:
        found, past = crons.shown(ws, one.standing.schedule.name, _LAST)
        schedules.append((found, found.next[:_NEXT], past))
    triggers = [
        (one, verbs.shown(ws, one.trigger.name, _LAST)[1]) for one in verbs.listed(ws)[:_MOST]
    ]
    return {"schedules": schedules, "triggers": triggers, "when_of": _when}


def _when(schedule: Any) -> str:
    if schedule.every_s is not None:
        return f"every {spoken(schedule.every_s)}"
    return str(schedule.cron)


def act(ws: Workspace, given: Asked) -> str:
    """Pause, resume or run one schedule, or pause or resume one trigger."""
    kind, verb, name = given["kind"], given["verb"], given["name"]
    work = _VERBS.get((kind, verb))
    if work is None:
        raise BadInputError(f"Nothing is done by {verb[:40]!r} of {kind[:40]!r}.", field="verb")
    work(ws, name)
    return "/schedules"


_VERBS: dict[tuple[str, str], Callable[[Workspace, str], object]] = {
    ("schedules", "pause"): crons.pause,
    ("schedules", "resume"): crons.resume,
    ("schedules", "run"): crons.run_now,
    ("triggers", "pause"): verbs.pause,
    ("triggers", "resume"): verbs.resume,
}

#: Path -> what a form that is sent there does.
ACTS: dict[str, Callable[[Workspace, Asked], str]] = {"/starts/{kind}/{name}/{verb}": act}

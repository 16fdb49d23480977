"""Which room carries out which command: the table the engine works by.

A handler computes, in this process or in a child, and returns what shall be written; the
engine writes it together with the end of the task. So an effect happens exactly once. Read
first: :mod:`steps` (a pipeline's work), :mod:`controllers` (how its graph grows),
:mod:`renewal` (the loop's commands), :mod:`watching` (windows, labels, rollouts), :mod:`lanes`
(repeats and tunings), :mod:`entries` (the queue).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.workspace.events import noticing as events
from mainspring.workspace.evidence import LabelShelf
from mainspring.workspace.handlers import (
    alarming,
    arriving,
    controllers,
    entries,
    judging,
    lanes,
    losing,
    rejudging,
    renewal,
    steps,
    telling,
    traffic,
    upkeep,
    watching,
)
from mainspring.workspace.handlers.piping import Drive
from mainspring.workspace.openlineage import delivering as openlineage

if TYPE_CHECKING:
    from mainspring.engine.doing import Handler, Opener
    from mainspring.workspace.opening import Workspace


def table(ws: Workspace, drive: Drive) -> tuple[dict[str, Handler], dict[str, Opener]]:
    """Return every handler by the kind of task it carries out, and what opens some kinds.

    ``drive`` carries out a pipeline's run within another task.
    """
    shelf, work = LabelShelf(), steps.Steps(ws)
    found = {
        **steps.handlers(work),
        **controllers.handlers(ws),
        **renewal.handlers(ws, shelf),
        **judging.handlers(ws, drive),
        **rejudging.handlers(ws, drive, shelf),
        **traffic.handlers(ws),
        **watching.handlers(ws, shelf),
        **upkeep.handlers(ws),
        **lanes.handlers(ws, drive),
        **telling.handlers(ws),
        **alarming.handlers(ws),
        **losing.handlers(ws),
        **arriving.handlers(ws),
        **events.handlers(ws),
        **openlineage.handlers(ws),
        **entries.handlers(ws, drive),
    }
    return found, steps.openers(work)

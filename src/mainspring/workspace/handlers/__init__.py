"""Which room carries out which command: the table the engine works by.

A handler computes, in this process or in a child, and returns what shall be written; the
engine writes it together with the end of the task. So an effect happens exactly once. Read
first: :mod:`steps` (a pipeline's work), :mod:`ends` (its runs), :mod:`controllers` (how its graph
grows), :mod:`renewal` (the loop's commands), :mod:`watching` (windows, labels, rollouts),
:mod:`lanes` (repeats and tunings), :mod:`entries` (the queue).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from mainspring.ground import structs

if TYPE_CHECKING:
    from mainspring.engine.doing import Handler, Opener
    from mainspring.workspace.handlers.piping import Drive
    from mainspring.workspace.opening import Workspace


class Table(Mapping[str, "Handler"]):
    """Handlers by kind: those of a pipeline's own work, and the rest once a kind asks for it.

    Who runs a pipeline and ends would import three times as much for nothing.
    """

    def __init__(
        self, near: Mapping[str, Handler], rest: Callable[[], Mapping[str, Handler]]
    ) -> None:
        self._found, self._rest = dict(near), rest
        self._whole, self._lock = False, threading.Lock()

    def __getitem__(self, kind: str) -> Handler:
        return (self._found if kind in self._found else self.whole())[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())

    def whole(self) -> Mapping[str, Handler]:
        """Load what is not loaded yet, and return every handler."""
        with self._lock:
            if not self._whole:
                self._found, self._whole = {**self._rest(), **self._found}, True
                structs.prepare()
        return self._found


def table(
    ws: Workspace, drive: Drive, *, lazily: bool = False
) -> tuple[Mapping[str, Handler], dict[str, Opener]]:
    """Return every handler by the kind of task it carries out, and what opens some kinds.

    ``drive`` carries out a pipeline's run within another task. ``lazily`` is for who mostly does
    a pipeline's own work: the rest is loaded when a kind of task asks for it.
    """
    from mainspring.workspace.handlers import controllers, ends, steps

    work = steps.Steps(ws)
    near = {**steps.handlers(work), **controllers.handlers(ws), **ends.handlers(ws)}
    found = Table(near, lambda: _rest(ws, drive))
    if not lazily:
        found.whole()
    return found, steps.openers(work)


def _rest(ws: Workspace, drive: Drive) -> dict[str, Handler]:
    from mainspring.workspace.events import noticing as events
    from mainspring.workspace.evidence import LabelShelf
    from mainspring.workspace.handlers import (
        alarming,
        arriving,
        entries,
        judging,
        lanes,
        losing,
        rejudging,
        renewal,
        telling,
        traffic,
        upkeep,
        watching,
    )
    from mainspring.workspace.openlineage import delivering as openlineage

    shelf = LabelShelf()
    return {
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

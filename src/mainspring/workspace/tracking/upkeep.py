"""What the engine does for tracking: fold what is waiting, and pack what has become long."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from mainspring.experiments import histories
from mainspring.ground.errors import MainspringError
from mainspring.ground.permissions import Permission
from mainspring.workspace.tracking.catching_up import WHO, catch_up

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

FOLD_S = 1.0  #: between two looks for what is waiting
PACK_EVERY = 60  #: looks between two searches for long tails, which read an index


def keep_up(ws: Workspace, stop: threading.Event, told: MutableMapping[str, str]) -> None:
    """Fold about once a second until ``stop`` is set; ``told`` hears of what goes wrong."""
    looks = 0
    while not stop.wait(FOLD_S):
        looks += 1
        try:
            found = catch_up(ws)
            if looks % PACK_EVERY == 0:
                ws.acting_as(WHO).write(Permission.LOG, histories.tidy)
        except MainspringError as error:
            found = [str(error)]
        if found:
            told["journals"] = "\n".join(found)
        else:
            told.pop("journals", None)

"""What else happens when a run starts and ends, such as capturing its environment."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainspring.workspace.tracking.active import ActiveRun

#: "module:function" of what is called with a run that has just started (and was not told
#: ``capture=False``). It may return a function that is called with the status before it ends.
STARTING: tuple[str, ...] = ("mainspring.workspace.tracking.capturing:start",)

Closer = Callable[[str], None]


def start(run: ActiveRun) -> list[Closer]:
    """Call every hook with a run that has just started; return what to call before it ends."""
    closers = []
    for target in STARTING:
        module, _, name = target.partition(":")
        closer: Closer | None = getattr(importlib.import_module(module), name)(run)
        if closer is not None:
            closers.append(closer)
    return closers

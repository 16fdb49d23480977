"""Carry a prepared step out: when there is room, in one process or in several as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground.ports import Outcome
from mainspring.pipelines.options import Options
from mainspring.workspace import calling
from mainspring.workspace.performing import gang

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


def perform(
    ws: Workspace,
    options: Options,
    payload: dict[str, Any],
    lease: Lease,
    *,
    root: str,
    log: Path,
    given: Sequence[dict[str, str]],
    python: str | None = None,
) -> Outcome:
    """Run a step to its end and return how it ended. ``given`` are each worker's variables."""
    if options.workers > 1:
        return gang.run(
            ws, options, payload, lease, root=root, log=log, given=given, python=python
        )
    return calling.call(
        ws,
        "step",
        payload,
        lease,
        root=root,
        log=log,
        timeout_s=options.timeout_s,
        env=given[0],
        python=python,
        memory=options.resources.memory,
    )

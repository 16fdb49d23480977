"""Carry a prepared step out: in one process or in several as one, keeping its secrets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.ports import Outcome
from mainspring.ground.secrecy import Hiding
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
    secrets: Mapping[str, str],
    tokens: Collection[str] = (),
    python: str | None = None,
) -> Outcome:
    """Run a step to its end and return how it ended.

    ``given`` are each worker's variables, ``secrets`` those whose values are nowhere in the
    log, the error and the trace, and neither are ``tokens`` among its arguments.
    """
    known, hide = [{**one, **secrets} for one in given], [*secrets.values(), *tokens]
    payload = {**payload, "secrets": list(secrets)}
    if options.workers > 1:
        outcome = gang.run(
            ws, options, payload, lease, root=root, log=log, given=known, hide=hide, python=python
        )
    else:
        outcome = calling.call(
            ws,
            "step",
            payload,
            lease,
            root=root,
            log=log,
            timeout_s=options.timeout_s,
            beat_s=options.heartbeat_s,
            env=known[0],
            python=python,
            resources=options.resources,
            hide=hide,
        )
    if not hide or outcome.ok:
        return outcome
    hiding = Hiding(hide)
    return msgspec.structs.replace(
        outcome, error=hiding.text(outcome.error), trace=hiding.text(outcome.trace)
    )

"""Run several workers as one step: ranked, told of each other, and ended together.

Each worker is a call of its own to the executor, told by variables which it is and where the
first can be met. That is all a gang is: an executor that puts calls on other machines needs to
say at which address the first one runs, and nothing here or in a step changes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.ports import Call, Outcome
from mainspring.pipelines.options import Options
from mainspring.workspace import calling
from mainspring.workspace.logs.printed import taken
from mainspring.workspace.performing import ports

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

ADDRESS = "127.0.0.1"
PORT_TRIES = 3
_ASK_S = 0.1
#: What a worker says that only lost another one; the other's words are the reason.
_AFTERMATH = (
    *("ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError", "EOFError"),
    *("Connection reset", "Connection closed", "Broken pipe", "IncompleteReadError"),
)


def run(
    ws: Workspace,
    options: Options,
    payload: dict[str, Any],
    lease: Lease,
    *,
    root: str,
    log: Path,
    given: Sequence[dict[str, str]],
    hide: Sequence[str] = (),
    python: str | None = None,
) -> Outcome:
    """Run a step's workers to their end; the outcome is the first's, or why one failed.

    When one fails, or the step is cancelled or out of time, all are ended: asked to, and killed
    after the executor's grace. What they print goes to ``log``, each line with its rank.
    """
    for attempt in range(PORT_TRIES):
        with ports.reserved() as port:
            calls = [
                calling.wanted(
                    ws,
                    "step",
                    {**payload, "rank": rank, "beat": _beat(payload, rank)},
                    root=root,
                    log=log,
                    prefix=f"[{rank}] ",
                    hide=list(hide),
                    timeout_s=options.timeout_s,
                    beat_s=options.heartbeat_s,
                    env={**given[rank], **variables(rank, options.workers, port)},
                    python=python,
                    resources=options.resources,
                )
                for rank in range(options.workers)
            ]
            ids = {"run": payload["run"], "step": payload["step"], "task": lease.task.id}
            with taken(ws.settings, log, lease.cancelled, call="step", **ids) as cancelled:
                outcome = _Gang(ws, calls, cancelled).run()
            stolen = (
                not outcome.ok and "Address already in use" in f"{outcome.error}{outcome.trace}"
            )
            if not stolen or ports.free(port) or attempt + 1 == PORT_TRIES:
                break
    return outcome


def variables(rank: int, workers: int, port: int) -> dict[str, str]:
    """Return what tells a worker which it is, as torchrun and SageMaker tell it."""
    hosts = [f"algo-{number + 1}" for number in range(workers)]
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(workers),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(workers),
        "GROUP_RANK": "0",
        "MASTER_ADDR": ADDRESS,
        "MASTER_PORT": str(port),
        "SM_HOSTS": json.dumps(sorted(hosts)),
        "SM_CURRENT_HOST": hosts[rank],
    }


def _beat(payload: Mapping[str, Any], rank: int) -> str:
    """Return the file by which a worker shows that it gets on: each has its own."""
    return f"{payload['beat']}{rank}" if payload.get("beat") else ""


class _Gang:
    """The workers of one step, a thread for each."""

    def __init__(
        self, ws: Workspace, calls: Sequence[Call], cancelled: Callable[[], bool]
    ) -> None:
        self._ws, self._calls, self._cancelled = ws, calls, cancelled
        self._over = threading.Event()  # one failed, or all are to end
        self._ended = threading.Condition()
        self._outcomes: dict[int, Outcome] = {}
        self._order: list[int] = []  # who failed by itself, as it was seen

    def run(self) -> Outcome:
        threads = [
            threading.Thread(target=self._one, args=(rank,), name=f"rank-{rank}")
            for rank in range(len(self._calls))
        ]
        for one in threads:
            one.start()
        stopped = False
        while len(self._outcomes) < len(self._calls):
            with self._ended:
                self._ended.wait(_ASK_S)
            if not stopped and self._cancelled():
                stopped = True
                self._over.set()
        for one in threads:
            one.join()
        if stopped:
            return Outcome(ok=False, error="cancelled")
        return self._told()

    def _one(self, rank: int) -> None:
        try:
            outcome = self._ws.executor.run(self._calls[rank], cancelled=self._over.is_set)
        except Exception as error:  # noqa: BLE001  the thread's last frame: it is told as the outcome
            outcome = Outcome(ok=False, error=f"{type(error).__name__}: {error}")
        with self._ended:
            if not outcome.ok and outcome.error != "cancelled":  # as those are that we end
                self._order.append(rank)
            self._outcomes[rank] = outcome
            if not outcome.ok:
                self._over.set()
            self._ended.notify_all()

    def _told(self) -> Outcome:
        """Return what came of the step: of the first worker, or of the one that failed."""
        every = self._outcomes.values()
        spent = {
            "cpu_s": sum(one.cpu_s for one in every),
            "wall_s": max(one.wall_s for one in every),
            "peak_mb": sum(one.peak_mb for one in every),
        }
        if not self._order:
            return msgspec.structs.replace(self._outcomes[0], **spent)
        rank = min(self._order, key=lambda one: (_is_aftermath(self._outcomes[one]),
                                                 self._order.index(one)))  # fmt: skip
        found = self._outcomes[rank]
        error = f"Worker {rank} of {len(self._calls)}: {found.error}"
        return msgspec.structs.replace(found, error=error, **spent)


def _is_aftermath(outcome: Outcome) -> bool:
    return not outcome.killed and any(word in outcome.error for word in _AFTERMATH)

"""Say how an endpoint batches: where it scores, what waits, how large batches are, and why."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.records import Record
from mainspring.ground.serving import EndpointLimits
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import endpoint_http
from mainspring.workspace.views.endpoints import endpoint_board


class BatchingPlan(Record, frozen=True, kw_only=True):
    """How the requests of one version (or of the versions of a rollout) are scored."""

    versions: list[int]
    inline: bool  #: in the event loop; else in threads
    why: str
    batches: int  #: scored so far, lone requests included
    call_ms: float  #: of a batch beside its rows, fitted to the last ones
    row_ms: float  #: of one more row
    worst_ms: float  #: of the last batches
    most_rows: int  #: scored at once so far


class EndpointBatching(Record, frozen=True, kw_only=True):
    """What an endpoint's processes counted of batching since they began, and how they stand."""

    name: str
    plans: list[BatchingPlan]
    lone: int  #: requests scored in the event loop by themselves, at once
    sizes: dict[str, int]  #: requests a batch -> batches of that size
    closed: dict[str, int]  #: why a batch in threads was not larger -> batches
    wait_p50_ms: float | None = None  #: for a thread
    wait_p95_ms: float | None = None
    wait_p99_ms: float | None = None
    waiting: int = 0  #: requests, now
    running: int = 0
    refused: int = 0  #: sent away at once
    cancelled: int = 0  #: not scored, for the client had left
    late: int = 0  #: given up while they were scored
    hung: int = 0  #: threads that hold a scoring that was given up
    threads: int = 0
    threads_busy: int = 0
    limits: EndpointLimits


def endpoint_batching(ws: Workspace, name: str) -> EndpointBatching:
    """Return how an endpoint batches, all its workers together.

    Raises:
        NotFoundError: if there is no such endpoint.
        UnavailableError: if no process of it answers.
    """
    board = endpoint_board(ws, name)
    told: dict[str, Any] = board.serving or {}
    found, queue = told.get("batching"), told.get("queue") or {}
    if not found:
        raise endpoint_http.down(name)
    waits = found.get("waits") or {}
    return msgspec.convert(
        {
            "name": name,
            **{key: found[key] for key in ("plans", "lone", "sizes", "closed")},
            **{f"wait_{part}": waits.get(part) for part in ("p50_ms", "p95_ms", "p99_ms")},
            **{key: found.get(key, 0) for key in ("cancelled", "late")},
            **{
                key: queue.get(key, 0)
                for key in ("waiting", "running", "refused", "hung", "threads", "threads_busy")
            },
            "limits": msgspec.to_builtins(board.routing.options.limits),
        },
        EndpointBatching,
    )

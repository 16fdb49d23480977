"""Read an endpoint's own account of itself: how much, how fast, how often it failed."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from mainspring.workspace.views.shapes import EndpointBoard

_LEAST_S = 1.0  # between two looks, or a rate would be noise
_OLD_S = 60.0  # after that, what was seen before says nothing of now


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint's process did since it began; None where it did not say."""

    requests: int | None = None
    rows: int | None = None
    errors: int | None = None
    rows_per_s: float | None = None
    requests_per_s: float | None = None
    in_flight: int | None = None
    waiting: int | None = None  #: requests that wait for a slot
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    written: int | None = None  #: rows captured
    queued: int | None = None  #: rows that wait to be written
    dropped: int | None = None  #: rows that could not be captured
    refused: int | None = None  #: requests sent away because too many waited
    trouble: str = ""
    versions: list[tuple[str, dict[str, Any]]] = []


class _Looks:
    """The last two looks at each endpoint's count of rows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, int, float | None]] = {}

    def rate(self, key: str, rows: int, now: float) -> float | None:
        """Return rows per second since the look before, None at the first."""
        with self._lock:
            at, before, rate = self._seen.get(key, (now, rows, None))
            gone = now - at
            if rows < before or gone < 0 or gone > _OLD_S:
                rate = None
            elif gone >= _LEAST_S:
                rate = (rows - before) / gone
            else:
                return rate if key in self._seen else self._put(key, now, rows, None)
            return self._put(key, now, rows, rate)

    def _put(self, key: str, now: float, rows: int, rate: float | None) -> float | None:
        if len(self._seen) > 1000:
            self._seen.clear()
        self._seen[key] = (now, rows, rate)
        return rate


_LOOKS = _Looks()


def serving_of(board: EndpointBoard, now: float) -> Serving:
    """Return how an endpoint's process is doing; empty while it is down."""
    told = board.serving
    if board.state != "up" or not told:
        return Serving()
    found = told.get("versions")
    counts = {str(k): v for k, v in found.items()} if isinstance(found, dict) else {}
    counts = {key: value for key, value in counts.items() if isinstance(value, dict)}
    nothing: dict[str, Any] = {}
    busiest = max(counts.values(), key=lambda one: one.get("requests") or 0, default=nothing)
    rows = _number(told.get("rows"), counts, "rows")
    requests = _number(told.get("requests"), counts, "requests")
    capture, queue = told.get("capture") or {}, told.get("queue") or {}
    return Serving(
        requests=requests,
        rows=rows,
        errors=_number(told.get("errors"), counts, "errors"),
        rows_per_s=None if rows is None else _LOOKS.rate(f"{board.url}", rows, now),
        requests_per_s=None
        if requests is None
        else _LOOKS.rate(f"{board.url} requests", requests, now),
        # Without our own questions: each process was asked once.
        in_flight=max(told.get("in_flight", 0) - max(len(board.workers), 1), 0),
        waiting=queue.get("waiting"),
        p50_ms=told.get("p50_ms", busiest.get("p50_ms")),
        p95_ms=told.get("p95_ms", busiest.get("p95_ms")),
        p99_ms=told.get("p99_ms", busiest.get("p99_ms")),
        written=capture.get("written_rows"),
        queued=capture.get("queued_rows"),
        dropped=capture.get("dropped_rows"),
        refused=queue.get("refused"),
        trouble=str(told.get("trouble") or capture.get("trouble") or ""),
        versions=sorted(counts.items()),
    )


def _number(told: Any, counts: dict[str, dict[str, Any]], key: str) -> int | None:
    if isinstance(told, int):
        return told
    return sum(int(one.get(key) or 0) for one in counts.values()) if counts else None

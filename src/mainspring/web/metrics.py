"""Count requests, and tell Prometheus of them, of the loops, and of all that is watched."""

from __future__ import annotations

import threading
from collections import defaultdict

from mainspring.ground.exposition import CONTENT_TYPE, Family, gauge, histogram, text_of
from mainspring.web import watched
from mainspring.workspace.opening import Workspace

__all__ = ["CONTENT_TYPE", "Requests", "exposition"]

#: Upper edges of the latency histogram, in seconds.
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Requests:
    """How many requests each route answered, how, and how fast."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str, int], int] = defaultdict(int)
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(EDGES) + 1))
        self._seconds: dict[str, float] = defaultdict(float)

    def note(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        slot = next((i for i, edge in enumerate(EDGES) if seconds <= edge), len(EDGES))
        with self._lock:
            self._answers[route, method, status] += 1
            self._counts[route][slot] += 1
            self._seconds[route] += seconds

    def families(self) -> list[Family]:
        """Return the counts as Prometheus reads them."""
        with self._lock:
            answers = dict(self._answers)
            counts = {route: list(slots) for route, slots in self._counts.items()}
            seconds = dict(self._seconds)
        rows = [
            ({"route": route, "method": method, "status": str(status)}, n)
            for (route, method, status), n in sorted(answers.items())
        ]
        took = [({"route": r}, slots, seconds[r]) for r, slots in sorted(counts.items())]
        return [
            gauge("mainspring_http_requests_total", "Requests answered.", rows, kind="counter"),
            histogram(
                "mainspring_http_request_seconds",
                "Time to the last byte of the answer.",
                took,
                EDGES,
            ),
        ]


def exposition(ws: Workspace, requests: Requests) -> str:
    """Return everything that Prometheus may know, as text.

    What endpoints count in their own processes is asked of them and stands here too, so that
    one address is enough.
    """
    return text_of([*requests.families(), *_house(ws), *_captures(ws), *watched.families(ws)])


def _house(ws: Workspace) -> list[Family]:
    from mainspring.workspace.views.house import engine_state
    from mainspring.workspace.views.loops import loop_statuses
    from mainspring.workspace.views.monitoring import alarm_list
    from mainspring.workspace.views.searching import run_page

    loops = loop_statuses(ws)
    runs = run_page(ws, status="running", limit=1000).runs
    open_of = {one.endpoint: 0 for one in loops}
    for alarm in alarm_list(ws, open_only=True, limit=1000):
        open_of[alarm.endpoint] = open_of.get(alarm.endpoint, 0) + 1
    return [
        gauge(
            "mainspring_engine_up",
            "1 while the engine gives signs of life.",
            [({}, float(engine_state(ws) == "up"))],
        ),
        gauge("mainspring_runs_running", "Runs that have not ended.", [({}, len(runs))]),
        gauge(
            "mainspring_loop_phase",
            "1 for the phase a loop is in.",
            [({"loop": one.name, "phase": one.phase}, 1) for one in loops],
        ),
        gauge(
            "mainspring_loop_paused",
            "1 while a person has stopped a loop from acting.",
            [({"loop": one.name}, float(one.paused)) for one in loops],
        ),
        gauge(
            "mainspring_loop_frozen",
            "1 while a freeze keeps a loop from beginning anything.",
            [({"loop": one.name}, float(one.frozen_until is not None)) for one in loops],
        ),
        gauge(
            "mainspring_loop_on_hold",
            "What waits in a loop for a resume, the end of a freeze or a cool-down.",
            [({"loop": one.name}, len(one.on_hold)) for one in loops],
        ),
        gauge(
            "mainspring_loop_champion",
            "Number of the version that serves.",
            [
                ({"loop": one.name, "model": one.model}, one.champion)
                for one in loops
                if one.champion is not None
            ],
        ),
        gauge(
            "mainspring_loop_retrainings",
            "Retrainings a loop has begun.",
            [({"loop": one.name}, one.retrainings) for one in loops],
        ),
        gauge(
            "mainspring_alarms_open",
            "Alarms that have not ended.",
            [({"endpoint": endpoint}, n) for endpoint, n in sorted(open_of.items())],
        ),
    ]


def _captures(ws: Workspace) -> list[Family]:
    from mainspring.workspace.views.endpoints import capture_use

    folders = sorted((ws.home / "captures").glob("*"))
    found = [({"endpoint": one.name}, capture_use(ws, one.name)) for one in folders]
    return [
        gauge(
            "mainspring_capture_bytes",
            "Bytes that captured traffic takes.",
            [(labels, one.bytes) for labels, one in found],
        ),
        gauge(
            "mainspring_capture_budget_bytes",
            "Bytes that it may take; the oldest goes first.",
            [(labels, one.budget_bytes) for labels, one in found],
        ),
        gauge(
            "mainspring_capture_dropped_rows",
            "Rows that went to stay within the budget.",
            [(labels, one.dropped_rows) for labels, one in found],
        ),
        gauge(
            "mainspring_capture_damaged_rows",
            "Rows whose bytes were not what was written, left out and set aside.",
            [(labels, one.damaged_rows) for labels, one in found],
        ),
    ]

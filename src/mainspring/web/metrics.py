"""Count requests, and tell Prometheus of them and of the loops."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable

from mainspring.workspace.opening import Workspace

#: Upper edges of the latency histogram, in seconds.
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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

    def lines(self) -> list[str]:
        """Return the counts as Prometheus reads them."""
        with self._lock:
            answers = dict(self._answers)
            counts = {route: list(slots) for route, slots in self._counts.items()}
            seconds = dict(self._seconds)
        out = _head("mainspring_http_requests_total", "counter", "Requests answered.")
        for (route, method, status), n in sorted(answers.items()):
            labels = {"route": route, "method": method, "status": str(status)}
            out.append(_line("mainspring_http_requests_total", labels, n))
        name = "mainspring_http_request_seconds"
        out += _head(name, "histogram", "Time to the last byte of the answer.")
        for route, slots in sorted(counts.items()):
            total = 0
            for edge, n in zip((*map(str, EDGES), "+Inf"), slots, strict=True):
                total += n
                out.append(_line(f"{name}_bucket", {"route": route, "le": edge}, total))
            out.append(_line(f"{name}_sum", {"route": route}, round(seconds[route], 6)))
            out.append(_line(f"{name}_count", {"route": route}, total))
        return out


def exposition(ws: Workspace, requests: Requests) -> str:
    """Return everything that Prometheus may know, as text."""
    from mainspring.workspace.views.house import engine_state
    from mainspring.workspace.views.loops import loop_statuses
    from mainspring.workspace.views.monitoring import alarm_list
    from mainspring.workspace.views.searching import run_page

    loops = loop_statuses(ws)
    alarms = alarm_list(ws, open_only=True, limit=1000)
    runs = run_page(ws, status="running", limit=1000).runs
    out = requests.lines()
    out += _gauge(
        "mainspring_engine_up",
        "1 while the engine gives signs of life.",
        [({}, float(engine_state(ws) == "up"))],
    )
    out += _gauge("mainspring_runs_running", "Runs that have not ended.", [({}, len(runs))])
    out += _gauge(
        "mainspring_loop_phase",
        "1 for the phase a loop is in.",
        [({"loop": one.name, "phase": one.phase}, 1) for one in loops],
    )
    out += _gauge(
        "mainspring_loop_champion",
        "Number of the version that serves.",
        [
            ({"loop": one.name, "model": one.model}, one.champion)
            for one in loops
            if one.champion is not None
        ],
    )
    out += _gauge(
        "mainspring_loop_retrainings",
        "Retrainings a loop has begun.",
        [({"loop": one.name}, one.retrainings) for one in loops],
    )
    open_of = {one.endpoint: 0 for one in loops}
    for alarm in alarms:
        open_of[alarm.endpoint] = open_of.get(alarm.endpoint, 0) + 1
    out += _gauge(
        "mainspring_alarms_open",
        "Alarms that have not ended.",
        [({"endpoint": endpoint}, n) for endpoint, n in sorted(open_of.items())],
    )
    out += _captures(ws)
    return "\n".join(out) + "\n"


def _captures(ws: Workspace) -> list[str]:
    from mainspring.workspace.views.endpoints import capture_use

    folders = sorted((ws.home / "captures").glob("*"))
    found = [({"endpoint": one.name}, capture_use(ws, one.name)) for one in folders]
    return [
        *_gauge(
            "mainspring_capture_bytes",
            "Bytes that captured traffic takes.",
            [(labels, one.bytes) for labels, one in found],
        ),
        *_gauge(
            "mainspring_capture_budget_bytes",
            "Bytes that it may take; the oldest goes first.",
            [(labels, one.budget_bytes) for labels, one in found],
        ),
        *_gauge(
            "mainspring_capture_dropped_rows",
            "Rows that went to stay within the budget.",
            [(labels, one.dropped_rows) for labels, one in found],
        ),
    ]


def _gauge(name: str, told: str, rows: Iterable[tuple[dict[str, str], float]]) -> list[str]:
    return [*_head(name, "gauge", told), *(_line(name, labels, value) for labels, value in rows)]


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value}" if inner else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

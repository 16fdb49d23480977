"""Count requests, rows, errors and latencies, and write them as Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from mainspring.ground.monitors import LATENCY_EDGES_S

EDGES = LATENCY_EDGES_S


class Latency:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.counts[bisect_left(EDGES, seconds)] += 1
        self.total_s += seconds

    def quantile_ms(self, share: float) -> float | None:
        """Return the latency that ``share`` of the requests did not exceed, within 30 %."""
        wanted = share * sum(self.counts)
        seen = 0
        for place, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return round(EDGES[min(place, len(EDGES) - 1)] * 1000, 3)
        return None


class VersionCounts:
    """What one version did since this process began."""

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0  #: answered
        self.scored = 0  #: answered or compared
        self.errors = 0
        self.latency = Latency()

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Return the form that ``/status`` shows."""
        return {
            "requests": self.requests,
            "rows": self.rows,
            "scored_rows": self.scored,
            "errors": self.errors,
            "p50_ms": self.latency.quantile_ms(0.5),
            "p95_ms": self.latency.quantile_ms(0.95),
            "p99_ms": self.latency.quantile_ms(0.99),
        }


class Counts:
    """What an endpoint did since this process began."""

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.answers: dict[int, int] = {}  #: requests by HTTP status
        self.versions: dict[int, VersionCounts] = {}
        self.latency = Latency()  #: of whole predictions, all versions
        self.broken: dict[tuple[str, str], int] = {}  #: values by column and check of a contract

    def of(self, version: int) -> VersionCounts:
        """Return the counts of one version."""
        found = self.versions.get(version)
        if found is None:
            found = self.versions[version] = VersionCounts()
        return found

    def broke(self, column: str, check: str, count: int) -> None:
        """Count values that break the contract of the model that was asked."""
        self.broken[column, check] = self.broken.get((column, check), 0) + count

    @property
    def errors(self) -> int:
        """Return how many requests were answered with 400 or more."""
        return sum(count for status, count in self.answers.items() if status >= 400)


def prometheus(endpoint: str, counts: Counts, gauges: Mapping[str, float]) -> str:
    """Return the counts in Prometheus's text format, version 0.0.4."""
    name = f'endpoint="{endpoint}"'
    lines: list[str] = []

    def family(metric: str, kind: str, samples: Iterable[tuple[str, float]]) -> None:
        lines.append(f"# TYPE mainspring_{metric} {kind}")
        lines.extend(f"mainspring_{metric}{{{labels}}} {value:g}" for labels, value in samples)

    answers = sorted(counts.answers.items())
    family("requests_total", "counter", [(f'{name},status="{s}"', n) for s, n in answers])
    versions = [(f'{name},version="{v}"', c) for v, c in sorted(counts.versions.items())]
    family("rows_total", "counter", [(labels, c.rows) for labels, c in versions])
    family("scored_rows_total", "counter", [(labels, c.scored) for labels, c in versions])
    family("errors_total", "counter", [(labels, c.errors) for labels, c in versions])
    if counts.broken:
        told = [
            (f'{name},column="{escaped(column)}",check="{check}"', n)
            for (column, check), n in sorted(counts.broken.items())
        ]
        family("contract_broken_values_total", "counter", told)
    for metric, value in gauges.items():
        kind = "counter" if metric.endswith("_total") else "gauge"
        family(metric, kind, [(name, value)])
    lines.append("# TYPE mainspring_latency_seconds histogram")
    for labels, version in versions:
        lines += _histogram("mainspring_latency_seconds", labels, version.latency)
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a text as it stands in the value of a label."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _histogram(metric: str, labels: str, latency: Latency) -> list[str]:
    lines, seen = [], 0
    for edge, count in zip(EDGES, latency.counts, strict=False):
        seen += count
        lines.append(f'{metric}_bucket{{{labels},le="{edge:.6g}"}} {seen}')
    whole = sum(latency.counts)
    lines.append(f'{metric}_bucket{{{labels},le="+Inf"}} {whole}')
    lines.append(f"{metric}_sum{{{labels}}} {latency.total_s:g}")
    lines.append(f"{metric}_count{{{labels}}} {whole}")
    return lines

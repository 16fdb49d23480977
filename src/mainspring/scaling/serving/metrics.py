"""Count requests, rows, errors and latencies, and write them as Prometheus reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mainspring.ground.exposition import Family, gauge, histogram, text_of
from mainspring.ground.monitors import LATENCY_EDGES_S

EDGES = LATENCY_EDGES_S
CHAMPION = "champion"


class Latency:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.counts[bisect_left(EDGES, seconds)] += 1
        self.total_s += seconds

    def join(self, other: Latency) -> None:
        """Count what another counted as well."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total_s += other.total_s

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
    """What one version did, as one variant of the endpoint, since this process began."""

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0  #: answered
        self.scored = 0  #: answered or compared
        self.errors = 0
        self.latency = Latency()

    def add(self, other: VersionCounts) -> None:
        """Count what another counted as well."""
        self.requests += other.requests
        self.rows += other.rows
        self.scored += other.scored
        self.errors += other.errors
        self.latency.join(other.latency)

    def as_dict(self) -> dict[str, Any]:
        """Return the form that ``/status`` shows."""
        return {
            "requests": self.requests,
            "rows": self.rows,
            "scored_rows": self.scored,
            "errors": self.errors,
            "p50_ms": self.latency.quantile_ms(0.5),
            "p95_ms": self.latency.quantile_ms(0.95),
            "p99_ms": self.latency.quantile_ms(0.99),
            "latency": self.latency.counts,
        }


class Of(NamedTuple):
    """Whose counts: a version, in the part it had in the traffic when they were made."""

    version: int
    variant: str  #: champion, challenger, shadow...


class Counts:
    """What an endpoint did since this process began."""

    def __init__(self) -> None:
        self.requests = 0
        self.in_flight = 0  #: requests that are being answered now
        self.rows = 0
        self.answers: dict[int, int] = {}  #: requests by HTTP status
        self.variants: dict[int, str] = {}  #: which part each served version has now
        self.by: dict[Of, VersionCounts] = {}
        self.latency = Latency()  #: of whole predictions, all versions
        self.broken: dict[tuple[str, str], int] = {}  #: values by column and check of a contract

    def of(self, version: int) -> VersionCounts:
        """Return the counts of one version in the part that it has now."""
        key = Of(version, self.variants.get(version, CHAMPION))
        found = self.by.get(key)
        if found is None:
            found = self.by[key] = VersionCounts()
        return found

    def versions(self) -> dict[int, VersionCounts]:
        """Return the counts of each version, whatever its parts were."""
        whole: dict[int, VersionCounts] = {}
        for key, one in sorted(self.by.items()):
            whole.setdefault(key.version, VersionCounts()).add(one)
        return whole

    def broke(self, column: str, check: str, count: int) -> None:
        """Count values that break the contract of the model that was asked."""
        self.broken[column, check] = self.broken.get((column, check), 0) + count

    @property
    def errors(self) -> int:
        """Return how many requests were answered with 400 or more."""
        return sum(count for status, count in self.answers.items() if status >= 400)


class Gauge(NamedTuple):
    """A figure of an endpoint process beside its counts."""

    told: str
    rows: Sequence[tuple[Mapping[str, str], float]]  #: labels beside the endpoint's, and value


def prometheus(
    endpoint: str, counts: Counts, gauges: Mapping[str, Gauge], more: Sequence[Family] = ()
) -> str:
    """Return the counts in Prometheus's text format, version 0.0.4."""
    name = {"endpoint": endpoint}

    def counter(metric: str, told: str, rows: Sequence[tuple[Mapping[str, str], float]]) -> Family:
        labelled = [({**name, **labels}, value) for labels, value in rows]
        kind = "counter" if metric.endswith("_total") else "gauge"
        return gauge(f"mainspring_{metric}", told, labelled, kind=kind)

    by = [
        ({"version": str(k.version), "variant": k.variant}, c)
        for k, c in sorted(counts.by.items())
    ]
    broken = sorted(counts.broken.items())
    families = [
        counter(
            "requests_total",
            "Requests answered, by HTTP status.",
            [({"status": str(s)}, n) for s, n in sorted(counts.answers.items())],
        ),
        counter("requests_in_flight", "Requests being answered now.", [({}, counts.in_flight)]),
        counter(
            "version_requests_total",
            "Requests of which a version answered at least one row.",
            [(labels, c.requests) for labels, c in by],
        ),
        counter("rows_total", "Rows answered.", [(labels, c.rows) for labels, c in by]),
        counter(
            "scored_rows_total",
            "Rows scored, also those that another version answered.",
            [(labels, c.scored) for labels, c in by],
        ),
        counter("errors_total", "Scorings that failed.", [(labels, c.errors) for labels, c in by]),
        counter(
            "contract_broken_values_total",
            "Values that break the contract of the model.",
            [({"column": column, "check": check}, n) for (column, check), n in broken],
        ),
        *(counter(metric, one.told, one.rows) for metric, one in gauges.items()),
        histogram(
            "mainspring_latency_seconds",
            "Time a version took to score the rows of a request.",
            [({**name, **labels}, c.latency.counts, c.latency.total_s) for labels, c in by],
            EDGES,
        ),
        histogram(
            "mainspring_prediction_seconds",
            "Time of a whole prediction: check, wait, scoring, capture.",
            [(name, counts.latency.counts, counts.latency.total_s)],
            EDGES,
        ),
        *more,
    ]
    return text_of(families)

"""Tell Prometheus what an endpoint process counts, and how its queue, batches and captures are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mainspring.ground.exposition import Family, histogram
from mainspring.scaling.serving.metrics import EDGES, Gauge, prometheus
from mainspring.scaling.serving.scorers.telling import processes

if TYPE_CHECKING:
    from mainspring.scaling.serving.app import EndpointApp

#: Upper edges of the histogram of requests a batch: batches are counted by the power of two.
SIZES = tuple(2**power - 1 for power in range(1, 13))


def exposition(app: EndpointApp) -> str:
    """Return the text that ``/metrics`` of an endpoint process answers."""
    gauges = {**_generation(app), **_queue(app), **_captures(app)}
    return prometheus(app.name, app.counts, gauges, _batches(app))


def _one(told: str, value: float) -> Gauge:
    return Gauge(told, [({}, value)])


def _by(told: str, label: str, values: Mapping[str, float]) -> Gauge:
    return Gauge(told, [({label: name}, value) for name, value in values.items()])


def _generation(app: EndpointApp) -> dict[str, Gauge]:
    now = app.generations.current
    parts = now.parts()
    shares = dict.fromkeys(parts, 0.0)
    if now.champion is not None:
        shares[now.champion.number] = 1.0 - now.share
    if now.challenger is not None:
        shares[now.challenger.number] = now.share
    shares |= now.weights()
    rows = [({"version": str(v), "variant": part}, shares[v]) for v, part in parts.items()]
    return {
        "ready": _one("1 while there is a version to answer with.", app.ready),
        "variant_share": Gauge("Share of the rows that a version answers.", rows),
        **processes(iter(now.loaded)),
    }


def _queue(app: EndpointApp) -> dict[str, Gauge]:
    queue = app.predictor.batcher
    return {
        "queue_running": _one("Requests scored in threads.", queue.running),
        "queue_waiting": _one("Requests that wait for a thread.", queue.waiting),
        "queue_refused_total": _by(
            "Requests sent away at once, by why.",
            "reason",
            {**queue.refusals, "client": app.predictor.clients.refused},
        ),
        "queue_cancelled_total": _one("Requests whose client left meanwhile.", queue.cancelled),
        "queue_late_total": _one("Requests given up while they were scored.", queue.late),
        "queue_hung_threads": _one("Threads in which a batch was given up.", queue.hung),
        "batches_closed_total": _by(
            "Batches scored in threads, by why they were not larger.", "reason", queue.closed
        ),
        "batch_lone_total": _one("Requests scored alone at once.", queue.lone),
    }


def _batches(app: EndpointApp) -> list[Family]:
    queue, labels = app.predictor.batcher, {"endpoint": app.name}
    sizes = [queue.sizes.get(2**power, 0) for power in range(len(SIZES))]
    beyond = sum(n for size, n in queue.sizes.items() if size > SIZES[-1])
    return [
        histogram(
            "mainspring_batch_requests",
            "Requests scored as one call.",
            [(labels, [*sizes, beyond], queue.batched)],
            SIZES,
        ),
        histogram(
            "mainspring_queue_wait_seconds",
            "Time a request waited for a thread.",
            [(labels, queue.waits_s.counts, queue.waits_s.total_s)],
            EDGES,
        ),
    ]


def _captures(app: EndpointApp) -> dict[str, Gauge]:
    capture = app.predictor.captures.status()
    return {
        "capture_written_rows_total": _one("Rows recorded.", capture["written_rows"]),
        "capture_dropped_rows_total": _one("Rows not recorded.", capture["dropped_rows"]),
        "capture_sampled_out_rows_total": _one(
            "Rows not drawn, where a share is recorded.", capture["sampled_out_rows"]
        ),
        "capture_queued_rows": _one("Rows that wait to be recorded.", capture["queued_rows"]),
        "capture_queued_bytes": _one("Memory that waiting rows take.", capture["queued_bytes"]),
        "capture_in_trouble": _one("1 while rows are lost or wait.", bool(capture["trouble"])),
    }

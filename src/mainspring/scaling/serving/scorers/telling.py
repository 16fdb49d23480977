"""Tell Prometheus of versions that are scored in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mainspring.scaling.models.scorer import Accounted
from mainspring.scaling.serving.metrics import Gauge
from mainspring.scaling.serving.router import Variant

_Of = Callable[[dict[str, Any]], float]
_TOLD: dict[str, tuple[str, _Of]] = {
    "scorer_processes": ("Processes that score a version now.", lambda a: len(a["pids"])),
    "scorer_busy": ("Processes that are scoring.", lambda a: a["busy"]),
    "scorer_restarts_total": ("Processes started in place of another.", lambda a: a["restarts"]),
    "scorer_breaker_opened_total": ("Times the breaker opened.", lambda a: a["opened"]),
    "scorer_down": ("1 while a version cannot be asked.", lambda a: a["state"] != "up"),
    "scorer_memory_bytes": ("Memory the processes hold.", lambda a: a["memory_mb"] * 2**20),
}


def processes(variants: Iterable[Variant]) -> dict[str, Gauge]:
    """Return the figures of those variants that have processes of their own."""
    told = [
        ({"version": str(variant.number)}, variant.served.account())
        for variant in variants
        if isinstance(variant.served, Accounted)
    ]
    if not told:
        return {}
    return {
        name: Gauge(words, [(labels, float(of(account))) for labels, account in told])
        for name, (words, of) in _TOLD.items()
    }

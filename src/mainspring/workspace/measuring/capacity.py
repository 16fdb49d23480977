"""Find how much one worker of a version can answer, and how many workers a rate needs.

1. A closed load with ever more connections, until more of them bring no more answers: the knee.
2. An open load at shares of that rate: the highest whose 99th percentile is still well.
3. One connection that sends ever more rows at once: how many a batch may have.

The version answers in a process of its own on this machine, and the asking takes CPU as well:
on a busy machine the rate is less than it could be, and the CPU time of a request says more.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.limits import CapacityAsked
from mainspring.readiness.measured import BatchStep, CapacityMeasured, LoadStep
from mainspring.workspace.measuring.hammer import Answers, Hammer, request
from mainspring.workspace.measuring.load_test import Alone, alone

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARES = (0.5, 0.7, 0.85, 0.95)
BATCHES = (1, 16, 128, 1024)
ROUNDS = 2
#: More connections that bring less than this more are past the knee.
GROWS = 1.05
#: Without a latency that is wanted, an endpoint is planned to be so busy at most.
CALM = 0.7
#: A batch takes at most this share of the latency that is wanted: others wait for it.
BATCH_SHARE = 0.5
USUAL_P99_MS = 50.0
_ROWS = 64
_WARM_S = 0.3


def measure(
    package: str, objects: str, example: pl.DataFrame, asked: CapacityAsked
) -> CapacityMeasured:
    """Return what one worker of a packaged version can do."""
    rows = list(example.head(_ROWS).iter_rows(named=True))
    if not rows:
        return CapacityMeasured(why="the package keeps no rows to ask about")
    with (
        tempfile.TemporaryDirectory(prefix="mainspring-capacity-") as folder,
        alone(package, objects, folder) as served,
    ):
        if isinstance(served, str):
            return CapacityMeasured(why=served)
        found = _Trial(served, rows, asked).all()
        return msgspec.structs.replace(found, memory_mb=served.memory(), form=served.form)


class _Trial:
    """The steps against one process."""

    def __init__(self, served: Alone, rows: list[dict[str, Any]], asked: CapacityAsked) -> None:
        self._served, self._rows, self._asked = served, rows, asked
        self._one = [self._request(rows[n : n + 1]) for n in range(len(rows))]

    def all(self) -> CapacityMeasured:
        first = Hammer(self._served.port, self._one).closed(1, _WARM_S)
        if not first.good_ms:
            return CapacityMeasured(why=f"no request was answered: {first.told or 'in time'}")
        closed = self._closed()
        peak = max(closed, key=lambda one: one.rps)
        knee = next(one for one in closed if one.rps * GROWS >= peak.rps)
        opened = [self._open(share * peak.rps, knee.connections) for share in SHARES]
        return advised(closed, opened, self._batches(), self._asked)

    def _request(self, rows: Sequence[dict[str, Any]]) -> bytes:
        body = msgspec.json.encode({"dataframe_records": rows})
        return request("/invocations", body, self._served.secret)

    def _closed(self) -> list[LoadStep]:
        steps: list[LoadStep] = []
        for connections in CONNECTIONS:
            if connections > self._asked.connections:
                break
            steps.append(
                self._step(
                    partial(self._closed_once, connections),
                    connections,
                    None,
                )
            )
            best = max(one.rps for one in steps[:-2]) if len(steps) > 2 else 0.0
            if best and all(one.rps < GROWS * best for one in steps[-2:]):
                break
        return steps

    def _open(self, rate: float, connections: int) -> LoadStep:
        lines = min(max(8 * connections, 32), 512)
        return self._step(
            lambda: self._hammer().open(rate, lines, self._asked.step_s), lines, rate
        )

    def _closed_once(self, connections: int) -> Answers:
        return self._hammer().closed(connections, self._asked.step_s)

    def _batches(self) -> list[BatchStep]:
        found = []
        for rows in BATCHES:
            many = (self._rows * math.ceil(rows / len(self._rows)))[:rows]
            told = Hammer(self._served.port, [self._request(many)]).closed(
                1, self._asked.step_s / 2
            )
            if not told.good_ms:
                break
            ms = float(np.median(told.good_ms))
            found.append(BatchStep(rows=rows, ms=ms, rows_per_s=1000 * rows / ms))
        return found

    def _hammer(self) -> Hammer:
        return Hammer(self._served.port, self._one)

    def _step(self, ask: Callable[[], Answers], connections: int, rate: float | None) -> LoadStep:
        """Return the calmest of some rounds: a busy machine only ever adds."""
        rounds = [self._round(ask, connections, rate) for _ in range(ROUNDS)]
        return min(rounds, key=lambda one: (one.errors, one.p99_ms))

    def _round(self, ask: Callable[[], Answers], connections: int, rate: float | None) -> LoadStep:
        before = _cpu_s(self._served.pid)
        found = ask()
        after = _cpu_s(self._served.pid)
        times = np.array(found.good_ms or [0.0])
        p50, p95, p99 = np.quantile(times, [0.5, 0.95, 0.99], method="inverted_cdf").tolist()
        answered = len(found.good_ms)
        cpu_us = None
        if before is not None and after is not None and answered:
            cpu_us = 1e6 * (after - before) / answered
        return LoadStep(
            connections=connections,
            rate=rate,
            requests=answered + found.refused + found.errors,
            refused=found.refused,
            errors=found.errors,
            rps=answered / found.seconds,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            cpu_us=cpu_us,
        )


def advised(
    closed: Sequence[LoadStep],
    opened: Sequence[LoadStep],
    batches: Sequence[BatchStep],
    asked: CapacityAsked,
) -> CapacityMeasured:
    """Return what the steps say: the knee, what one worker bears, and what to set."""
    peak = max(closed, key=lambda one: one.rps)
    knee = next(one for one in closed if one.rps * GROWS >= peak.rps)
    bears = _bears(peak, opened, asked.p99_ms)
    within = BATCH_SHARE * (asked.p99_ms or USUAL_P99_MS)
    rows = [one.rows for one in batches if one.ms <= within]
    cpu = [one.cpu_us for one in closed if one.cpu_us is not None]
    workers = None
    if asked.rate is not None and bears:
        workers = math.ceil(asked.rate / bears)
    return CapacityMeasured(
        closed=list(closed),
        opened=list(opened),
        batches=list(batches),
        knee_connections=knee.connections,
        peak_rps=peak.rps,
        saturated_p99_ms=peak.p99_ms,
        cpu_us=min(cpu) if cpu else None,
        bears_rps=bears,
        workers=workers,
        in_flight=float(knee.connections),
        batch_rows=max(rows, default=1),
        errors=sum(one.errors for one in (*closed, *opened)),
    )


def _bears(peak: LoadStep, opened: Sequence[LoadStep], p99_ms: float | None) -> float:
    """Return the rate that one worker should have at most."""
    if p99_ms is None:
        return CALM * peak.rps
    well = [
        one.rate or 0.0
        for one in opened
        if one.p99_ms <= p99_ms and not one.errors and not one.refused and one.rps > 0
    ]
    return max(well, default=0.0)


def _cpu_s(pid: int) -> float | None:
    """Return the CPU time of a process in seconds; None where the system does not tell."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

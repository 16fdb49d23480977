"""Replay a year of flights as real HTTP requests, on a clock turned by the flights themselves.

The event time of a row is its scheduled departure. Labels are sent when the flight would have
arrived, and every tenth of them up to five days later, by prediction id. The replay never runs
more than a day ahead of what the loop has dealt with, so there is always traffic while a
version is switched, and the loop lives through the year in minutes.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DATA = Path(__file__).parent / "data" / "flights.parquet"
DAY_S = 86_400
ROWS_A_CALL = 200
#: Every n-th label is late by up to this many days.
LATE_EVERY, LATE_DAYS = 10, 5
AHEAD_S = 1 * DAY_S
#: A connection that was idle for longer may have been closed by the server.
IDLE_S = 2.0


def flights() -> pl.DataFrame:
    """Return the year's flights by scheduled departure, with when each label becomes known."""
    zone = "America/New_York"
    rows = (
        pl.read_parquet(DATA)
        .with_columns(
            scheduled_at=pl.col("hour_at").cast(pl.Int64)
            + pl.col("sched_dep").cast(pl.Int64) % 100 * 60
        )
        .with_columns(
            weekday=pl.from_epoch("scheduled_at")
            .dt.replace_time_zone("UTC")
            .dt.convert_time_zone(zone)
            .dt.weekday()
            .cast(pl.Int64),
            label_at=pl.col("scheduled_at")
            + (pl.col("duration_min").cast(pl.Int64) + pl.col("arr_delay_min")) * 60,
        )
        .sort("scheduled_at", maintain_order=True)
        .with_row_index("n")
    )
    late_by = (pl.col("n").cast(pl.Int64) * 7919) % (LATE_DAYS * DAY_S)
    return rows.with_columns(
        pl.when(pl.col("n") % LATE_EVERY == 0)
        .then(pl.col("label_at") + late_by)
        .otherwise(pl.col("label_at"))
        .alias("label_at")
    ).drop("n", "hour_at", "arr_delay_min")


@dataclass
class Sent:
    """What was sent and what came back, counted by the replay itself."""

    calls: int = 0
    rows: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    labels: int = 0
    now: float = 0.0  #: event time of the newest row sent
    scores: list[np.ndarray[Any, np.dtype[np.float64]]] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)


class Wire:
    """One kept-open HTTP connection; after a pause a new one, as servers close idle ones."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self._host, self._port = host, int(port)
        self._open: http.client.HTTPConnection | None = None
        self._used = 0.0

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send JSON and return status and answer."""
        return self._ask("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and answer."""
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        if self._open is not None and time.monotonic() - self._used > IDLE_S:
            self._open.close()
            self._open = None
        if self._open is None:
            self._open = http.client.HTTPConnection(self._host, self._port, timeout=60)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self._open.request(method, path, body, headers)
            answer = self._open.getresponse()
            text = answer.read()
        except OSError:
            self._open.close()
            self._open = None
            raise
        self._used = time.monotonic()
        is_json = "json" in answer.getheader("Content-Type", "")
        return answer.status, json.loads(text) if is_json and text else {}


class Replay:
    """Sends rows and labels day by day, paced by the loop."""

    def __init__(
        self,
        rows: pl.DataFrame,
        inputs: list[str],
        server: str,
        endpoint: str,
        on_day: Callable[[Sent], None] | None = None,
    ) -> None:
        self._rows = rows
        self._inputs = [*inputs, "scheduled_at"]
        self._server = Wire(server)
        self._pace = Wire(server)
        self._endpoint = endpoint
        self._on_day = on_day
        self._stop = threading.Event()
        self.sent = Sent()
        self._pending: list[tuple[np.ndarray[Any, Any], list[str], list[int]]] = []

    def run(self, predict_url: str) -> Sent:
        """Send every row and label; return what was counted."""
        wire = Wire(predict_url)
        days = (pl.col("scheduled_at") // DAY_S).alias("day")
        for (_,), day in self._rows.with_columns(days).group_by("day", maintain_order=True):
            if self._stop.is_set():
                break
            for start in range(0, day.height, ROWS_A_CALL):
                self._predict(wire, day.slice(start, ROWS_A_CALL))
            self.sent.now = float(day["scheduled_at"][-1])
            self._label(self.sent.now)
            self._wait_until(self.sent.now - AHEAD_S)
            if self._on_day is not None:
                self._on_day(self.sent)
        self._label(float("inf"))
        self._wait_until(self.sent.now - AHEAD_S)
        return self.sent

    def stop(self) -> None:
        """End the replay after the day it is in."""
        self._stop.set()

    def _predict(self, wire: Wire, rows: pl.DataFrame) -> None:
        asked = rows.select(self._inputs)
        body = {"dataframe_split": {"columns": asked.columns, "data": asked.rows()}}
        self.sent.calls += 1
        self.sent.rows += rows.height
        try:
            status, answer = wire.post("/invocations", body)
        except OSError as error:
            status, answer = 0, {"message": str(error)}
        if status != 200:
            self.sent.failed += 1
            self.sent.failures.append(f"{status}: {answer}")
            return
        self.sent.scores.append(np.asarray(answer["scores"], dtype=np.float64).reshape(-1))
        told = answer["model_version"]
        for version in told if isinstance(told, list) else [told] * rows.height:
            self.sent.versions[version] = self.sent.versions.get(version, 0) + 1
        self._pending.append(
            (rows["label_at"].to_numpy(), answer["prediction_ids"], rows["late"].to_list())
        )

    def _label(self, until: float) -> None:
        """Send the labels that are known by ``until``, the others wait."""
        ids: list[str] = []
        values: list[int] = []
        waiting = []
        for known_at, names, truth in self._pending:
            known = known_at <= until
            ids += [n for n, k in zip(names, known, strict=True) if k]
            values += [v for v, k in zip(truth, known, strict=True) if k]
            if not known.all():
                rest = ~known
                waiting.append(
                    (
                        known_at[rest],
                        [n for n, r in zip(names, rest, strict=True) if r],
                        [v for v, r in zip(truth, rest, strict=True) if r],
                    )
                )
        self._pending = waiting
        path = f"/api/v1/endpoints/{self._endpoint}/labels"
        for start in range(0, len(ids), 20_000):
            part = slice(start, start + 20_000)
            status, answer = self._server.post(path, {"ids": ids[part], "values": values[part]})
            if status != 200:
                raise RuntimeError(f"labels were refused: {status} {answer}")
            self.sent.labels += len(ids[part])

    def _wait_until(self, event_time: float) -> None:
        """Wait until the loop has dealt with everything up to an event time."""
        while not self._stop.is_set():
            status, marks = self._pace.get(f"/api/v1/loops/{self._endpoint}/settled")
            if status == 200 and (marks.get("watermark") or 0.0) >= event_time:
                return
            time.sleep(0.02)

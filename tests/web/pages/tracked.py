"""A home with tracked runs: sweeps, a tuning with its trials, files of every kind, one crashed."""

from __future__ import annotations

import io
import json
import math
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from mainspring.experiments import artifacts, groups, metrics, runs
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace

NOW = 1_700_000_000.0


def picture(width: int = 24, height: int = 16) -> bytes:
    """A real PNG."""
    rows = b"".join(b"\0" + bytes([40, 90, 200] * width) for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def parquet() -> bytes:
    held = io.BytesIO()
    frame = pl.DataFrame({"id": list(range(500)), "word": ["<b>late</b>"] * 500})
    frame.write_parquet(held)
    return held.getvalue()


FILES: dict[str, bytes] = {
    "plots/roc.png": picture(),
    "plots/shape.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
    "confusion.csv": b"truth,predicted,rows\nlate,late,1204\nlate,on time,311\n",
    "predictions.parquet": parquet(),
    "table.json": json.dumps({"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}).encode(),
    "report.json": b'{"auc":0.91,"of":{"late":[1,2]}}',
    "notes.txt": b"one\ntwo <b>three</b>\n",
    "report.html": b"<!doctype html><script>document.title='owned'</script>",
    "model/weights.bin": bytes(range(256)) * 8,
    "mainspring/changes.patch": b"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-old\n+new\n",
}


def furnish(ws: Workspace, files: Mapping[str, bytes] = FILES) -> None:
    """Write it all."""
    kept = {path: (ws.objects.put(data), len(data)) for path, data in files.items()}

    def work(tx: Tx) -> None:
        _tell(tx)
        for path, (digest, size) in kept.items():
            artifacts.put(tx, "run_files", path, digest, size, NOW)

    ws.store.write(service("engine"), Permission.WORK, work)


def _tell(tx: Tx) -> None:
    draw = random.Random(5)
    for number in range(60):
        rate = (0.003, 0.01, 0.1, 0.3)[number % 4]
        params = {"rate": str(rate), "depth": str(3 + number % 5), "kind": "forest", "seed": "7"}
        group = {"mainspring.group": f"sweep {number % 2}", "mainspring.user": "maria"}
        a_run(tx, f"run_s{number:02d}", "flights", NOW - 9000 + number * 60, params, group, draw)
    a_run(tx, "run_tune", "flights", NOW - 3000, {"sampler": "tpe"}, {}, draw, name="tuning")
    for number in range(3):
        params = {"rate": str(10 ** -(number + 1)), "depth": "4"}
        at = NOW - 2900 + number
        a_run(tx, f"run_t{number}", "flights", at, params, {}, draw, parent="run_tune")
    a_run(tx, "run_files", "flights", NOW - 500, {"rate": "0.1"}, ORIGIN, draw, name="with files")
    a_run(tx, "run_crashed", "flights", NOW - 400, {}, {}, draw, status=RunStatus.CRASHED)
    a_run(tx, "run_gone", "flights", NOW - 300, {}, {}, draw)
    runs.hide(tx, "run_gone", NOW - 100)
    a_run(tx, "run_live", "churn", NOW - 60, {"C": "1"}, {}, draw, status=RunStatus.RUNNING)
    groups.create(tx, "Not yet begun", {}, NOW)


ORIGIN = {
    "mainspring.source": "python train.py --rate 0.1",
    "mainspring.user": "maria",
    "mainspring.git.commit": "8c0d0bd4f1",
    "stage": "final",
}


def a_run(
    tx: Tx,
    key: str,
    experiment: str,
    at: float,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    draw: random.Random,
    *,
    name: str = "",
    parent: str | None = None,
    status: RunStatus = RunStatus.FINISHED,
    keys: Sequence[str] = ("auc", "loss", "system/cpu_percent"),
) -> None:
    """Write a run with curves of twenty points."""
    run = Run(
        id=key,
        experiment=experiment,
        name=name or key.removeprefix("run_"),
        status=RunStatus.RUNNING,
        started=at,
        parent=parent,
        params=dict(params),
        tags=dict(tags),
    )
    runs.create(tx, run)
    top = 0.8 + draw.uniform(0, 0.15)
    shapes: dict[str, Callable[[int], float]] = {
        "auc": lambda step: top - 0.3 * math.exp(-step / 4),
        "loss": lambda step: 0.7 - 0.5 * top * (1 - math.exp(-step / 4)),
        "system/cpu_percent": lambda step: 50.0 + step,
    }
    points = [
        metrics.Point(key=one, value=shapes[one](step), step=step, time=at + step)
        for step in range(20)
        for one in keys
    ]
    runs.log_points(tx, key, points)
    if status is not RunStatus.RUNNING:
        runs.end(tx, key, status, at=at + 21.5)

"""trackio, local: a thread writes to SQLite."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

os.environ.setdefault("TRACKIO_DIR", str(Path(os.environ["BENCH_FOLDER"]) / "trackio"))
os.environ["TRACKIO_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "1"

import trackio

VERSION = trackio.__version__


class Run:
    """A run of trackio's."""

    def __init__(self, name: str) -> None:
        self.id = name
        trackio.init(project="bench", name=name, auto_log_gpu=False, auto_log_cpu=False)

    def log(self, values: dict[str, float], step: int) -> None:
        trackio.log(values, step=step)

    def params(self, values: dict[str, Any]) -> None:
        trackio.config.update(values)

    def end(self) -> None:
        trackio.finish()


def start(folder: Path, name: str) -> Run:
    return Run(name)


def history(folder: Path, run: str, key: str) -> list[Any]:
    return [entry[key] for entry in trackio.SQLiteStorage.get_logs("bench", run) if key in entry]


def put(run: Run, path: Path) -> None:
    trackio.log_artifact(path, name="large", type="file").wait()


def get(folder: Path, run: str, name: str) -> str:
    trackio.init(project="bench", name="reader", auto_log_gpu=False, auto_log_cpu=False)
    found = trackio.use_artifact("large:latest", type="file").download(str(folder / "back"))
    trackio.finish()
    return str(Path(found) / name)


def settle(folder: Path) -> None:
    """Fold the write-ahead log: what is read next is all there is."""
    for file in Path(os.environ["TRACKIO_DIR"]).glob("*.db"):
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint")

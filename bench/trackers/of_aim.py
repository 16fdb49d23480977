"""Aim, in process: RocksDB and SQLite in a folder. Read back it is not: 3.29 found no sequence."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from aim import Run as AimRun

VERSION = importlib.metadata.version("aim")


class Run:
    """A run of aim's."""

    def __init__(self, folder: Path, name: str) -> None:
        self.run = AimRun(
            repo=str(folder),
            experiment="bench",
            log_system_params=False,
            system_tracking_interval=None,
            capture_terminal_logs=False,
        )
        self.run.name = name
        self.id = self.run.hash

    def log(self, values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            self.run.track(value, name=key, step=step)

    def params(self, values: dict[str, Any]) -> None:
        self.run["hparams"] = values

    def end(self) -> None:
        self.run.close()


def start(folder: Path, name: str) -> Run:
    return Run(folder, name)

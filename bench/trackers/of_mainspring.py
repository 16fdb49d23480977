"""Mainspring: in a home, or on a server (``MAINSPRING_URL``)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("MAINSPRING_HOME", str(Path(os.environ["BENCH_FOLDER"]) / "home"))

import mainspring as ms  # noqa: E402  its settings are those of the environment

VERSION = ms.__version__
_URL = os.environ.get("MAINSPRING_URL")


class Run:
    """A run of ours."""

    def __init__(self, name: str) -> None:
        self.run = ms.run("bench", name=name, capture=False)
        self.id = self.run.id
        self.end = self.run.end

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def params(self, values: dict[str, Any]) -> None:
        self.run.log_params(values)


def start(folder: Path, name: str) -> Run:
    return Run(name)


def settle(folder: Path) -> None:
    """Fold what the journal holds into the store, or wait until the server has."""
    from mainspring.workspace.tracking import settle as wait

    wait()


def history(folder: Path, run: str, key: str) -> list[Any]:
    from mainspring.experiments import metrics
    from mainspring.ground.permissions import Permission
    from mainspring.workspace.tracking.catching_up import catch_up

    with _home() as ws:
        catch_up(ws)
        return metrics.history(ws.read, run, key)  # type: ignore[arg-type]

"""Mainspring: in a home, or on a server (``MAINSPRING_URL``)."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("MAINSPRING_HOME", str(Path(os.environ["BENCH_FOLDER"]) / "home"))

import mainspring as ms

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
    _home()  # laid out before anything is timed, as the others do when a run begins
    return Run(name)


@functools.cache
def _home() -> Any:
    return ms.open()


def settle(folder: Path) -> None:
    """Fold what the journal holds into the store; a server has done so when the run ended."""
    from mainspring.workspace.tracking.catching_up import catch_up

    if _URL is None:
        catch_up(_home())


def history(folder: Path, run: str, key: str) -> Any:
    """Return every value: from the store, or as JSON from the server."""
    from mainspring.experiments import metrics
    from mainspring.ground.permissions import Permission

    if _URL is None:
        settle(folder)
        return _home().read(Permission.READ, lambda tx: metrics.history(tx, run, key)[0])
    import httpx

    with httpx.Client(base_url=_URL, trust_env=False) as client:
        answer = client.get(f"/api/v1/runs/{run}/metrics", params={"key": key})
        return answer.raise_for_status().json()["points"]


def put(run: Run, path: Path) -> None:
    run.run.log_artifact(path)


def get(folder: Path, run: str, name: str) -> str:
    from mainspring.experiments import artifacts
    from mainspring.ground.permissions import Permission

    target = folder / "back.bin"
    settle(folder)
    kept = _home().read(Permission.READ, lambda tx: artifacts.get(tx, run, name))
    _home().objects.fetch(kept.digest, target)
    return str(target)

"""Mainspring: in a home, or on a server (``MAINSPRING_URL``)."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
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
    if _URL is None:
        _home()  # laid out before anything is timed, as the others do when a run begins
    return Run(name)


@functools.cache
def _home() -> Any:
    return ms.open()


def settle(folder: Path) -> None:
    """Fold what the journal holds into the store, or see that the server has all of it."""
    if _URL is None:
        from mainspring.workspace.tracking.catching_up import catch_up

        catch_up(_home())
    else:
        command = [sys.executable, "-m", "mainspring", "sync", "--json"]
        subprocess.run(command, check=True, capture_output=True)


@functools.cache
def _settled_once(folder: Path) -> None:
    """See to what a process that was killed has left."""
    settle(folder)


def history(folder: Path, run: str, key: str) -> Any:
    """Return every value: from the store, or as JSON from the server."""
    from mainspring.experiments import metrics
    from mainspring.ground.permissions import Permission

    _settled_once(folder)
    if _URL is None:
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
    if _URL is not None:
        import httpx

        with (
            httpx.Client(base_url=_URL, trust_env=False, timeout=120) as client,
            client.stream("GET", f"/runs/{run}/files/{name}") as answer,
            target.open("wb") as file,
        ):
            for part in answer.raise_for_status().iter_bytes(1 << 20):
                file.write(part)
        return str(target)
    kept = _home().read(Permission.READ, lambda tx: artifacts.get(tx, run, name))
    _home().objects.fetch(kept.digest, target)
    return str(target)

"""Stores that MLflow itself wrote, and homes to bring them into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground.clock import SystemClock
from mainspring.ground.settings import Settings
from mainspring.web.app import build_app
from mainspring.workspace.importing.bringing import bring, open_source
from mainspring.workspace.opening import Workspace, open_workspace
from serving_in_a_thread import served


class Written:
    """A store, and the ids of what is in it."""

    def __init__(self, uri: str, ids: dict[str, str]) -> None:
        self.uri = uri
        self.ids = ids


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """One store of each kind, written by the MLflow that is installed here."""
    folder = tmp_path_factory.mktemp("stores")
    script = Path(__file__).parent / "logging_with_mlflow.py"
    environment = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "DO_NOT_TRACK": "true"}
    found = {}
    for name, uri in (
        ("folder", (folder / "mlruns").as_uri()),
        ("database", f"sqlite:///{folder}/mlflow.db"),
    ):
        artifacts = (folder / f"files of {name}").as_uri()
        said = subprocess.run(
            [sys.executable, str(script), uri, artifacts],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        found[name] = Written(uri, json.loads(said.stdout.splitlines()[-1]))
    return found


@pytest.fixture
def new_home(
    tmp_path: Path, new_database: Callable[..., str]
) -> Iterator[Callable[..., Workspace]]:
    """Open empty homes, each of its own."""
    opened: list[Workspace] = []

    def make(kind: str = "sqlite") -> Workspace:
        root = tmp_path / f"home{len(opened)}"
        database = new_database(laid_out=True) if kind == "postgresql" else None
        settings = Settings(root=str(root), home=str(root / "home"), database=database)
        opened.append(open_workspace(settings, clock=SystemClock()))
        return opened[-1]

    yield make
    for ws in opened:
        ws.close()


@pytest.fixture
def import_from() -> Callable[..., Any]:
    """Bring a store into a home and return the report."""

    def work(ws: Workspace, uri: str, **more: Any) -> Any:
        opened = open_source(uri, ws.home / "run", more.pop("artifacts", None))
        try:
            return bring(ws, opened, **more)
        finally:
            opened.store.close()

    return work


@pytest.fixture
def serving() -> Callable[[Workspace], AbstractContextManager[str]]:
    """Return what serves a home on loopback."""
    return lambda ws: served(build_app(ws))

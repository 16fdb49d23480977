"""A stranger's home: their own table, the installed command, and real processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import polars as pl
import pytest

from mainspring.cli.start import main
from mainspring.workspace.views import endpoint_http
from waiting import alive, until

ROWS = 240


class Stranger:
    """Somebody with a folder and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
        self.url = ""

    @property
    def home(self) -> Path:
        return self.folder / ".mainspring"

    def say(self, *words: str, code: int = 0, **environ: str) -> str:
        """Run ``mainspring ...`` in the folder and return what it said, errors too if it fails."""
        out, err = io.StringIO(), io.StringIO()
        with (
            chdir(self.folder),
            patch.dict(os.environ, self.environ | environ, clear=True),
            patch("sys.stdin", io.StringIO()),  # no terminal is attached
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            found = main(words)
        assert found == code, f"{found}: {out.getvalue()}{err.getvalue()}"
        return out.getvalue() if code == 0 else out.getvalue() + err.getvalue()

    def spawn(self, *words: str) -> Any:
        """Run a command in a process of its own and return its one document."""
        said = subprocess.run(
            [sys.executable, "-m", "mainspring", *words, "--json"],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert said.returncode == 0, said.stdout + said.stderr
        return json.loads(said.stdout)

    def ask(self, *words: str, code: int = 0, **environ: str) -> Any:
        """Run a command with ``--json`` and return its one document."""
        return json.loads(self.say(*words, "--json", code=code, **environ))

    def endpoint(self, name: str) -> dict[str, Any]:
        """Return what an endpoint's process wrote of itself, once it is there."""
        file = self.home / "run" / "endpoints" / f"{name}.json"
        until(file.exists)
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def pids(self) -> dict[str, int]:
        """Return every process that the home runs, the supervisor too."""
        state = json.loads((self.home / "run" / "supervisor.json").read_text())
        return {p["name"]: p["pid"] for p in state["processes"]} | {"supervisor": state["pid"]}


def customers(rows: int = ROWS) -> pl.DataFrame:
    """Return rows as people have them: text, true and false, gaps, dates, an id."""
    random = np.random.default_rng(5)
    x = random.normal(size=rows)
    region = random.choice(["north", "south", "é-west"], rows)
    left = np.where(x + (region == "north") + random.normal(size=rows) * 0.4 > 0.4, "yes", "no")
    return pl.DataFrame(
        {
            "id": [f"customer-{n}" for n in range(rows)],
            "usage": [None if n % 11 == 0 else float(v) for n, v in enumerate(x)],
            "region": [None if n % 13 == 0 else str(v) for n, v in enumerate(region)],
            "active": (random.random(rows) < 0.5).tolist(),
            "signup": pl.Series(19_000 + np.arange(rows) // 3).cast(pl.Int32).cast(pl.Date),
            "left": left.tolist(),
        }
    )


def begin(folder: Path) -> Stranger:
    """Return a stranger whose project is written, and trains quickly."""
    stranger = Stranger(folder)
    customers().write_csv(folder / "customers.csv")
    stranger.say("init", "customers.csv", "--target", "left", "--time", "signup")
    project = folder / "project.py"
    text = project.read_text().replace("trees: int = 100", "trees: int = 10")
    # A busy machine must not decide these tests.
    project.write_text(text.replace('"auc": 0.55}', '"auc": 0.55}, max_latency_ms=5000'))
    return stranger


@pytest.fixture(autouse=True)
def _however_slow_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an endpoint that is only slow not be taken for one that is down."""
    monkeypatch.setattr(endpoint_http, "STATUS_TIMEOUT_S", 60.0)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """Return a home that is up and serves the first version of the stranger's model."""
    stranger = begin(tmp_path_factory.mktemp("stranger"))
    pids: dict[str, int] = {}
    try:
        stranger.url = stranger.spawn("up", "--port", "0", "--detach")["url"]
        pids = stranger.pids()
        own = stranger.endpoint("customers")["url"]
        until(lambda: httpx.get(f"{own}/v2/health/ready").status_code == 200)
        pids = stranger.pids()
        yield stranger
    finally:
        stranger.say("stop")
        until(lambda: not any(alive(pid) for pid in pids.values()))

"""The server of the demo: a real ``mainspring up`` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from mainspring.cli.demo.traffic import Wire
from mainspring.ground.errors import ConflictError, UnavailableError
from mainspring.ground.settings import load
from mainspring.workspace.opening import Workspace, open_workspace

PROJECT = Path(__file__).parent / "project" / "project.py"
PATIENCE_S = 900  # a busy machine is slow, not broken
STOP_S = 60.0


class Server:
    """Starts ``mainspring up`` on a home, asks it, and ends it."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.folder = home.parent
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self.url = ""

    def prepare(self, known: pl.DataFrame, *, clean: bool) -> None:
        """Write the demo's project: its file, its settings, the flights known so far.

        Raises:
            ConflictError: if an earlier demo is there and is not to be taken away.
        """
        if self.home.exists():
            if not clean:
                raise ConflictError(
                    f"There is a demo in {self.home} already.",
                    hint="Look at it with: mainspring up --home"
                    f" {self.home}, or begin anew with: mainspring demo --clean",
                )
            self._clean()
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT, self.folder / "project.py")
        (self.folder / "mainspring.toml").write_text(
            "# The demo's project. Every key: mainspring config --help\nworkers = 2\n", "utf-8"
        )
        known.write_parquet(self.folder / "flights.parquet")

    def _clean(self) -> None:
        """Take away what the demo made, and nothing else."""
        if not (self.folder / "mainspring.toml").is_file():
            raise ConflictError(
                f"{self.home} was not made by a demo, so it is not taken away.",
                hint="Choose another place with --home.",
            )
        subprocess.run(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "mainspring.cli.start", "stop", "--home", str(self.home)],
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        shutil.rmtree(self.home)

    def start(self) -> None:
        """Start the server and wait until it is healthy."""
        log = self.folder / "up.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [
                    *(sys.executable, "-m", "mainspring.cli.start", "up"),
                    *("--home", str(self.home), "--port", str(self._port)),
                ],
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")},
            )
        from mainspring.workspace.processes import read_json

        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            told = read_json(self.home / "run" / "supervisor.json")
            if told and told.get("pid") == self._process.pid:
                self.url = str(told["url"])
                self._wire = Wire(self.url)
                if self._healthy():
                    return
            time.sleep(0.05)
        raise UnavailableError(
            "The demo's server did not start.", hint=f"What it said is in {log}."
        )

    def _healthy(self) -> bool:
        try:
            return bool(self.ask("/health", raw=True)[0] == 200)
        except OSError:
            return False

    def ask(self, path: str, *, raw: bool = False) -> Any:
        """Return what the API answers to a GET; ``raw`` gives (status, answer)."""
        return self._told(Wire(self.url).get(path), path, raw)

    def tell(self, path: str, body: dict[str, Any], *, raw: bool = False) -> Any:
        """Return what the API answers to a POST."""
        return self._told(Wire(self.url).post(path, body), path, raw)

    def _told(self, answer: tuple[int, Any], path: str, raw: bool) -> Any:
        if raw:
            return answer
        status, body = answer
        if status != 200:
            raise UnavailableError(f"{path} answered {status}: {body}")
        return body

    def processes(self) -> dict[str, Any]:
        """Return what the supervisor says of its children."""
        from mainspring.workspace.processes import read_json

        told = read_json(self.home / "run" / "supervisor.json") or {}
        return dict(told.get("processes", {}))

    def engine_pid(self) -> int | None:
        """Return the engine's process id as the engine itself says it."""
        from mainspring.workspace.processes import read_json

        told = read_json(self.home / "run" / "engine.json")
        return int(told["pid"]) if told else None

    def kill_engine(self) -> int:
        """Kill the engine as a power cut would (SIGKILL) and return its process id."""
        pid = self.engine_pid()
        if pid is None:
            raise UnavailableError("There is no engine to kill.")
        os.kill(pid, signal.SIGKILL)
        return pid

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Open the demo's home itself, beside the server."""
        ws = open_workspace(load({"home": str(self.home)}, start=self.folder), create=False)
        try:
            yield ws
        finally:
            ws.close()

    def stop(self) -> None:
        """End the server; it drains and leaves no process."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def wait(self) -> None:
        """Wait until the server ends or Ctrl-C is pressed."""
        if self._process is not None:
            try:
                self._process.wait()
            except KeyboardInterrupt:
                return

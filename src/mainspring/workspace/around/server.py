"""Where a script's MLflow client logs to: the server that runs, or one for the time of the run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mainspring.ground.errors import UnavailableError
from mainspring.ground.held import Held
from mainspring.workspace.opening import Workspace
from mainspring.workspace.processes import read_json

VARIABLE = "MLFLOW_TRACKING_URI"
_PATIENCE_S = 60.0


@contextmanager
def reached(ws: Workspace, said: dict[str, str]) -> Iterator[dict[str, str]]:
    """Give the variables by which an MLflow client finds this home.

    What the script or the environment says already stands. Else it is the server that ``up``
    keeps running, or one that is started on a free port and ends with the script.
    """
    if VARIABLE in said or os.environ.get(VARIABLE):
        yield {}
        return
    state = read_json(ws.home / "run" / "supervisor.json") or {}
    url = state.get("url")
    if isinstance(url, str) and _answers(url):
        yield {VARIABLE: url}
        return
    with _own(ws) as started:
        yield {VARIABLE: started}


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/version", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


@contextmanager
def _own(ws: Workspace) -> Iterator[str]:
    """Start the web process of a home for a while, as ``up`` would, on a free port."""
    ours, theirs = socket.socketpair()
    held = Held("127.0.0.1")
    told = {"MAINSPRING_HOME": ws.settings.home, "MAINSPRING_PORT": str(held.port)}
    told |= {"MAINSPRING_HOST": "127.0.0.1", "MAINSPRING_URL": ""}
    words = ["-m", "mainspring.cli.processes", "web", "--link", str(theirs.fileno())]
    process = subprocess.Popen(  # noqa: S603  our own command
        [sys.executable, *words],
        env={**os.environ, **told},
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    theirs.close()
    try:
        _wait(ours, process)
        yield f"http://127.0.0.1:{held.port}"
    finally:
        ours.close()  # it drains and ends when its line is gone
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()
        held.close()


def _wait(line: socket.socket, process: subprocess.Popen[bytes]) -> None:
    line.settimeout(0.2)
    end, heard = time.monotonic() + _PATIENCE_S, b""
    while time.monotonic() < end and process.poll() is None:
        with suppress(TimeoutError):
            heard += line.recv(65536)
        if any(json.loads(one).get("ready") for one in heard.split(b"\n")[:-1]):
            return
    raise UnavailableError("The server for the script's MLflow client did not start.")

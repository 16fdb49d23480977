"""Fork engines from one warm process, so that a hundred of them can be killed in a minute.

``python nursery.py`` imports everything an engine needs, then reads one JSON order a line:
``{"settings": ..., "kill": "finish.before_commit:2", "log": file}``. For each it forks an
engine that is the real thing (``run_engine``), answers ``{"born": pid}`` and, when that process
has ended, ``{"died": pid, "status": number}``. Each engine has a fork server of its own, forked
as well: both die with it as they do in a real home. When stdin ends, so do all engines.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from mainspring.backends.executors import child, local
from mainspring.backends.executors.forkserver import ForkServer
from mainspring.ground import killpoints
from mainspring.ground.settings import Settings
from mainspring.workspace.link import Link
from mainspring.workspace.opening import PRELOAD
from mainspring.workspace.processes import run_engine

WARM = (
    *PRELOAD,
    *("onnxruntime", "skl2onnx", "psycopg", "sklearn.ensemble", "mainspring"),
    *("mainspring.backends.sql", "mainspring.backends.objects", "mainspring.workspace.handlers"),
    *("mainspring.workspace.scans", "mainspring.workspace.codecs", "mainspring.sdk"),
    *("mainspring.pipelines.child", "mainspring.pipelines.graph", "mainspring.pipelines.project"),
    *("mainspring.ground.environment", "mainspring.pipelines.code", "sklearn.linear_model"),
    *("mainspring.retraining.regret", "mainspring.readiness.gate", "mainspring.engine.worker"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg"),
)


class Forked:
    """A forked process, with what LocalExecutor wants of a started one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.poll() is None and timeout is not None:
            with open_pidfd(self.pid) as number:
                if not select.select([number], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("fork server", timeout)
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def open_pidfd(pid: int) -> socket.socket | Any:
    return os.fdopen(os.pidfd_open(pid), "rb", buffering=0)


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def be_engine(order: dict[str, Any]) -> None:
    """Become an engine, with a fork server made while there is but one thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.fork()
    if server == 0:
        ours.close()
        ForkServer(theirs).serve()
        os._exit(0)
    theirs.close()
    real = local.LocalExecutor

    class Warm(real):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._control, self._server = ours, Forked(server)  # type: ignore[assignment]

    local.LocalExecutor = Warm  # type: ignore[misc]
    switch = killpoints.here.__self__  # type: ignore[attr-defined]
    switch.__init__(order["kill"])
    link = Link(None)
    link.obey_signals()
    run_engine(msgspec.convert(order["settings"], Settings), link)


def fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        none = os.open(os.devnull, os.O_RDONLY)
        os.dup2(none, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        be_engine(order)
        status = 0
    except BaseException:  # noqa: BLE001  the last frame of this process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve() -> None:
    wake, wake_write = os.pipe()
    for end in (wake, wake_write):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(wake, select.POLLIN)
    say(ready=True)
    rest = b""
    living: set[int] = set()
    while True:
        for number, _ in poll.poll():
            if number == wake:
                os.read(wake, 4096)
                continue
            data = os.read(0, 1 << 16)
            if not data:
                for pid in living:
                    os.kill(pid, signal.SIGKILL)
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = fork(json.loads(line))
                living.add(pid)
                say(born=pid)
        for pid in list(living):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                living.discard(pid)
                say(died=pid, status=os.waitstatus_to_exitcode(status))


def main() -> None:
    die_with_parent()
    for name in WARM:
        importlib.import_module(name)
    child.prepare()
    gc.collect()
    gc.freeze()
    serve()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()

"""One process under the supervisor: started, heard, restarted, ended. Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
#: A process that lived this long is taken to be well: its next restart is quick again.
WELL_S = 10.0
LOG_BYTES = 10_000_000

#: (kind and name, descriptor of the child's end of the link) -> command line
Command = Callable[[list[str], int], list[str]]


class Child:
    """A process that is wanted: ``words`` say which, such as ``["endpoint", "flights"]``.

    ``shares`` is a socket that it inherits and answers on; ``worker`` tells those of one endpoint
    apart, from the second on.
    """

    def __init__(
        self,
        words: list[str],
        command: Command,
        home: Path,
        *,
        once: bool = False,
        shares: socket.socket | None = None,
        worker: int = 1,
    ) -> None:
        self.words = words
        self.name = "-".join(words) + (f"~{worker}" if worker > 1 else "")
        self.worker = worker
        self.shares = shares
        self.once = once  #: it ends by itself and is not restarted
        self.restarts = 0
        self.wanted = True
        self.due = 0.0  #: monotonic time of the next start
        self.started = 0.0
        self.kill_at: float | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.link: socket.socket | None = None
        self.ready = False
        self.ended: int | None = None  #: the process id of the one before
        self._command = command
        self._home = home
        self._backoff = FIRST_BACKOFF_S
        self._rest = b""

    @property
    def pid(self) -> int | None:
        """Return the process id, or None while it does not run."""
        return None if self.process is None else self.process.pid

    @property
    def log(self) -> Path:
        """Return the file that its output goes to."""
        return self._home / "logs" / f"{self.name}.log"

    def start(self, environ: dict[str, str]) -> None:
        """Start the process, in a session of its own so that a terminal's Ctrl-C spares it."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        words, given = list(self.words), [theirs.fileno()]
        if self.shares is not None:
            words += ["--socket", str(self.shares.fileno())]
            given.append(self.shares.fileno())
        if self.worker > 1:
            words += ["--worker", str(self.worker)]
        try:
            self.process = subprocess.Popen(  # noqa: S603  our own command
                self._command(words, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ | _threads(self.words[0], environ),
                pass_fds=given,
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(log)
        self.link = ours
        self.started = time.monotonic()
        self.ready = False
        self._rest = b""

    def heard(self) -> list[dict[str, Any]]:
        """Return the messages that arrived since the last call; a closed link has none."""
        messages: list[dict[str, Any]] = []
        while self.link is not None:
            try:
                data = self.link.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._hang_up()
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):
                    found = json.loads(line)
                    if isinstance(found, dict):
                        messages.append(found)
        return messages

    def tell(self, message: dict[str, Any]) -> None:
        """Send one JSON line down; one that does not listen does not hear it."""
        if self.link is not None:
            line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
            with contextlib.suppress(OSError):
                self.link.send(line)

    def reap(self) -> int | None:
        """Return the exit code if the process has ended, and put the next start in its time."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self._end_group(self.process.pid)
        self.ended = self.process.pid
        self.process = None
        self.kill_at = None
        self.ready = False
        self._hang_up()
        if self.once:
            self.wanted = False
        elif self.wanted:
            now = time.monotonic()
            if now - self.started >= WELL_S:
                self._backoff = FIRST_BACKOFF_S
            self.due = now + self._backoff
            self._backoff = min(2 * self._backoff, LONGEST_BACKOFF_S)
            self.restarts += 1
        return code

    def ask_to_end(self, within_s: float) -> None:
        """Ask the process to drain and end; it is killed if it still lives ``within_s`` later."""
        self.wanted = False
        if self.process is not None and self.kill_at is None:
            self.kill_at = time.monotonic() + within_s
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all it started, now."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def trim_log(self) -> None:
        """Keep the log within its size: the older part moves to ``.1``."""
        try:
            if self.log.stat().st_size < LOG_BYTES:
                return
            older = self.log.with_suffix(".log.1")
            older.unlink(missing_ok=True)
            older.touch(mode=0o600)
            older.write_bytes(self.log.read_bytes())
            # Emptied in place, not renamed: the process keeps appending to the file it has.
            os.truncate(self.log, 0)
        except OSError:
            return  # a full disk must not end the supervisor

    def _hang_up(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None

    @staticmethod
    def _end_group(pid: int) -> None:
        # What a killed process had started, such as a step in work, must not live on.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _threads(kind: str, environ: dict[str, str]) -> dict[str, str]:
    """Return limits of threads, so that a few processes share a few cores.

    What the user has set stands. Scoring and pages gain nothing from more threads; the engine's
    steps share the cores.
    """
    cores = os.cpu_count() or 1
    number = str(cores) if kind == "engine" else "1"
    wanted = {
        "OMP_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "POLARS_MAX_THREADS": number,
        "MALLOC_ARENA_MAX": "2",
    }
    return {name: value for name, value in wanted.items() if name not in environ}

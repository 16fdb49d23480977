"""Fork servers out of one warm process: what steps need is imported once a worker, not a home.

Each home whose steps run starts a fork server, which imports numpy, polars and scikit-learn for
two seconds. In a test of this process it is forked instead from one that has them imported,
by the code that the real one runs. It gets the same orders, variables, folder, log and session.

A server is started as always where something else is asked of it: other modules, or variables
that count when an interpreter starts. So do all that tests start by a command of their own
(``mainspring up``, ``mainspring run``), and the tests of the executor itself.

``python -P warm.py FD FIRST LATER`` is the warm process; :class:`Warm` is its owner.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from mainspring.backends.executors import child, forkserver, local
from mainspring.ground import killpoints
from mainspring.workspace.opening import HEAVY, PRELOAD

FIRST = ",".join(name for name in PRELOAD if name not in HEAVY)
LATER = ",".join(name for name in PRELOAD if name in HEAVY)
#: What an interpreter or a library reads when it starts.
_AT_START = (
    "PYTHON",
    "VIRTUAL_ENV",
    "LD_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "POLARS_",
    "_RJEM_",
    killpoints.ENVIRONMENT,
)


class Begun:
    """A forked server, with what the executor wants of one that it started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        try:
            self._file = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended already
            self._file, self.returncode = -1, 0

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._file], [], [], 0)[0]:
            os.close(self._file)
            self.returncode = 0  # nobody but its parent is told
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.poll() is None and not select.select([self._file], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("fork server", timeout or 0.0)
        return self.poll() or 0

    def kill(self) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._file, signal.SIGKILL)


class Warm:
    """Begins fork servers; its own processes start when the first is asked for."""

    def __init__(self) -> None:
        self._mothers: dict[str, tuple[subprocess.Popen[bytes], socket.socket]] = {}
        self._one_at_a_time = threading.Lock()
        self._variables = {**local.without_keys(os.environ), **local.SETTLED}
        self._really = local.begin

    def begin(
        self,
        command: Sequence[str],
        control: socket.socket,
        log: IO[bytes],
        variables: dict[str, str],
    ) -> Begun | subprocess.Popen[bytes]:
        """Do as ``local.begin`` does, and quicker where it can be."""
        wanted = {name for names in command[-2:] for name in names.split(",") if name}
        ours = list(command[:-3]) == [sys.executable, *local.SERVER] and hasattr(os, "pidfd_open")
        if not ours or not wanted <= {*PRELOAD} or self._at_start(variables):
            return self._really(command, control, log, variables)
        order = {"variables": variables, "folder": str(Path.cwd()), "words": list(command[-3:])}
        data = json.dumps(order).encode()
        with self._one_at_a_time:  # homes of several threads may begin theirs at a time
            talk = self._mother(LATER if wanted & {*HEAVY} else "")
            files = [control.fileno(), log.fileno()]
            socket.send_fds(talk, [len(data).to_bytes(8, "big")], files)
            talk.sendall(data)
            return Begun(int.from_bytes(talk.recv(8, socket.MSG_WAITALL), "big"))

    def close(self) -> None:
        """End the warm processes; the servers end with who owns them."""
        for process, talk in self._mothers.values():
            talk.close()
            process.wait(60)

    def _at_start(self, variables: dict[str, str]) -> bool:
        """Return whether a variable that counts at the start is another than ours."""
        names = [n for n in {*variables, *self._variables} if n.startswith(_AT_START)]
        return any(variables.get(name) != self._variables.get(name) for name in names)

    def _mother(self, later: str) -> socket.socket:
        if later not in self._mothers:
            ours, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-P", __file__, str(theirs.fileno()), FIRST, later],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=self._variables,
                    cwd="/",
                    start_new_session=True,
                )
            self._mothers[later] = process, ours
        return self._mothers[later][1]


# ---------------------------------------------------------------- the warm process


def serve(talk: socket.socket) -> None:
    """Fork a server for each order, until the owner is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are taken in by the system
    while True:
        size, numbers, _, _ = socket.recv_fds(talk, 8, 2)
        if not size:
            return
        left = int.from_bytes(size, "big")
        data = b""
        while len(data) < left:
            data += talk.recv(left - len(data))
        pid = os.fork()
        if pid == 0:
            talk.close()
            become(json.loads(data), *numbers)
        for number in numbers:
            os.close(number)
        talk.sendall(pid.to_bytes(8, "big"))


def become(order: dict[str, object], control: int, log: int) -> None:
    """Be a fork server as one that was started; never return."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        variables, folder, words = order["variables"], order["folder"], order["words"]
        assert isinstance(variables, dict)
        os.environ.clear()
        os.environ.update(variables)
        time.tzset()
        os.chdir(str(folder))
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        assert isinstance(words, list)
        sys.argv = [forkserver.__file__, *words]
        owner = socket.socket(fileno=control)
        owner.set_inheritable(False)
        child.adopt_orphans()
        forkserver.ForkServer(owner).serve()
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    talk = socket.socket(fileno=int(sys.argv[1]))
    talk.set_inheritable(False)
    for names in sys.argv[2:]:
        forkserver.import_quietly([name for name in names.split(",") if name])
    forkserver.settle()
    serve(talk)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()

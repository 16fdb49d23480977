"""The sockets that endpoints answer on: held by the supervisor, so that they outlive any worker.

A connection that comes while no worker runs waits in the kernel, and is answered by the next one.
Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

from mainspring.ground.errors import BadInputError
from mainspring.ground.held import Held

BACKLOG = 2048


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on loopback, on this port if it is free, else on another."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            listening.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            listening.bind(("127.0.0.1", 0))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


class Ports:
    """Which port each name has, kept so that it is the same after a restart: ``run/ports.json``.

    What a supervisor that was killed told of its endpoints is removed: it answers no more.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / "run" / "ports.json"
        for left in (home / "run" / "endpoints").glob("*.json"):
            left.unlink(missing_ok=True)
        try:
            found = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            found = {}
        known = found.items() if isinstance(found, dict) else ()
        self._ports = {name: port for name, port in known if isinstance(port, int)}

    def listen(self, name: str) -> socket.socket:
        """Return a socket on the port that this name had before, if it can be had."""
        listening = listen(self._ports.get(name, 0))
        port = int(listening.getsockname()[1])
        if self._ports.get(name) != port:
            self._ports[name] = port
            write(self._file, self._ports)
        return listening


class EndpointSocket:
    """One endpoint's socket, and the file that says where it is: ``run/endpoints/NAME.json``.

    The file holds where to ask (``port``, ``url``) and what is told of the workers; beside it
    ``NAME.d/PID.json`` are the workers' own.
    """

    def __init__(self, home: Path, name: str, listening: socket.socket) -> None:
        self._file = home / "run" / "endpoints" / f"{name}.json"
        self._folder = self._file.with_suffix(".d")
        self._told: dict[str, Any] = {}
        self._name = name
        self.socket = listening
        self._port = int(listening.getsockname()[1])
        self._sweep()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def tell(self, **more: Any) -> None:
        """Write where it is and what is told of it, when that has changed."""
        url = f"http://127.0.0.1:{self._port}"
        told = {"name": self._name, "port": self._port, "url": url, **more}
        if told != self._told and write(self._file, told):
            self._told = told

    def forget(self, pid: int) -> None:
        """Remove what a worker that has ended told of itself."""
        (self._folder / f"{pid}.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Refuse connections from now on."""
        self.socket.close()
        self._file.unlink(missing_ok=True)
        self._sweep()
        with contextlib.suppress(OSError):  # a worker that ends has still to remove its own
            self._folder.rmdir()

    def _sweep(self) -> None:
        for file in self._folder.glob("*.json"):
            file.unlink(missing_ok=True)


def write(file: Path, value: dict[str, Any]) -> bool:
    """Replace a small file whole, readable by its owner alone; False if the disk refuses it."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        part.touch(mode=0o600)
        part.write_text(json.dumps(value), "utf-8")
        part.replace(file)
    except OSError:  # a full disk: who has more to tell tries again
        return False
    return True


def hold(host: str, port: int) -> Held:
    """Hold the port, or a free one for 0, for the web process, also while that starts again.

    Raises:
        BadInputError: if another program listens there, or we may not.
    """
    try:
        return Held(host, port)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is in use by another program" if taken else f"cannot be used: {error}"
        raise BadInputError(
            f"Port {port} on {host} {why}.",
            field="port",
            hint="Choose another with --port, or a free one with --port 0.",
        ) from error

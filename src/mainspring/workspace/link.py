"""The line between a process and the supervisor that started it.

It is one end of a socket pair. Its other end closes when the supervisor dies, however it dies,
so that no process outlives it. JSON lines go both ways.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

#: After the supervisor's death a process has this long to finish what it began.
DRAIN_S = 4.0


class Link:
    """One process's end of the line. ``stop`` is set when it is to drain and end.

    Without a descriptor there is nobody at the other end: nothing is sent, and only
    :meth:`ask_to_stop` sets ``stop``.
    """

    def __init__(self, fd: int | None = None, *, drain_s: float = DRAIN_S) -> None:
        self.stop = threading.Event()
        self._drain_s = drain_s
        self._orphaned = threading.Event()
        self._lock = threading.Lock()
        self._heard: Callable[[dict[str, Any]], None] | None = None
        self._rest = b""
        self._socket = None if fd is None else socket.socket(fileno=fd)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_write.setblocking(False)
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    def alive(self) -> bool:
        """Return whether the supervisor still lives; True where there never was one."""
        return not self._orphaned.is_set()

    def send(self, message: dict[str, Any]) -> None:
        """Send one JSON line up. A supervisor that is gone does not hear it."""
        if self._socket is None:
            return
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                self._socket.sendall(line)
            except OSError:  # its death is told by the listening thread
                return

    def murmur(self, message: dict[str, Any]) -> None:
        """Send a JSON line up that may be lost; never wait for a supervisor that stands still."""
        if self._socket is None or not self._lock.acquire(blocking=False):
            return
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            # Small enough for one piece, which the kernel takes whole or not at all.
            self._socket.send(line, socket.MSG_DONTWAIT)
        except OSError:
            return
        finally:
            self._lock.release()

    def listen(self, heard: Callable[[dict[str, Any]], None]) -> None:
        """Have what the supervisor says told to ``heard``, from another thread."""
        self._heard = heard

    def ask_to_stop(self) -> None:
        """Have ``stop`` set. Safe in a signal handler, where setting it could deadlock."""
        try:
            self._wake_write.send(b"x")
        except BlockingIOError:  # it was asked thousands of times already
            return

    def obey_signals(self) -> None:
        """Let SIGTERM and SIGINT set ``stop``; called in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ask_to_stop())

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            if self._socket is not None:
                selector.register(self._socket, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._wake_read:
                        self._wake_read.recv(4096)
                        self.stop.set()
                    elif self._ended():
                        self._orphan()
                        return

    def _ended(self) -> bool:
        assert self._socket is not None  # noqa: S101  only a registered socket is ready
        try:
            data = self._socket.recv(4096)
        except OSError:
            return True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if self._heard is not None:
                self._heard(message)
        return not data

    def _orphan(self) -> None:
        self._orphaned.set()
        self.stop.set()
        # Whatever does not drain in time must not live on unseen.
        threading.Event().wait(self._drain_s)
        os._exit(1)

"""Hold a port for a process that is only starting: standard library only.

To look for a free port, let go of it and have another program listen on it is a race: the
system gives outgoing connections their ports from the same range, and a client that tries a
port again and again may even be connected with itself. A socket that is bound and does not
listen keeps the port from all of them, and whoever names the port may still listen on it.
"""

from __future__ import annotations

import socket
import sys


class Held:
    """A port that nobody is given by chance until :meth:`close`; ``port`` is its number.

    Whoever listens on it must set ``SO_REUSEADDR``, as servers do. Where the system does not
    know this way (it does on Linux), the port is only free at this moment.

    >>> with Held("127.0.0.1") as held, socket.socket() as server:
    ...     _ = server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ...     server.bind(("127.0.0.1", held.port))
    ...     server.listen()

    Raises:
        OSError: if another program listens there, or we may not.
        OverflowError: if the number is none of a port.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self.port = int(self._socket.getsockname()[1])
        except BaseException:
            self._socket.close()
            raise
        if sys.platform != "linux":
            self._socket.close()

    def close(self) -> None:
        """Let go of the port; who listens there goes on."""
        self._socket.close()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

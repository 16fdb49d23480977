"""Hold a port for a process that is only starting: standard library only.

To look for a free port, let go of it and have another program listen on it is a race: the
system gives outgoing connections their ports from the same range, and a client that tries a
port again and again may even be connected with itself. A socket that is bound and does not
listen keeps the port from all of them, and whoever names the port may still listen on it.
"""

from __future__ import annotations

import socket


class Held:
    """A port that nobody is given by chance until :meth:`close`; ``port`` is its number.

    Whoever listens on it must set ``SO_REUSEADDR``, as servers do. Where the system lets nobody
    listen beside it (Linux does), it is let go of, and the port is only free at this moment.

    >>> with Held("127.0.0.1") as held, socket.socket() as server:
    ...     _ = server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ...     server.bind(("127.0.0.1", held.port))
    ...     server.listen()

    Raises:
        OSError: if another program listens there, or we may not.
        OverflowError: if the number is none of a port.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        self._socket = _bound(host, port)
        self.port = int(self._socket.getsockname()[1])
        try:
            with _bound(host, self.port) as server:
                server.listen()
        except OSError:
            self._socket.close()

    def close(self) -> None:
        """Let go of the port; who listens there goes on."""
        self._socket.close()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bound(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except BaseException:
        found.close()
        raise
    return found

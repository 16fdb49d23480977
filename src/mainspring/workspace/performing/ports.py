"""Find a port at which the workers of a step meet, that nobody else will be given meanwhile.

A port that was free when it was looked at may be taken before it is used. So it comes from below
the range out of which the system itself hands out ports; a name that only one process of this
machine can hold keeps it from other gangs of ours; and if a stranger takes it all the same, the
step is begun again with another one.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mainspring.ground.errors import UnavailableError

_LOWEST, _HIGHEST = 10_000, 32_768
_TRIES = 200
_ours: set[int] = set()


@contextmanager
def reserved() -> Iterator[int]:
    """Yield a port of loopback that is free, and no other gang's as long as it is held.

    Raises:
        UnavailableError: if none is free.
    """
    draw = random.SystemRandom()
    for _ in range(_TRIES):
        port = draw.randrange(_LOWEST, _highest())
        with socket.socket(socket.AF_UNIX) as name:
            if port in _ours or not _named(name, port) or not free(port):
                continue
            _ours.add(port)
            try:
                yield port
            finally:
                _ours.discard(port)
            return
    raise UnavailableError("No port of this machine is free for the workers of a step to meet at.")


def free(port: int) -> bool:
    """Return whether a port of loopback could be listened at now."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
            tried.listen(1)
        except OSError:
            return False
    return True


def _named(name: socket.socket, port: int) -> bool:
    """Take the name of a port; on systems without such names this process's own list is all."""
    if sys.platform != "linux":
        return True
    try:
        name.bind(f"\0mainspring-gang-{os.getuid()}-{port}")
    except OSError:
        return False
    return True


def _highest() -> int:
    with suppress(OSError, ValueError):
        told = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0]
        return max(min(int(told), _HIGHEST), _LOWEST + 1_000)
    return _HIGHEST

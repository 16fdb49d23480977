"""Name each request, so that its answer, its line in the logs and its trace can be joined."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping

_OWN = re.compile(rb"[A-Za-z0-9._=-]{1,128}")


class RequestIds:
    """Gives each request a name: the caller's own where it brings a plain one.

    >>> RequestIds().of({b"x-request-id": b"order-17"})
    'order-17'
    """

    def __init__(self) -> None:
        self._begin = os.urandom(6).hex()
        self._numbers = itertools.count(1)

    def of(self, headers: Mapping[bytes, bytes]) -> str:
        """Return a request's id, as its answer bears it in ``X-Request-Id``."""
        own = headers.get(b"x-request-id")
        if own is not None and _OWN.fullmatch(own):
            return own.decode("ascii")
        return f"{self._begin}{next(self._numbers):x}"

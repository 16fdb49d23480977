"""Keep asking an endpoint from several callers, and note what each answer was and when."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Asked(NamedTuple):
    """One request: when it was sent and answered (monotonic), how, and by which version."""

    sent: float
    answered: float
    status: int  #: 0: no answer came
    version: int | None


class Callers:
    """Callers of one endpoint, each with a connection of its own, one row after the other."""

    def __init__(
        self, url: str, rows: Sequence[dict[str, Any]], callers: int, pause_s: float = 0.0
    ) -> None:
        self._pause_s = pause_s  # of each caller, after an answer
        self._address = urlsplit(url)
        self._bodies = [json.dumps({"dataframe_records": [row]}).encode() for row in rows]
        self._over = threading.Event()
        self._asked: list[list[Asked]] = [[] for _ in range(callers)]
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), name=f"caller-{number}")
            for number in range(callers)
        ]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def asked(self) -> list[Asked]:
        """Return every request so far, in the order of their answers."""
        return sorted((one for own in self._asked for one in list(own)), key=lambda a: a.answered)

    def newest(self) -> list[Asked]:
        """Return the last request of each caller that was answered."""
        return [own[-1] for own in self._asked if own]

    def _ask(self, number: int) -> None:
        place = number
        connection: http.client.HTTPConnection | None = None
        while not self._over.is_set():
            body = self._bodies[place % len(self._bodies)]
            place += 1
            sent = time.monotonic()
            status, version = 0, None
            try:
                if connection is None:
                    host, port = self._address.hostname or "127.0.0.1", self._address.port
                    connection = http.client.HTTPConnection(host, port, timeout=10)
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/invocations", body, headers)
                answer = connection.getresponse()
                told = answer.read()
                status = answer.status
                version = _version(told) if status == 200 else None
            except (OSError, http.client.HTTPException):
                # A caller that loses its connection has a failed request, and comes again.
                connection = None
            self._asked[number].append(Asked(sent, time.monotonic(), status, version))
            if status == 0 or self._pause_s:
                self._over.wait(0.01 if status == 0 else self._pause_s)
        if connection is not None:
            connection.close()


def _version(told: bytes) -> int | None:
    found = json.loads(told).get("versions") or [None]
    return None if found[0] is None else int(found[0])

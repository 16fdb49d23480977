"""Start an S3 server to throw away, in a process of its own on a free loopback port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from mainspring.ground.errors import UnavailableError
from mainspring.ground.extras import need

PATIENCE_S = 120.0
ACCESS = {"access_key_id": "testing", "secret_access_key": "testing", "region": "us-east-1"}


class S3Server:
    """A server that keeps everything in memory; ``with S3Server() as s3: s3.bucket("b")``."""

    def __init__(self) -> None:
        need("moto", extra="dev", purpose="An S3 server to throw away")
        self.port = 0  # until it is started
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> S3Server:
        give_up = time.monotonic() + PATIENCE_S
        while not self._answers():
            if time.monotonic() > give_up:
                self.__exit__()
                raise UnavailableError("The S3 server for tests did not start.")
            if self._server is None or self._server.poll() is not None:
                self._start()  # again, if somebody took the port meanwhile
            time.sleep(0.1)
        return self

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._server = subprocess.Popen(  # noqa: S603  our own interpreter
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(PATIENCE_S)
            self._server = None

    def bucket(self, name: str) -> str:
        """Create a bucket and return the URL that opens it."""
        request = urllib.request.Request(  # noqa: S310  always http to our own port
            f"{self.endpoint}/{name}", method="PUT"
        )
        # The first request of all loads what serves buckets: seconds, on a busy machine many.
        with urllib.request.urlopen(request, timeout=PATIENCE_S):  # noqa: S310
            pass
        settings = "&".join(f"{key}={value}" for key, value in ACCESS.items())
        return f"s3://{name}/kept/here?endpoint={self.endpoint}&{settings}"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=5):  # noqa: S310
                return True
        except (urllib.error.URLError, OSError):
            return False

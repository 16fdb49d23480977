"""Talk to a server about journals, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from mainspring.ground import errors
from mainspring.ground.errors import BadInputError, MainspringError, UnavailableError

TIMEOUT_S = 30.0
_PART = 1 << 20
_STRANGE = "The server answered, and not as Mainspring does."
_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MainspringError)
}
#: What may be otherwise in a while; everything else is refused for good.
_LATER = {408, 425, 429, 500, 502, 503, 504}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a server has a journal."""

    position: int
    closed: bool = False
    missing: list[str] = []


class Courier:
    """One connection to a server, opened anew when it broke. For one thread."""

    def __init__(self, url: str, token: str | None, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInputError(
                f"The URL must begin with http:// or https://, found {url[:80]!r}.", field="url"
            )
        self._parts = parts
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._open: http.client.HTTPConnection | None = None

    def standing(self, journal: str) -> Standing:
        """Return how far the server has a journal."""
        return _standing(self._ask("GET", f"/api/v1/journals/{journal}"))

    def send(self, journal: str, position: int, data: bytes, ended: float | None) -> Standing:
        """Send bytes of a journal and return how far the server has it then."""
        more = "" if ended is None else f"&ended={ended!r}"
        path = f"/api/v1/journals/{journal}?position={position}{more}"
        return _standing(self._ask("POST", path, data))

    def put(self, digest: str, file: Path) -> None:
        """Send the bytes of an object."""
        with file.open("rb") as source:
            parts = iter(lambda: source.read(_PART), b"")
            self._ask("PUT", f"/api/v1/objects/{digest}", parts, file.stat().st_size)

    def run(self, run: str) -> dict[str, Any]:
        """Return a run as the server tells of it."""
        told = self._ask("GET", f"/api/v1/runs/{quote(run, safe='')}")
        if not isinstance(told, dict) or not isinstance(told.get("run"), dict):
            raise UnavailableError(_STRANGE)
        found: dict[str, Any] = told["run"]
        return found

    def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _ask(
        self, method: str, path: str, body: bytes | Iterator[bytes] = b"", size: int | None = None
    ) -> Any:
        """Ask and return the answer.

        Raises:
            UnavailableError: if no answer comes, or one that may be another in a while.
            MainspringError: what the server refused with, for good.
        """
        headers = {**self._headers, "Content-Type": "application/octet-stream"}
        if size is not None:
            headers["Content-Length"] = str(size)
        try:
            self._open = self._open or self._connect()
            self._open.request(method, f"{self._parts.path}{path}", body or None, headers)
            reply = self._open.getresponse()
            told = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            shown = self._parts.geturl()
            raise UnavailableError(f"No server answers at {shown}: {error}.") from error
        except ValueError as error:  # a header that cannot be one
            raise BadInputError(f"The token cannot be sent: {error}.", field="token") from error
        if reply.status in _LATER:
            raise UnavailableError(f"The server answered {reply.status}.")
        return _read(reply.status, told)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                host, port, timeout=self._timeout_s, context=context
            )
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)


def _standing(told: Any) -> Standing:
    try:
        return msgspec.convert(told, Standing)
    except msgspec.ValidationError as error:
        raise UnavailableError(_STRANGE) from error


def _read(status: int, told: bytes) -> Any:
    try:
        found = json.loads(told)
        if status < 300:
            return found
        kind, message = _BY_CODE.get(found["error"], MainspringError), str(found["message"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnavailableError(f"{_STRANGE} Its status is {status}.") from error
    if kind is errors.OverloadedError:
        raise UnavailableError(message)
    raise kind(message, field=found.get("field"), hint=found.get("hint"))

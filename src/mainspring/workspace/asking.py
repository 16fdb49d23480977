"""Ask a server over HTTP from Python, and raise what it refused with as errors of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from mainspring.ground import errors
from mainspring.ground.errors import BadInputError, MainspringError, UnavailableError

TIMEOUT_S = 120.0
_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MainspringError)
}


class Server:
    """A server by its URL."""

    def __init__(self, url: str, token: str | None) -> None:
        import httpx

        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise BadInputError(
                f"The URL must begin with http:// or https://, found {self.url!r}.", field="url"
            )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S)

    def ask(
        self,
        method: Literal["GET", "POST"] | str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        as_json: bool = True,
        file: Path | None = None,
        data: bytes | None = None,
        tell: Callable[[int], None] | None = None,
    ) -> Any:
        """Return what the server answers. The body is JSON, or bytes: of a file, or ``data``.

        Raises:
            UnavailableError: if no server answers.
            MainspringError: what the server refused with.
        """
        import httpx

        try:
            if file is not None or data is not None:
                reply = self._client.request(
                    method,
                    path,
                    params=query,
                    content=data if file is None else _bytes_of(file, tell),
                    headers={"Content-Type": "application/octet-stream"},
                )
            else:
                reply = self._client.request(method, path, params=query, json=body)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"No server answers at {self.url}: {error}.",
                hint="Start one with mainspring up, or leave out the URL to use the home.",
            ) from error
        if reply.is_success:
            if as_json:
                return reply.json()
            kind = reply.headers.get("content-type", "")
            return reply.text if kind.startswith(("text/", "image/svg")) else reply.content
        raise as_error(reply.status_code, reply.text)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def _bytes_of(file: Path, tell: Callable[[int], None] | None) -> Iterator[bytes]:
    with file.open("rb") as handle:
        while part := handle.read(1 << 18):
            yield part
            if tell is not None:
                tell(handle.tell())


def as_error(status: int, body: str) -> MainspringError:
    """Return the error of ours that a server's refusal stands for."""
    try:
        told = json.loads(body)
        kind, message = _BY_CODE.get(told["error"], MainspringError), str(told["message"])
    except (ValueError, KeyError, TypeError):
        return UnavailableError(f"The server answered {status}, and not as Mainspring does.")
    if kind is errors.OverloadedError:
        return errors.OverloadedError(message, hint=told.get("hint"))
    return kind(message, field=told.get("field"), hint=told.get("hint"))

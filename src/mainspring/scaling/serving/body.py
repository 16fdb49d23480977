"""Read a request's body within its budgets of bytes and time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from mainspring.ground.errors import BadInputError, DeadlineError, TooLargeError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

READ_S = 30.0  # a client that needs longer to send holds memory for nothing
WORTH_PACKING = 65_536  # bytes; less crosses a network sooner than it is packed
_WINDOW = {"gzip": 31, "deflate": 15}


class ClientGoneError(Exception):
    """The client left before its request was complete; there is nobody to answer."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], most_bytes: int) -> bytes:
    """Return the whole body, inflated where it came as gzip or deflate.

    Raises:
        TooLargeError: as soon as more than ``most_bytes`` came or would come.
        DeadlineError: if it takes longer than 30 seconds.
        BadInputError: for an encoding we do not read.
        ClientGoneError: if the client leaves.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > most_bytes):
        raise _too_large(most_bytes)
    message = await receive()
    if not message.get("more_body"):  # nearly always: the body came with its headers
        data = _chunk(message)
        if len(data) > most_bytes:
            raise _too_large(most_bytes)
    else:
        try:
            async with asyncio.timeout(READ_S):
                data = await _rest(_chunk(message), receive, most_bytes)
        except TimeoutError as error:
            raise DeadlineError(f"The body did not arrive within {READ_S:g} s.") from error
    encoding = headers.get(b"content-encoding")
    return data if encoding is None else _inflated(data, encoding.decode("latin-1"), most_bytes)


def _chunk(message: MutableMapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    data: bytes = message.get("body", b"")
    return data


async def _rest(first: bytes, receive: Receive, most_bytes: int) -> bytes:
    parts, size, more = [first], len(first), True
    while more:
        message = await receive()
        parts.append(_chunk(message))
        size += len(parts[-1])
        if size > most_bytes:
            raise _too_large(most_bytes)
        more = bool(message.get("more_body"))
    return b"".join(parts)


def _inflated(data: bytes, encoding: str, most_bytes: int) -> bytes:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in _WINDOW:
        raise BadInputError(
            f"Content-Encoding {encoding[:40]!r} is not read; use gzip, deflate or none.",
            field="content-encoding",
        )
    inflater = zlib.decompressobj(_WINDOW[name])
    try:
        plain = inflater.decompress(data, most_bytes + 1)
    except zlib.error as error:
        raise BadInputError(f"The body is not valid {name}: {error}") from error
    if len(plain) > most_bytes:
        raise _too_large(most_bytes)
    if not inflater.eof:
        raise BadInputError(f"The body is not valid {name}: it ends too early.")
    return plain


def packed(body: bytes, headers: Mapping[bytes, bytes]) -> tuple[bytes, bytes | None]:
    """Return an answer's body as its caller wants it, and the encoding it has then.

    Who accepts gzip or deflate and nothing else gets it. Most clients name them among others in
    every request; what is small is sent to them as it is, for that costs both less.
    """
    accepted = headers.get(b"accept-encoding")
    if accepted is None or (b"," in accepted and len(body) < WORTH_PACKING):
        return body, None
    names = [one.strip().lower() for one in accepted.decode("latin-1").split(",")]
    name = next((one for one in names if one in _WINDOW), None)
    if name is None:
        return body, None
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[name])
    return packer.compress(body) + packer.flush(), name.encode()


def _too_large(most_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"The body is larger than {most_bytes // 2**20} MB.", hint="Send it in parts."
    )

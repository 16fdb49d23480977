"""Budgets that hold before anything is parsed: bytes, depth, time, threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import msgspec
import numpy as np
from anyio import CapacityLimiter
from starlette.types import Receive, Scope

from mainspring.ground.errors import (
    BadInputError,
    DeadlineError,
    OverloadedError,
    TooLargeError,
)

T = TypeVar("T")

BODY_TIME_S = 60.0  #: a body that takes longer is not worth its connection
_PART = 1 << 20
_STEP = 1 << 20
_MARKS = b'"[]{}'
_OTHERS = bytes(set(range(256)) - set(_MARKS))


class Threads:
    """Threads for work that blocks: a few at work, a bounded line behind them."""

    def __init__(self, most: int = 8, line: int = 64) -> None:
        self._limiter = CapacityLimiter(most)
        self._room = most + line
        self._inside = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, from a thread that has the caller's context.

        Raises:
            OverloadedError: at once, if the line is full.
        """
        if self._inside >= self._room:
            raise OverloadedError("The server has more requests than it can work on.")
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._inside -= 1


async def chunks(scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes, and stop when it passes ``most`` bytes.

    Raises:
        TooLargeError: before reading, if its stated length is too much; else while reading.
    """
    stated = dict(scope["headers"]).get(b"content-length", b"0")
    if not stated.isdigit() or int(stated[:20]) > most:
        raise _too_large(most)
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInputError("The connection ended within the body.", field="body")
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        more = message.get("more_body", False)
        yield part


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """Return a request's whole body, of at most ``most`` bytes.

    Raises:
        TooLargeError: if it is larger; what follows is not read.
        DeadlineError: if it does not come within its time.
    """
    try:
        async with asyncio.timeout(BODY_TIME_S):
            return b"".join([part async for part in chunks(scope, receive, most)])
    except TimeoutError as error:
        raise DeadlineError(f"The body did not come within {BODY_TIME_S:.0f} s.") from error


async def receive_file(
    file: Path, scope: Scope, receive: Receive, most: int, threads: Threads
) -> None:
    """Write a request's body to a file as it comes, a part at a time.

    Raises:
        TooLargeError: when it passes ``most`` bytes.
    """
    held = bytearray()
    with file.open("wb", buffering=0) as target:
        async for part in chunks(scope, receive, most):
            held += part
            if len(held) >= _PART:
                full, held = bytes(held), bytearray()
                await threads.run(partial(_append, target, full))
        await threads.run(partial(_append, target, bytes(held)))


def _append(target: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[target.write(rest) :]


def read_json(body: bytes, max_depth: int) -> dict[str, Any]:
    """Return the JSON object that a body holds; an empty body is an empty object.

    Raises:
        BadInputError: if it is no JSON, no object, or nested deeper than ``max_depth``.
    """
    if not body:
        return {}
    if is_deeper(body, max_depth):
        raise BadInputError(f"The JSON is nested deeper than {max_depth} levels.", field="body")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"The body is not valid JSON: {error}.", field="body") from error
    if not isinstance(found, dict):
        raise BadInputError(
            f"The body must be a JSON object, found {type(found).__name__}.", field="body"
        )
    return found


def is_deeper(body: bytes, most: int) -> bool:
    """Return whether JSON is nested deeper than ``most`` levels, without parsing it.

    Never too low for a parser that goes from left to right: where the text stops being JSON,
    such a parser has stopped too.

    >>> is_deeper(b'[[1]]', 1), is_deeper(b'["[[[["]', 1)
    (True, False)
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    # Escaped quotes go first, or they would look like the ends of strings.
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS)
    within, depth = 0, 0
    for start in range(0, len(marks), _STEP):
        part = np.frombuffer(marks, np.uint8, min(_STEP, len(marks) - start), start)
        quotes = part == ord('"')
        outside = (np.cumsum(quotes, dtype=np.int64) + within) % 2 == 0
        opens = (part == ord("[")) | (part == ord("{"))
        step = np.where(opens, 1, -1) * (outside & ~quotes)
        levels = np.cumsum(step, dtype=np.int64) + depth
        if levels.max() > most:
            return True
        within, depth = within + int(quotes.sum()), int(levels[-1])
    return False


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(
        f"A request may hold {most / 1_048_576:.0f} MB at most.",
        field="body",
        hint="Send it in parts, or raise max_body_mb in mainspring.toml.",
    )

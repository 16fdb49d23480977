"""Budgets before parsing: depth is found without a parser, bodies and lines are bounded."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, OverloadedError, TooLargeError
from mainspring.web.limits import Threads, is_deeper, read_body, read_json

JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a\u00e9\n'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[]{}"\\'), inner, max_size=3)
    ),
    max_leaves=20,
)


def depth_of(value: Any) -> int:
    parts = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if parts is None else 1 + max((depth_of(part) for part in parts), default=0)


@given(JSON, st.integers(0, 6), st.booleans())
def test_depth_is_what_a_parser_would_find(value: Any, most: int, plain: bool) -> None:
    body = json.dumps(value, ensure_ascii=plain).encode()
    assert is_deeper(body, most) == (depth_of(value) > most)


@given(st.binary(max_size=60))
def test_any_bytes_are_measured_without_an_error(body: bytes) -> None:
    is_deeper(body, 3)


def test_marks_across_the_steps_are_counted() -> None:
    body = b'["' + b"]" * 2_000_000 + b'",' + b"[" * 70 + b"]" * 71
    assert is_deeper(body, 64)
    assert not is_deeper(body, 71)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_hundred_thousand_levels_are_refused_at_once(opening: bytes) -> None:
    body = opening * 100_000
    began = time.thread_time()
    with pytest.raises(BadInputError, match="deeper than 64"):
        read_json(body, 64)
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"a": NaN}', b'{"a": 1e999}', b'{"a"']
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadInputError):
        read_json(body, 64)


def test_a_body_is_read_until_it_is_too_large() -> None:
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def read() -> None:
        await read_body({"type": "http", "headers": []}, receive, 10_000)

    with pytest.raises(TooLargeError):
        anyio.run(read)
    assert taken == 11


def test_a_stated_length_is_refused_before_reading() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError

    async def read() -> None:
        scope = {"type": "http", "headers": [(b"content-length", b"99999999")]}
        await read_body(scope, receive, 10_000)

    with pytest.raises(TooLargeError):
        anyio.run(read)


def test_a_full_line_refuses_at_once() -> None:
    async def main() -> None:
        threads = Threads(most=1, line=1)
        go = threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(threads.run, go.wait)
            group.start_soon(threads.run, go.wait)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            with pytest.raises(OverloadedError):
                await threads.run(lambda: None)
            go.set()
        await threads.run(lambda: None)

    anyio.run(main)

"""Cuts depend on the bytes alone: on no block, no offset, and not on what was known before."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.pipelines.data import cuts
from mainspring.pipelines.data.cuts import LEAST, MOST, Chunk, Cutter, cut

SIZE = 12 << 20


@pytest.fixture(scope="module")
def data() -> bytes:
    return np.random.default_rng(7).bytes(SIZE)


def by_blocks(data: bytes, blocks: list[int], known: list[Chunk] | None = None) -> list[Chunk]:
    """Cut bytes that come in blocks of some sizes."""
    found: list[Chunk] = []
    cutter = Cutter(lambda _at, chunk, _data: found.append(chunk), known or [])
    at = turn = 0
    while at < len(data):
        block = data[at : at + blocks[turn % len(blocks)]]
        buffer = bytearray(cutter.held + len(block))
        buffer[cutter.held :] = block
        cutter.feed(buffer, cutter.held, len(buffer))
        at, turn = at + len(block), turn + 1
    cutter.end()
    return found


def test_chunks_are_the_bytes_and_keep_their_bounds(data: bytes) -> None:
    found = cut(data)
    start = 0
    for chunk in found:
        piece = data[start : start + chunk.length]
        assert chunk.sha256 == hashlib.sha256(piece).hexdigest()
        start += chunk.length
    assert start == len(data)
    assert all(LEAST <= chunk.length <= MOST for chunk in found[:-1])


def test_a_cut_is_where_the_rule_says(data: bytes) -> None:
    """By hand: the first place at least LEAST behind the cut before whose product is small."""
    words = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8)
    products = np.ascontiguousarray(words[: 6 << 20]).view("<u8").ravel() * cuts._ODD
    places = np.flatnonzero(products < cuts._BELOW) + 8  # a window ends at its cut
    start = 0
    for chunk in cut(data)[:4]:
        first = int(places[np.searchsorted(places, start + LEAST)])
        assert chunk.length == min(first - start, MOST)
        start += chunk.length


@settings(max_examples=8)
@given(st.lists(st.integers(1 << 10, 3 << 20), min_size=1, max_size=4))
def test_blocks_move_no_cut(data: bytes, blocks: list[int]) -> None:
    part = data[: 5 << 20]
    assert by_blocks(part, blocks) == cut(part)


@settings(max_examples=10)
@given(
    at=st.integers(0, SIZE - 64),
    new=st.binary(max_size=64),
    gone=st.integers(0, 64),
)
def test_what_was_known_moves_no_cut(data: bytes, at: int, new: bytes, gone: int) -> None:
    before = cut(data)
    changed = data[:at] + new + data[at + gone :]
    assert by_blocks(changed, [1 << 20], before) == cut(changed)


@pytest.mark.parametrize("at", [10, SIZE // 2, SIZE - 10])
@pytest.mark.parametrize("gone", [8, 0], ids=["changed", "inserted"])
def test_eight_bytes_cost_a_few_chunks(data: bytes, at: int, gone: int) -> None:
    before = {chunk.sha256 for chunk in cut(data)}
    after = cut(data[:at] + b"8 bytes!" + data[at + gone :])
    assert sum(chunk.length for chunk in after if chunk.sha256 not in before) <= MOST + (1 << 20)


def test_bytes_without_any_variety_are_cut_all_the_same() -> None:
    assert {chunk.length for chunk in cut(bytes(3 << 20))} == {LEAST}
    ones = cut(b"\xff" * (9 << 20))
    assert [chunk.length for chunk in ones] == [MOST, MOST, 1 << 20]


def test_nothing_has_no_chunks() -> None:
    assert cut(b"") == []

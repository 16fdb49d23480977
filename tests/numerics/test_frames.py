"""The frame codec: every bit comes back, torn tails stop, damage is found."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.frames import (
    HEADER_BYTES,
    FrameCorruptError,
    decode_frames,
    encode_frame,
)

ROWS = st.integers(0, 40)
TEXT = st.text(st.characters(codec="utf-8"), max_size=6)


@st.composite
def tables(draw):
    rows = draw(ROWS)
    number = st.sampled_from(["<f8", "<f4", "<i8", "<i4", "?"])
    column = st.one_of(
        number.flatmap(lambda dtype: npst.arrays(dtype, rows)),
        st.integers(0, 3).flatmap(lambda width: npst.arrays("<f8", (rows, width))),
        st.lists(st.none() | TEXT, min_size=rows, max_size=rows),
        st.lists(st.sampled_from(["", None, "a"]), min_size=rows, max_size=rows),
    )
    return draw(st.dictionaries(TEXT, column, min_size=1, max_size=5))


def assert_same(columns, frame):
    assert list(frame.columns) == list(columns)
    for name, column in columns.items():
        found = frame.columns[name]
        if isinstance(column, np.ndarray):
            assert found.dtype == column.dtype
            assert found.shape == column.shape
            assert found.tobytes() == column.tobytes()
        else:
            assert found == column


@given(st.lists(tables(), max_size=4))
@settings(max_examples=80)
def test_every_bit_of_every_frame_comes_back_in_order(written):
    log = b"".join(encode_frame(columns, {"at": i}) for i, columns in enumerate(written))
    reader = decode_frames(log)
    for i, (columns, frame) in enumerate(zip(written, reader, strict=True)):
        assert frame.meta == {"at": i}
        assert_same(columns, frame)
    assert reader.valid_bytes == len(log)


@given(tables(), tables(), st.data())
@settings(max_examples=60)
def test_a_torn_tail_stops_cleanly_at_the_last_whole_frame(first, second, data):
    whole = encode_frame(first, {})
    log = whole + encode_frame(second, {})
    cut = data.draw(st.integers(len(whole), len(log) - 1))
    reader = decode_frames(log[:cut])
    assert len(list(reader)) == 1
    assert reader.valid_bytes == len(whole)
    assert len(list(decode_frames(memoryview(log)[reader.valid_bytes :]))) == 1


@given(tables(), st.data())
@settings(max_examples=100)
def test_a_flipped_bit_anywhere_is_found(columns, data):
    good = encode_frame(columns, {"m": 1})
    damaged = bytearray(good + good)
    at = data.draw(st.integers(0, len(good) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(FrameCorruptError) as caught:
        list(decode_frames(damaged))
    assert caught.value.valid_bytes == 0


def test_damage_reports_the_good_bytes_before_it():
    good = encode_frame({"x": np.zeros(3)}, {})
    damaged = bytearray(good + good)
    damaged[-1] ^= 0xFF
    reader = decode_frames(damaged)
    next(reader)
    with pytest.raises(FrameCorruptError) as caught:
        next(reader)
    assert caught.value.valid_bytes == len(good) == reader.valid_bytes


def test_a_tail_of_zeros_after_a_power_cut_is_a_torn_tail():
    good = encode_frame({"x": np.zeros(3)}, {})
    reader = decode_frames(good + bytes(4096))
    assert len(list(reader)) == 1
    assert reader.valid_bytes == len(good)


def test_zeros_with_more_behind_them_are_damage():
    good = encode_frame({"x": np.zeros(3)}, {})
    with pytest.raises(FrameCorruptError):
        list(decode_frames(good + bytes(64) + good))


def test_nan_payloads_negative_zero_and_the_last_integers_survive():
    odd = np.array([0x7FF8DEADBEEF0001, 0x7FF0000000000001, 0x8000000000000000], dtype="<u8")
    columns = {"f": odd.view("<f8"), "i": np.array([-(2**63), 0, 2**63 - 1])}
    assert_same(columns, next(decode_frames(encode_frame(columns, {}))))


def test_the_empty_string_and_none_stay_apart_in_both_codings():
    for rows in (2, 200):
        column = (["", None] * rows)[:rows]
        assert next(decode_frames(encode_frame({"c": column}, {}))).columns["c"] == column


@pytest.mark.parametrize("levels", [3, 300, 70_000])
def test_repeated_text_is_coded_and_smaller(levels):
    column = [f"level-{i % levels}" for i in range(2 * levels + 20)]
    frame = encode_frame({"c": column}, {})
    assert next(decode_frames(frame)).columns["c"] == column
    assert len(frame) < sum(map(len, column))


def test_the_bytes_of_a_frame_are_those_the_format_describes():
    frame = encode_frame({"x": np.array([1.0])}, {})
    assert frame[:4] == b"MSF1"
    assert struct.unpack_from("<I", frame, 4)[0] == len(frame) - HEADER_BYTES
    # [1 row, {} meta, [["x", kind 2, width -1, 8 bytes]]]
    assert frame[HEADER_BYTES:] == (
        b"\x93\x01\x80\x91\x94\xa1x\x02\xff\xc4\x08" + struct.pack("<d", 1.0)
    )


def test_strided_big_endian_and_numpy_text_are_taken():
    strided = np.arange(12.0).reshape(6, 2)[::2, 0]
    columns = {"s": strided, "b": np.array([1.5, 2.5, 3.5], dtype=">f8"), "t": list("abc")}
    columns["t"][0] = np.str_("a")
    frame = next(decode_frames(encode_frame(columns, {})))
    assert frame.columns["s"].tolist() == [0, 4, 8]
    assert frame.columns["b"].tolist() == [1.5, 2.5, 3.5]
    assert frame.columns["t"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "column", [np.array(["a"]), np.zeros((1, 1, 1)), np.array([1j]), [3], [b"x"]]
)
def test_what_could_not_be_read_again_is_refused_on_writing(column):
    with pytest.raises(TypeError, match="Column 'c'"):
        encode_frame({"c": column}, {})


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ShapesDifferError, match="'b' has 2 rows"):
        encode_frame({"a": np.zeros(1), "b": np.zeros(2)}, {})


@pytest.mark.parametrize(
    "payload",
    [
        [2, {}, [["x", 2, -1, bytes(8), []]]],  # one value for two rows
        [1, {}, [["x", 99, -1, b"", []]]],  # a kind from the future
        [1, {}, [["x", 1, 3, b"", []]]],  # codes of three bytes
        [1, {}, [["x", 1, 1, b"\x05", ["a"]]]],  # a code without a level
        [2, {}, [["x", 0, 0, b"", ["a"]]]],  # one text for two rows
        {"not": "a list"},
    ],
)
def test_a_frame_with_a_good_checksum_and_bad_content_is_damage(payload):
    import zlib

    import msgspec

    body = msgspec.msgpack.encode(payload)
    fields = struct.pack("<4sII", b"MSF1", len(body), zlib.crc32(body))
    frame = fields + struct.pack("<I", zlib.crc32(fields)) + body
    with pytest.raises(FrameCorruptError, match="cannot be read"):
        list(decode_frames(frame))


def test_a_frame_without_columns_or_rows_is_still_a_frame():
    frame = next(decode_frames(encode_frame({}, {"only": "meta"})))
    assert (frame.rows, frame.columns, frame.meta) == (0, {}, {"only": "meta"})

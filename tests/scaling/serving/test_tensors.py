"""Tensors come whole through bytes and JSON, and whatever else comes is refused by name."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, Signature
from mainspring.scaling.models.check import check
from mainspring.scaling.serving import inference, tensors
from mainspring.scaling.serving.tensors import DATATYPES, DTYPES, Tensor

NUMBERS = Signature(
    columns=[Column(name=name, type=kind) for name, kind in (("a", "float"), ("b", "int"))],
    kind="regression",
    target="y",
)


def values_of(datatype: str) -> st.SearchStrategy[Any]:
    if datatype == "BYTES":
        return st.text(max_size=8)
    if datatype == "BOOL":
        return st.booleans()
    if datatype.startswith("FP"):
        return st.floats(width=int(datatype[2:]), allow_nan=False)
    bounds = np.iinfo(np.dtype(DTYPES[datatype]))
    return st.integers(int(bounds.min), int(bounds.max))


@st.composite
def some(draw: st.DrawFn) -> Tensor:
    datatype = draw(st.sampled_from(DATATYPES))
    values = draw(st.lists(values_of(datatype), max_size=6))
    return Tensor("t", datatype, (len(values),), values)


@given(some())
def test_what_becomes_bytes_comes_back_as_it_was(one: Tensor) -> None:
    back = tensors.of_bytes(one.name, one.datatype, one.shape, tensors.to_bytes(one))
    assert list(back.values) == list(one.values)


@given(some())
def test_json_and_bytes_hold_the_same(one: Tensor) -> None:
    nested = [[value] for value in one.values]
    for data in (one.values, nested):
        shape = [len(data), 1] if data is nested else list(one.shape)
        told = {"name": "t", "datatype": one.datatype, "shape": shape, "data": data}
        if any(value in (np.inf, -np.inf) for value in one.values):
            return  # JSON has no such number
        read = inference.read(msgspec.json.encode({"inputs": [told]}), None)
        assert list(read.tensors[0].values) == list(one.values)


@given(st.binary(max_size=200), st.none() | st.integers(-1, 300).map(lambda n: str(n).encode()))
def test_any_bytes_are_read_or_refused(body: bytes, header: bytes | None) -> None:
    with contextlib.suppress(BadInputError):
        inference.read(body, header)


@given(
    st.sampled_from([*DATATYPES, "FP8"]),
    st.lists(st.integers(-2, 9), max_size=9),
    st.binary(max_size=40),
)
def test_any_tensor_of_bytes_is_read_or_refused(
    datatype: str, shape: list[int], raw: bytes
) -> None:
    try:
        found = tensors.of_bytes("t", datatype, shape, raw)
    except BadInputError:
        return
    assert len(found.values) == np.prod(shape, dtype=int)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-(2**53), 2**53), st.integers(-100, 100)), min_size=1))
def test_a_matrix_is_its_columns_by_place(rows: list[tuple[int, int]]) -> None:
    values = np.array(rows, dtype=np.float64)
    for flat in (values.ravel(), values.ravel().tolist()):
        matrix = Tensor("x", "FP64", values.shape, flat)
        ready = check(tensors.columns_of([matrix], NUMBERS), NUMBERS)
        assert np.asarray(ready.columns["a"]).tolist() == [float(a) for a, _ in rows]
        assert np.asarray(ready.columns["b"]).tolist() == [b for _, b in rows]
        assert np.asarray(ready.columns["b"]).dtype == np.int64


@pytest.mark.parametrize(
    ("datatype", "raw", "words"),
    [
        ("BYTES", struct.pack("<I", 9) + b"abc", "ends within an element"),
        ("BYTES", b"\x01\x00", "ends within the length"),
        ("BYTES", struct.pack("<I", 1) + b"\xff", "element 0 that are not UTF-8"),
        ("BOOL", b"\x02", "other than 0 and 1"),
        ("FP64", bytes(4), "has 4 bytes, wanted 8"),
        ("FP65", bytes(8), "Did you mean"),
    ],
)
def test_bytes_that_are_no_tensor_are_refused(datatype: str, raw: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        tensors.of_bytes("t", datatype, [1], raw)


@pytest.mark.parametrize(
    ("datatype", "value", "words"),
    [
        ("INT8", 128, "is INT8, but value 0 is 128"),
        ("UINT64", -1, "is UINT64, but value 0 is -1"),
        ("INT64", 1.5, "is INT64, but value 0 is '1.5'"),
        ("BOOL", 1, "is BOOL"),
        ("BYTES", 1, "is BYTES"),
        ("FP32", "1", "is FP32"),
        ("FP64", {}, "is FP64"),
    ],
)
def test_a_value_that_the_datatype_cannot_hold_is_refused(
    datatype: str, value: Any, words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        tensors.of_json("t", datatype, [1], [value])


def test_whole_numbers_of_every_width_become_what_the_column_is() -> None:
    for name, dtype in DTYPES.items():
        if name == "BOOL":
            continue
        ready = check({"a": np.array([3], dtype), "b": np.array([4], dtype)}, NUMBERS)
        assert [ready.columns[c].dtype.char for c in "ab"] == ["d", "l"]
    for wrong in (np.array([2**63], np.uint64), np.array([2.5]), np.array([np.inf])):
        with pytest.raises(BadInputError, match="'b', row 0"):
            check({"a": np.array([1.0]), "b": wrong}, NUMBERS)
    with pytest.raises(BadInputError, match=r"'a', row 1.*exactly"):
        check({"a": np.array([1, 2**53 + 1]), "b": np.array([1, 1])}, NUMBERS)

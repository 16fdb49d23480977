"""Tensors of the Open Inference Protocol: from JSON or little-endian bytes to columns, and back.

Both doors of the protocol, HTTP and gRPC, come here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import BadInputError
from mainspring.ground.nearest import meant
from mainspring.ground.objects import Signature

Values = npt.NDArray[Any] | list[Any]

#: The protocol's datatypes of numbers, as numpy names their little-endian bytes.
DTYPES: dict[str, str] = {
    "BOOL": "?",
    **{
        f"{sign}INT{bits}": f"<{sign.lower() or 'i'}{bits // 8}"
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
DATATYPES = (*DTYPES, "BYTES")

_KINDS: dict[str, set[type]] = {"BOOL": {bool}, "BYTES": {str}}
_INTS: set[type] = {int}
_NUMBERS: set[type] = {int, float}
_MOST_DIMENSIONS = 8
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """Named values of one datatype, row by row, whatever their shape.

    Numbers that came as bytes are an array of one dimension; what came as JSON is a list, which
    may hold None for a missing value. BYTES are a list of texts.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Values


def of_json(name: str, datatype: str, shape: Sequence[int], data: Sequence[Any]) -> Tensor:
    """Return a tensor whose data came as JSON, nested by its shape or flat.

    Raises:
        BadInputError: naming the tensor, for another count, a value of another type, or a whole
            number that the datatype cannot hold.
    """
    count = _count(name, datatype, shape)
    flat = list(data)
    for _ in shape:
        if flat and type(flat[0]) is list:
            flat = _opened(name, flat)
    if len(flat) != count:
        raise refused(name, f"has {len(flat)} values for shape {list(shape)}")
    wanted = _KINDS.get(datatype) or (_NUMBERS if datatype.startswith("FP") else _INTS)
    if not set(map(type, flat)) <= wanted | {type(None)}:
        row = next(i for i, v in enumerate(flat) if v is not None and type(v) not in wanted)
        raise refused(name, f"is {datatype}, but value {row} is {str(flat[row])[:80]!r}")
    if wanted is _INTS:
        _in_range(name, datatype, flat)
    return Tensor(name, datatype, tuple(shape), flat)


def of_bytes(name: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> Tensor:
    """Return a tensor whose data came as bytes: numbers little-endian, BYTES with their lengths.

    Numbers are not copied. Each element of BYTES stands behind its length in 4 bytes.

    Raises:
        BadInputError: naming the tensor, for another size, or text that is not UTF-8.
    """
    count = _count(name, datatype, shape)
    if datatype == "BYTES":
        return Tensor(name, datatype, tuple(shape), _texts(name, raw, count))
    dtype = np.dtype(DTYPES[datatype])
    if len(raw) != count * dtype.itemsize:
        raise refused(
            name,
            f"has {len(raw)} bytes, wanted {count * dtype.itemsize} for {datatype} of shape"
            f" {list(shape)}",
        )
    values: npt.NDArray[Any] = np.frombuffer(raw, dtype)
    if datatype == "BOOL" and count and int(values.view(np.uint8).max()) > 1:
        raise refused(name, "is BOOL, and holds bytes other than 0 and 1")
    return Tensor(name, datatype, tuple(shape), values)


def to_bytes(tensor: Tensor) -> bytes:
    """Return the values of a tensor as the protocol's bytes.

    >>> to_bytes(Tensor("a", "BYTES", (2,), ["x", "yz"])).hex(" ")
    '01 00 00 00 78 02 00 00 00 79 7a'
    """
    if tensor.datatype != "BYTES":
        return np.asarray(tensor.values, dtype=DTYPES[tensor.datatype]).tobytes()
    parts: list[bytes] = []
    for text in tensor.values:
        data = text.encode()
        parts += (_LENGTH.pack(len(data)), data)
    return b"".join(parts)


def columns_of(tensors: Sequence[Tensor], signature: Signature) -> dict[str, Values]:
    """Return tensors as columns by name: one tensor a column, or one matrix of all of them.

    A column is a tensor of shape [rows] or [rows, 1] with the column's name. A matrix is the only
    tensor, has shape [rows, columns] and any name: its columns are the signature's, in its order.

    Raises:
        BadInputError: naming the tensor, for any other shape or a name that comes twice.
    """
    if len(tensors) == 1 and _is_matrix(tensors[0], signature):
        return _by_place(tensors[0], signature)
    columns: dict[str, Values] = {}
    for tensor in tensors:
        if tensor.name in columns:
            raise refused(tensor.name, "is there twice")
        shape = tensor.shape
        if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
            raise refused(
                tensor.name,
                f"has shape {list(shape[:8])}, wanted [rows] or [rows, 1], or one tensor"
                " [rows, columns] with all columns",
            )
        columns[tensor.name] = tensor.values
    return columns


def refused(name: str, why: str) -> BadInputError:
    """Return the refusal of one tensor."""
    return BadInputError(f"Input {name[:80]!r} {why}.", field=name)


def _is_matrix(tensor: Tensor, signature: Signature) -> bool:
    if len(tensor.shape) != 2:
        return False
    names = {column.name for column in signature.columns}
    return tensor.shape[1] != 1 or (len(names) == 1 and tensor.name not in names)


def _by_place(tensor: Tensor, signature: Signature) -> dict[str, Values]:
    rows, wide = tensor.shape
    columns = signature.columns
    if wide != len(columns):
        told = ", ".join(column.name for column in columns[:50])
        raise refused(
            tensor.name, f"has {wide} columns, the model takes {len(columns)}, by place: {told}"
        )
    wanted = "str" if tensor.datatype == "BYTES" else "number"
    for column in columns:
        if (column.type == "str") is not (wanted == "str"):
            raise BadInputError(
                f"Input {tensor.name[:80]!r} is one matrix of {tensor.datatype}, and column"
                f" {column.name!r} is {column.type}. Send one tensor a column.",
                field=column.name,
            )
    if isinstance(tensor.values, list):
        parts: list[Values] = [tensor.values[place::wide] for place in range(wide)]
    else:
        # Each column in one piece: it is scored and recorded as such.
        parts = list(np.ascontiguousarray(tensor.values.reshape(rows, wide).T))
    return {
        column.name: _truths(values) if column.type == "bool" else values
        for column, values in zip(columns, parts, strict=True)
    }


def _truths(values: Values) -> Values:
    """Return the zeros and ones of a matrix's column as truths: a matrix has one datatype."""
    if isinstance(values, list):
        if all(value in (0, 1, None) for value in values):
            return [None if value is None else bool(value) for value in values]
    elif ((values == 0) | (values == 1)).all():
        return values.astype(np.bool_)
    return values


def _count(name: str, datatype: str, shape: Sequence[int]) -> int:
    if datatype not in DATATYPES:
        raise refused(
            name, f"has datatype {datatype[:20]!r}. {meant(datatype[:20], DATATYPES).rstrip('.')}"
        )
    if len(shape) > _MOST_DIMENSIONS or any(size < 0 for size in shape):
        raise refused(name, f"has shape {list(shape[:8])}")
    return math.prod(shape)


def _opened(name: str, nested: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for part in nested:
        if type(part) is not list:
            raise refused(name, "mixes values and lists of values")
        flat += part
    return flat


def _in_range(name: str, datatype: str, flat: list[Any]) -> None:
    most = np.iinfo(np.dtype(DTYPES[datatype]))
    for row, value in enumerate(flat):
        if value is not None and not most.min <= value <= most.max:
            raise refused(name, f"is {datatype}, but value {row} is {str(value)[:40]}")


def _texts(name: str, raw: bytes | memoryview, count: int) -> list[str]:
    data, at, found = bytes(raw), 0, []
    unpack = _LENGTH.unpack_from
    try:
        while at < len(data):
            start = at + 4
            at = start + int(unpack(data, at)[0])
            if at > len(data):
                raise refused(name, "ends within an element")
            found.append(data[start:at].decode())
    except struct.error as error:
        raise refused(name, "ends within the length of an element") from error
    except UnicodeDecodeError as error:
        raise refused(name, f"holds bytes in element {len(found)} that are not UTF-8") from error
    if len(found) != count:
        raise refused(name, f"holds {len(found)} elements, wanted {count}")
    return found

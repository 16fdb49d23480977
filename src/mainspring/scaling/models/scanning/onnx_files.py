"""Look at an ONNX model: weights that lie in other files, and operators nobody knows.

Its protobuf is walked by hand, field by field, so that nothing but this file reads the bytes.
Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, AttributeProto,
TensorProto), which a format can only add to.
"""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.scaling.models.scanning.archives import leads_outside
from mainspring.scaling.models.scanning.findings import Found, Grave

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "com.microsoft"}
_GRAPH, _OPSET = 7, 8  # of a model
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of a graph
_ATTRIBUTE = 5  # of a node
_TENSOR, _INNER, _TENSORS, _INNERS = 5, 6, 10, 11  # of an attribute
_HOLDING = (_TENSOR, _INNER, _TENSORS, _INNERS)
_EXTERNAL = 13  # of a tensor
_DEEPEST = 32  # graphs in graphs

Field = tuple[int, memoryview]


def judged(path: str, data: bytes) -> Iterator[Found]:
    """Say of an ONNX file what it would read beside itself, and which operators it asks for."""
    try:
        places = sorted(set(_outside(memoryview(data))))
        strange = sorted(set(_domains(memoryview(data))) - _DOMAINS)
    except (ValueError, IndexError, UnicodeError) as error:
        yield Found(path=path, grave=Grave.UNKNOWN, told=f"it is no ONNX model: {error}")
        return
    if places:
        grave = Grave.DANGER if any(map(leads_outside, places)) else Grave.UNKNOWN
        yield Found(path=path, grave=grave, told=f"its weights lie in {', '.join(places[:4])}")
    if strange:
        told = f"it asks for operators of {', '.join(strange[:4])}"
        yield Found(path=path, grave=Grave.UNKNOWN, told=told)


def _domains(model: memoryview) -> Iterator[str]:
    for number, part in _fields(model):
        if number == _OPSET:
            yield next((bytes(text).decode() for n, text in _fields(part) if n == 1), "")


def _outside(model: memoryview) -> Iterator[str]:
    """Yield the files in which tensors say that their numbers lie."""
    waiting = [(part, 0) for number, part in _fields(model) if number == _GRAPH]
    while waiting:
        graph, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("graphs in graphs without end")
        for number, part in _parts(graph):
            if number in (_INNER, _INNERS):
                waiting.append((part, depth + 1))
            else:
                yield from _places(part)


def _parts(graph: memoryview) -> Iterator[Field]:
    """Yield the tensors of a graph, and with their field's number the graphs of its nodes."""
    for number, part in _fields(graph):
        if number == _INITIALIZER:
            yield _TENSOR, part
        elif number == _SPARSE:
            yield from ((_TENSOR, tensor) for _, tensor in _fields(part))
        elif number == _NODE:
            attributes = (value for inner, value in _fields(part) if inner == _ATTRIBUTE)
            held = (one for attribute in attributes for one in _fields(attribute))
            yield from (one for one in held if one[0] in _HOLDING)


def _places(tensor: memoryview) -> Iterator[str]:
    for number, part in _fields(tensor):
        if number != _EXTERNAL:
            continue
        entry = {key: bytes(value) for key, value in _fields(part)}
        if entry.get(1) == b"location":
            yield entry.get(2, b"").decode()[:200]


def _fields(data: memoryview) -> Iterator[Field]:
    """Yield the fields of a message that have a length; numbers are passed over.

    Raises:
        ValueError, IndexError: if the bytes are no message.
    """
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        wire = tag & 7
        if wire == 0:
            _, place = _varint(data, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        elif wire == 2:
            size, place = _varint(data, place)
            if place + size > end:
                raise ValueError("a field is longer than its message")
            yield tag >> 3, data[place : place + size]
            place += size
        else:
            raise ValueError(f"wire type {wire}")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number without end")

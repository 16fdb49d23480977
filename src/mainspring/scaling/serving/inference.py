"""Read and write the bodies of the Open Inference Protocol over HTTP: JSON, and bytes behind it.

With the binary extension a body is JSON whose length stands in a header, and after it the bytes
of the tensors that say so, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from mainspring.ground.errors import BadInputError
from mainspring.scaling.serving import tensors
from mainspring.scaling.serving.answers import JSON, Reply, as_json
from mainspring.scaling.serving.requests import decoded
from mainspring.scaling.serving.tensors import Tensor

HEADER = b"inference-header-content-length"
BINARY = b"application/octet-stream"

#: Parameters of a tensor that ask for what is not here; ignoring them would score other data.
_UNREAD = ("shared_memory_region", "classification")


@dataclass(frozen=True, slots=True)
class Inference:
    """An infer request: its tensors, the outputs it wants (none: all), each as bytes or JSON."""

    tensors: list[Tensor]
    id: str | None = None
    outputs: tuple[str, ...] = ()
    binary: frozenset[str] = frozenset()  #: outputs wanted as bytes
    all_binary: bool = False  #: outputs of which nothing is said are wanted as bytes
    parameters: dict[str, Any] | None = None

    def is_binary(self, output: str) -> bool:
        """Return whether an output is wanted as bytes."""
        return output in self.binary or (self.all_binary and not self.outputs)


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Infer(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


_infer: Callable[[bytes | memoryview], _Infer] = msgspec.json.Decoder(_Infer).decode


def read(body: bytes, header: bytes | None) -> Inference:
    """Return an infer request. ``header`` is the length of its JSON, or None: it is all JSON.

    Raises:
        BadInputError: for what cannot be read, naming the tensor where it is one.
    """
    view = memoryview(body)
    length = len(body) if header is None else _length(header, len(body))
    sent = decoded(_infer, view[:length])
    rest, found = view[length:], []
    for one in sent.inputs:
        parameters = one.parameters or {}
        refuse_unread(one.name, parameters)
        size = parameters.get("binary_data_size")
        if size is None:
            if one.data is None:
                raise tensors.refused(one.name, "has neither data nor binary_data_size")
            found.append(tensors.of_json(one.name, one.datatype, one.shape, one.data))
            continue
        if header is None or type(size) is not int or not 0 <= size <= len(rest):
            raise tensors.refused(
                one.name,
                f"should have {str(size)[:40]} bytes behind the JSON, where there are"
                f" {len(rest)}; the JSON's length stands in Inference-Header-Content-Length",
            )
        found.append(tensors.of_bytes(one.name, one.datatype, one.shape, rest[:size]))
        rest = rest[size:]
    if len(rest):
        raise BadInputError(f"{len(rest)} bytes behind the last tensor belong to none.")
    return _wanted(sent, found)


def _wanted(sent: _Infer, found: list[Tensor]) -> Inference:
    parameters = sent.parameters or {}
    all_binary = parameters.get("binary_data_output") is True
    outputs = sent.outputs or []
    binary = set()
    for output in outputs:
        refuse_unread(output.name, output.parameters or {})
        if (output.parameters or {}).get("binary_data", all_binary) is True:
            binary.add(output.name)
    names = tuple(output.name for output in outputs)
    return Inference(found, sent.id, names, frozenset(binary), all_binary, parameters)


def write(told: dict[str, Any], outputs: Sequence[Tensor], asked: Inference) -> Reply:
    """Return an answer: ``told`` and its outputs, each as it was wanted."""
    shown: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for one in outputs:
        head: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.shape}
        if asked.is_binary(one.name):
            parts.append(tensors.to_bytes(one))
            head["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            values = one.values
            head["data"] = values.tolist() if isinstance(values, np.ndarray) else values
        shown.append(head)
    whole = {**told, "outputs": shown}
    if asked.id is not None:
        whole["id"] = asked.id
    reply = as_json(whole)
    if not parts:
        return reply
    length = (HEADER, str(len(reply.body)).encode())
    return Reply(200, BINARY, b"".join((reply.body, *parts)), [length])


def _length(header: bytes, whole: int) -> int:
    if not header.isdigit() or len(header) > 18 or not 0 < int(header) <= whole:
        raise BadInputError(
            f"Inference-Header-Content-Length is {header[:20].decode('latin-1')!r}, and the body"
            f" has {whole} bytes.",
            field="inference-header-content-length",
        )
    return int(header)


def refuse_unread(name: str, parameters: Collection[str]) -> None:
    """Refuse a tensor whose parameters ask for what is not here.

    Raises:
        BadInputError: naming the tensor.
    """
    for word in _UNREAD:
        if word in parameters:
            raise tensors.refused(name, f"asks for {word}, which is not served here")


__all__ = ["BINARY", "HEADER", "JSON", "Inference", "read", "write"]

"""A bare ONNX file as a model: what it takes is read from the file, what it gives from its rows.

The file is kept and is the exact form. The fast form is the same graph with one input a column, as
every served model has it; both are compared on real rows like any two forms.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError, ModelFailedError
from mainspring.ground.objects import Column, Kind
from mainspring.scaling.models.features import Word
from mainspring.scaling.models.ours import Floats, Ours

FILE, FACTS = "file.onnx", "file.json"
#: numbers of onnx.TensorProto -> our word, the word of the serving form, numpy's
_KINDS: dict[int, tuple[Word, str, Any]] = {
    1: ("float", "float32", np.float32),
    11: ("float", "float64", np.float64),
    6: ("int", "int64", np.int32),
    7: ("int", "int64", np.int64),
    8: ("str", "string", np.object_),
    9: ("bool", "bool", np.bool_),
}
_NUMBERS = {"float32": 1, "float64": 11, "int64": 7, "string": 8, "bool": 9}
_INT32 = 6
_INNER, _OUTER = "inner/", "outer/"  # of names in the serving form


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a file."""

    name: str
    kind: int  #: of onnx.TensorProto
    width: int | None  #: columns of a matrix; 1 of a single column; None: as many as there are
    flat: bool = False  #: of shape (rows,)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``file.json``: how rows become the file's inputs, and what its answer means."""

    kind: Kind
    columns: list[Column]
    inputs: list[Given]
    classes: list[str] = []


class OnnxFile(Ours):
    """A model that somebody wrote as ONNX. Safe to use from several threads."""

    def __init__(self, facts: Facts, data: bytes) -> None:
        classes = np.asarray(facts.classes, dtype=object) if facts.classes else None
        super().__init__(facts.kind, [column.name for column in facts.columns], classes)
        self.facts, self.data = facts, data
        self._loading = threading.Lock()
        self._session: Any = None

    def scores(self, features: Any) -> Floats:
        """Return scores of shape (rows, k).

        Raises:
            BadInputError: if the file answers something else.
            ModelFailedError: if it fails on these rows.
        """
        frame = pl.DataFrame(features)
        session = self._opened()
        last = session.get_outputs()[-1]
        if not last.type.startswith("tensor("):
            raise BadInputError(
                f"Its last output {last.name!r} is a {last.type}, and no tensor.",
                field="model",
                hint="Convert it without ZipMap: options={'zipmap': False}.",
            )
        feed = self._feed(frame)
        try:
            found = np.asarray(session.run([last.name], feed)[0])
        # The runtime raises errors of its own, such as for a category that an encoder lacks.
        except Exception as error:
            told = str(error).strip().partition("\n")[0][:300]
            raise ModelFailedError(f"The ONNX file failed: {told}") from error
        if found.dtype.kind not in "fiub" or found.ndim not in (1, 2):
            raise BadInputError(
                f"Its last output {last.name!r} has shape {found.shape} of {found.dtype}; wanted"
                " one number a row, or one probability a class.",
                field="model",
            )
        return self._checked(found.reshape(len(found), -1).astype(np.float64))

    def inputs(self) -> dict[str, str]:
        """Return how each column is typed in the serving form."""
        several = self.facts.inputs
        if self._takes_matrix:
            word = _KINDS[several[0].kind][1]
            return {column.name: word for column in self.facts.columns}
        return {one.name: _KINDS[one.kind][1] for one in several}

    def converted(self) -> bytes:
        """Return the file's graph with one input a column, and one tensor of scores."""
        import onnx
        import onnx.compose
        from onnx import TensorProto, helper

        # Inside, every name gets a prefix, so that none is that of a column.
        model = onnx.compose.add_prefix(onnx.load_model_from_string(self.data), _INNER)
        graph, words = model.graph, self.inputs()
        given = {f"{_INNER}{one.name}" for one in self.facts.inputs}
        kept = [one for one in graph.input if one.name not in given]
        columns = [
            helper.make_tensor_value_info(name, _NUMBERS[word], [None, 1])
            for name, word in words.items()
        ]
        last = graph.output[-1]
        shape = helper.make_tensor("", TensorProto.INT64, [2], [0, -1])
        back = [
            helper.make_node("Constant", [], [f"{_OUTER}shape"], value=shape),
            helper.make_node("Reshape", [last.name, f"{_OUTER}shape"], [f"{_OUTER}scores"]),
        ]
        kind = last.type.tensor_type.elem_type
        nodes = [*self._joined(list(words)), *graph.node, *back]
        scores = helper.make_tensor_value_info(f"{_OUTER}scores", kind, [None, None])
        for field, several in (
            (graph.node, nodes),
            (graph.input, [*columns, *kept]),
            (graph.output, [scores]),
        ):
            del field[:]
            field.extend(several)
        data: bytes = model.SerializeToString()
        return data

    def _joined(self, names: list[str]) -> Any:
        """Yield the nodes that make the file's own inputs of columns."""
        from onnx import TensorProto, helper

        several = self.facts.inputs
        if self._takes_matrix:
            joined = f"{_OUTER}matrix"
            yield helper.make_node("Concat", names, [joined], axis=1)
            yield _as_kind(joined, several[0])
            return
        flat = helper.make_tensor("", TensorProto.INT64, [1], [-1])
        yield helper.make_node("Constant", [], [f"{_OUTER}flat"], value=flat)
        for name, one in zip(names, several, strict=True):
            now = name
            if one.flat:
                now = f"{_OUTER}{name}"
                yield helper.make_node("Reshape", [name, f"{_OUTER}flat"], [now])
            yield _as_kind(now, one)

    @property
    def _takes_matrix(self) -> bool:
        return len(self.facts.inputs) == 1 and self.facts.inputs[0].width != 1

    def _feed(self, frame: pl.DataFrame) -> dict[str, Any]:
        several = self.facts.inputs
        names = [column.name for column in self.facts.columns]
        if self._takes_matrix:
            kind = _KINDS[several[0].kind][2]
            return {several[0].name: np.column_stack([_numbers(frame[n], kind) for n in names])}
        feed = {}
        for one in several:
            column = frame[one.name]
            kind = _KINDS[one.kind][2]
            values = (
                np.array(column.fill_null("\x00missing").to_list(), dtype=object)
                if kind is np.object_
                else _numbers(column, kind)
            )
            feed[one.name] = values if one.flat else values.reshape(-1, 1)
        return feed

    def _checked(self, found: Floats) -> Floats:
        wanted = len(self.facts.classes) if self.kind == "multiclass" else 1
        if self.kind == "binary" and found.shape[1] == 2:
            found = found[:, 1:]
        if found.shape[1] != wanted:
            raise BadInputError(
                f"Its last output has {found.shape[1]} numbers a row; a {self.kind} model gives"
                f" {wanted}.",
                field="model",
            )
        if self.kind != "regression":
            bad = (found < -1e-5) | (found > 1 + 1e-5)
            if bad.any():
                raise BadInputError(
                    f"Its last output gives {found[bad][0]!r}, which is no probability.",
                    field="model",
                    hint="Let the file end in a sigmoid or a softmax.",
                )
            return np.clip(found, 0.0, 1.0)
        return found

    def _opened(self) -> Any:
        with self._loading:
            if self._session is None:
                self._session = session(self.data)
            return self._session


def _as_kind(name: str, one: Given) -> Any:
    from onnx import helper

    if one.kind == _INT32:
        return helper.make_node("Cast", [name], [f"{_INNER}{one.name}"], to=_INT32)
    return helper.make_node("Identity", [name], [f"{_INNER}{one.name}"])


def session(data: bytes) -> Any:
    """Return a session of an ONNX file on one thread.

    Raises:
        BadInputError: if the runtime cannot read it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    # The runtime raises errors of its own for what it does not know or cannot parse.
    except Exception as error:
        told = str(error).strip().partition("\n")[0][:200]
        raise BadInputError(f"The ONNX file cannot be loaded: {told}", field="model") from error


def inputs_of(data: bytes) -> list[Given]:
    """Return what an ONNX file takes: one matrix, or single columns.

    Raises:
        BadInputError: if it takes something else, or a fixed number of rows.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise BadInputError(f"It is no ONNX model: {str(error)[:200]}", field="model") from error
    weights = {one.name for one in model.graph.initializer}
    found = [_given(one) for one in model.graph.input if one.name not in weights]
    if not found:
        raise BadInputError("The ONNX file takes nothing.", field="model")
    if len(found) > 1 and any(one.width != 1 for one in found):
        raise BadInputError(
            "The ONNX file takes several inputs, and not one column each.",
            field="model",
            hint="Let it take one matrix of shape (rows, columns), or one input a column.",
        )
    return found


def _given(value: Any) -> Given:
    tensor = value.type.tensor_type
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in tensor.shape.dim]
    if tensor.elem_type not in _KINDS or len(sizes) not in (1, 2):
        raise BadInputError(
            f"The input {value.name!r} is no column and no matrix of numbers or text.",
            field="model",
        )
    if sizes[0] is not None:
        raise BadInputError(
            f"The ONNX file takes exactly {sizes[0]} rows at a time.",
            field="model",
            hint="Export it with a dynamic first axis.",
        )
    flat = len(sizes) == 1
    width = 1 if flat else sizes[1]
    return Given(name=value.name, kind=tensor.elem_type, width=width, flat=flat)


def columns_of(inputs: Sequence[Given], names: Sequence[str]) -> list[Column]:
    """Return the columns of a file's inputs; ``names`` are those of a matrix.

    Raises:
        BadInputError: if the matrix has another number of columns.
    """
    if len(inputs) > 1 or inputs[0].width == 1:
        return [Column(name=one.name, type=_KINDS[one.kind][0]) for one in inputs]
    [one] = inputs
    if one.width not in (None, len(names)):
        raise BadInputError(
            f"The ONNX file takes {one.width} columns; the rows have {len(names)} beside the"
            " target.",
            field="rows",
            hint="Give the rows exactly the model's columns, in its order, and the target.",
        )
    return [Column(name=name, type=_KINDS[one.kind][0]) for name in names]


def _numbers(column: pl.Series, kind: Any) -> Any:
    """Return a column in the type that an input asks for.

    Raises:
        BadInputError: if a value is missing where the type has no such value.
    """
    if column.null_count() and kind not in (np.float32, np.float64):
        raise BadInputError(
            f"Column {column.name!r} is missing in a row, and the ONNX file takes whole numbers.",
            field=column.name,
        )
    return column.to_numpy().astype(kind)

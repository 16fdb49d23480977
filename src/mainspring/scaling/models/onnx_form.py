"""The fast form of a model: convert it to ONNX, prove that it agrees, run it on one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import ModelFailedError
from mainspring.ground.objects import Kind, Signature
from mainspring.scaling.models import trees_onnx
from mainspring.scaling.models.boosted import Boosted
from mainspring.scaling.models.check import Values
from mainspring.scaling.models.estimator import raw_scores
from mainspring.scaling.models.features import Features
from mainspring.scaling.models.ours import Ours

TOLERANCE = 1e-5  #: of a probability, or of a regression's scale
#: Stands for a missing text, which ONNX does not know; no category has a zero character.
MISSING_TEXT = "\x00missing"
UNSEEN_TEXT = "\x00unseen"

_DTYPES = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_}
_patching = threading.Lock()


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How the ONNX form compares with the estimator on training rows, and what was decided."""

    passed: bool
    reason: str
    missing: bool = True  #: false: rows with a missing value are left to the estimator
    rows: int = 0
    max_difference: float | None = None
    labels_differ: int = 0
    tolerance: float = TOLERANCE
    inputs: dict[str, str] = {}  #: feature -> float32, float64, int64, bool or string
    gaps: int = 0  #: of the rows, those with a missing value


def convert(
    estimator: Any, features: Features, signature: Signature, sample: pl.DataFrame
) -> tuple[bytes | None, Parity]:
    """Return the ONNX bytes of a fitted estimator, or None with the reason why there are none.

    The two forms are compared on ``sample`` (raw training rows) and on rows with a missing value
    or an unseen category in each column that allows it. They agree if no score differs by more
    than :data:`TOLERANCE` (of a regression: times its scale) and no label at all.
    If they agree except where a value is missing, the ONNX form is kept for complete rows.
    """
    if isinstance(estimator, Ours) and estimator.no_onnx:
        return None, Parity(passed=False, reason=estimator.no_onnx)
    raw = pl.concat([sample, _strange_rows(sample, signature)])
    complete = raw.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    probe = features.apply(raw)
    try:
        wanted = raw_scores(estimator, signature.kind, probe)
    except (ValueError, ModelFailedError) as error:
        # Such as an encoder that raises on unknown categories: ONNX would answer all the same.
        return None, Parity(passed=False, reason=f"It refuses strange rows: {_reason(error)}")
    verdict = Parity(passed=False, reason="There is no way to convert it.")
    for inputs in _input_types(estimator, features, signature):
        try:
            data = _to_onnx(estimator, inputs, signature.kind)
            found = OnnxScorer(data, inputs, signature.kind).score(feature_columns(probe))
        # Converters and the runtime raise whatever they like for what they do not support; the
        # reason is kept and the native form serves.
        except Exception as error:  # noqa: BLE001
            verdict = Parity(passed=False, reason=_reason(error), inputs=inputs)
            continue
        verdict = _compare(wanted, found, signature, inputs, gaps=int((~complete).sum()))
        if not verdict.passed and complete.any():
            part = _compare(wanted[complete], found[complete], signature, inputs)
            if part.passed:
                reason = "Both forms agree where no value is missing."
                verdict = msgspec.structs.replace(part, missing=False, reason=reason)
        if verdict.passed:
            return data, verdict
    return None, verdict


class OnnxScorer:
    """Scores feature columns with one ONNX session on one thread."""

    def __init__(self, data: bytes, inputs: Mapping[str, str], kind: Kind) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
        # The wrapper around it checks names and types that were checked before, for 4 us a call.
        self._run = getattr(self._session, "_sess", self._session).run
        outputs = [output.name for output in self._session.get_outputs()]
        self._output = [outputs[-1]]  # a classifier's labels, where there are any, come first
        self._inputs = dict(inputs)
        self._floats = [name for name, word in inputs.items() if word == "float32"]
        self._others = {name: word for name, word in inputs.items() if word != "float32"}
        self._kind = kind

    def score(self, columns: Mapping[str, Values]) -> npt.NDArray[np.float64]:
        """Return scores of shape (rows, k) of features given column by column."""
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            feed = self._feed(columns)
        found: npt.NDArray[np.float64] = np.asarray(
            self._run(self._output, feed, None)[0], dtype=np.float64
        )
        if self._kind == "regression":
            return found.reshape(len(found), 1)
        # Single precision may sum or round to just outside of what a probability can be.
        np.minimum(np.maximum(found, 0.0, out=found), 1.0, out=found)
        return found[:, -1:] if self._kind == "binary" else found

    def _feed(self, columns: Mapping[str, Values]) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors of the session's inputs, each of shape (rows, 1)."""
        floats: list[Any] = [columns[name] for name in self._floats]
        if not all(isinstance(one, np.ndarray) and one.dtype == np.float64 for one in floats):
            return {name: _tensor(columns[name], kind) for name, kind in self._inputs.items()}
        feed = {name: _tensor(columns[name], kind) for name, kind in self._others.items()}
        if floats:
            # All in one go: a conversion a column costs more than the rows of most requests.
            block = np.concatenate(floats).astype(np.float32).reshape(len(floats), -1, 1)
            feed.update(zip(self._floats, block, strict=True))
        return feed


def feature_columns(frame: pl.DataFrame) -> dict[str, Values]:
    """Return a polars frame as the columns an :class:`OnnxScorer` takes."""
    out: dict[str, Values] = {}
    for name, values in zip(frame.columns, frame.get_columns(), strict=True):
        out[name] = values.to_list() if values.dtype == pl.String else values.to_numpy()
    return out


def _tensor(values: Values, kind: str) -> npt.NDArray[Any]:
    if kind == "string":
        plain = [MISSING_TEXT if value is None else value for value in values]
        return np.array(plain, dtype=object).reshape(-1, 1)
    array = np.asarray(values)
    if array.dtype == object:  # booleans with nulls
        array = np.array([np.nan if value is None else value for value in values], np.float64)
    wanted = _DTYPES[kind]
    return array.astype(wanted).reshape(-1, 1)


def _input_types(
    estimator: Any, features: Features, signature: Signature
) -> Iterator[dict[str, str]]:
    """Yield the ways to type the inputs: whole numbers as such where none can miss, or not."""
    told = estimator.inputs() if isinstance(estimator, Ours) else None
    if isinstance(estimator, Boosted):
        told = trees_onnx.input_types(estimator, features.names)
    if told is not None:
        yield told
        return
    nullable = {column.name for column in signature.columns if column.nullable}

    def exact(name: str) -> bool:
        return features.plain and name not in nullable

    kinds = {"str": "string", "float": "float32"}
    words = {"int": "int64", "bool": "bool"}
    careful = {
        name: kinds.get(kind) or (words[kind] if exact(name) else "float32")
        for name, kind in features.types.items()
    }
    yield careful
    simple = {name: kinds.get(kind, "float32") for name, kind in features.types.items()}
    if simple != careful:
        yield simple


def _to_onnx(estimator: Any, inputs: Mapping[str, str], kind: Kind) -> bytes:
    if isinstance(estimator, Boosted):
        before = None if estimator.before is None else _converted(estimator.before, inputs, None)
        return trees_onnx.convert(estimator, inputs, before)
    if isinstance(estimator, Ours):
        return estimator.converted()
    data: bytes = _converted(
        estimator, inputs, None if kind == "regression" else {"zipmap": False}
    ).SerializeToString()
    return data


def _converted(estimator: Any, inputs: Mapping[str, str], options: dict[str, Any] | None) -> Any:
    from skl2onnx import to_onnx
    from skl2onnx.common import data_types

    types = {
        "float32": data_types.FloatTensorType,
        "int64": data_types.Int64TensorType,
        "bool": data_types.BooleanTensorType,
        "string": data_types.StringTensorType,
    }
    initial = [(name, types[word]([None, 1])) for name, word in inputs.items()]
    if not hasattr(estimator, "transform") and not _reads_names(estimator):
        initial, estimator = _joined(initial, estimator)
    told = None if options is None else {id(estimator): options}
    with _plain_attributes():
        model = to_onnx(estimator, initial_types=initial, options=told)
    _name_inputs(model.graph, list(inputs))
    return model


def _name_inputs(graph: Any, names: list[str]) -> None:
    """Name the graph's inputs as the features: the converter alters what is no identifier."""
    called = {given.name: name for given, name in zip(graph.input, names, strict=True)}
    for given in graph.input:
        given.name = called[given.name]
    for node in graph.node:
        node.input[:] = [called.get(name, name) for name in node.input]


def _reads_names(estimator: Any) -> bool:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    return isinstance(first, ColumnTransformer)


def _joined(initial: list[Any], estimator: Any) -> tuple[list[Any], Any]:
    """Put a step in front that joins single columns into the matrix an estimator expects."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    names = [name for name, _ in initial]
    join = ColumnTransformer([("all", "passthrough", names)])
    shell = pl.DataFrame({name: [0.0, 1.0] for name in names})
    join.fit(shell)
    return initial, Pipeline([("join", join), ("model", estimator)])


@contextmanager
def _plain_attributes() -> Iterator[None]:
    """Hand protobuf plain numbers while converting.

    skl2onnx 1.20 passes numpy booleans of the gradient boosting's trees as whole numbers, which
    protobuf from version 6 on refuses ("Expected an int, got a boolean").
    """
    from skl2onnx.common import _container

    owner = _container.ModelComponentContainer
    with _patching:
        original = owner.add_node

        def add_node(self: Any, *args: Any, **attributes: Any) -> Any:
            plain = {name: _plain(value) for name, value in attributes.items()}
            return original(self, *args, **plain)

        owner.add_node = add_node
        try:
            yield
        finally:
            owner.add_node = original


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [
            int(item) if isinstance(item, bool | np.bool_ | np.integer) else item for item in value
        ]
    return value


def _strange_rows(sample: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Return a few rows, once for each column, with that column missing or never seen."""
    few = sample.head(5)
    out = [few]
    for column in signature.columns:
        if column.nullable:
            out.append(
                few.with_columns(pl.lit(None, sample[column.name].dtype).alias(column.name))
            )
        if column.type == "str":
            out.append(few.with_columns(pl.lit(UNSEEN_TEXT).alias(column.name)))
    return pl.concat(out)


def _compare(
    wanted: npt.NDArray[np.float64],
    found: npt.NDArray[np.float64],
    signature: Signature,
    inputs: dict[str, str],
    gaps: int = 0,
) -> Parity:
    tolerance = TOLERANCE * (signature.scale if signature.kind == "regression" else 1.0)
    if wanted.shape != found.shape:
        return Parity(
            passed=False, reason=f"Shapes {wanted.shape} and {found.shape}.", inputs=inputs
        )
    most = float(np.abs(wanted - found).max(initial=0.0))
    differ = 0
    if signature.kind == "binary":
        differ = int(((wanted >= 0.5) != (found >= 0.5)).sum())
    elif signature.kind == "multiclass":
        differ = int((wanted.argmax(axis=1) != found.argmax(axis=1)).sum())
    passed = most <= tolerance and differ == 0  # false for NaN too
    return Parity(
        passed=passed,
        reason="Both forms agree." if passed else "The two forms do not agree.",
        rows=len(wanted),
        max_difference=most if np.isfinite(most) else None,
        labels_differ=differ,
        tolerance=tolerance,
        inputs=inputs,
        gaps=gaps,
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"

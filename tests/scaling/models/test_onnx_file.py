"""A bare ONNX file is a model: its columns from the file, its scores compared in both forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    BooleanTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError, ModelFailedError
from mainspring.ground.ports import Objects
from mainspring.scaling.models import converting, directories, load, onnx_file, package

RANDOM = np.random.default_rng(4)
ROWS = pl.DataFrame(
    {
        "a": RANDOM.normal(size=150),
        "b": RANDOM.normal(size=150),
        "n": RANDOM.integers(0, 5, 150),
        "city": RANDOM.choice(["Ulm", "Bonn"], 150),
        "on": RANDOM.random(150) > 0.5,
    }
).with_columns(
    two=pl.when(pl.col("a") > pl.col("b")).then(1).otherwise(0),
    three=pl.when(pl.col("a") > 0.5)
    .then(pl.lit("x"))
    .when(pl.col("b") > 0)
    .then(pl.lit("y"))
    .otherwise(pl.lit("z")),
    value=pl.col("a") * 3 + pl.col("b"),
)
AB = ROWS.select("a", "b").to_numpy().astype(np.float32)
MATRIX = [("X", FloatTensorType([None, 2]))]


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """A home's own objects."""
    return open_objects(str(tmp_path))


def converted(data: bytes, rows: pl.DataFrame, target: str, objects: Any) -> Any:
    files = {
        "model.onnx": data,
        "MLmodel": directories.mlmodel("onnx", {"data": "model.onnx"}, None),
    }
    digest = package.write_files(files, objects)
    made = converting.convert(digest, objects, rows, target).package
    return made, load.load(made, objects), load.load(made, objects, prefer="native")


def plain(estimator: Any, **options: Any) -> bytes:
    told = {} if isinstance(estimator, LinearRegression) else {"zipmap": False, **options}
    data: bytes = to_onnx(
        estimator, initial_types=MATRIX, options={id(estimator): told} if told else None
    ).SerializeToString()
    return data


@pytest.mark.parametrize("target", ["two", "three", "value"])
def test_a_file_of_one_matrix_answers_as_the_estimator_did(target: str, objects) -> None:
    kind = LinearRegression if target == "value" else LogisticRegression
    estimator = kind().fit(AB, ROWS[target].to_numpy())
    made, fast, native = converted(
        plain(estimator), ROWS.select("a", "b", target), target, objects
    )
    assert (fast.form, native.form) == ("onnx", "native")
    parity = package.parity(made, objects)
    assert parity.passed
    assert parity.max_difference == 0
    wanted = estimator.predict(AB)[:, None] if target == "value" else estimator.predict_proba(AB)
    wanted = wanted[:, 1:] if target == "two" else wanted
    for one in (fast, native):
        np.testing.assert_allclose(one.score(ROWS), wanted, atol=1e-5)
    assert [column.name for column in fast.signature.columns] == ["a", "b"]
    again = package.read(made, objects)
    assert package.write(again, objects) == made


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_a_file_of_single_columns_of_every_type_is_read_by_name(objects, unknown: str) -> None:
    encoder = OneHotEncoder(handle_unknown=unknown, sparse_output=False)
    split = ColumnTransformer([("city", encoder, ["city"])], remainder="passthrough")
    estimator = make_pipeline(split, LogisticRegression())
    inputs = ROWS.select("city", "a", "n", "on").to_pandas()
    estimator.fit(inputs, ROWS["two"].to_numpy())
    types = [
        ("city", StringTensorType([None, 1])),
        ("a", FloatTensorType([None, 1])),
        ("n", Int64TensorType([None, 1])),
        ("on", BooleanTensorType([None, 1])),
    ]
    model = to_onnx(estimator, initial_types=types, options={id(estimator): {"zipmap": False}})
    _, fast, native = converted(model.SerializeToString(), ROWS, "two", objects)
    # One that fails on a category it never saw is run as it came, and says so.
    assert fast.form == ("onnx" if unknown == "ignore" else "native")
    if unknown == "error":
        with pytest.raises(ModelFailedError, match="Unknown Category"):
            fast.score(ROWS.head(1).with_columns(city=pl.lit("Rom")))
    assert [column.type for column in fast.signature.columns] == ["str", "float", "int", "bool"]
    wanted = estimator.predict_proba(inputs)[:, 1:]
    for one in (fast, native):
        np.testing.assert_allclose(one.score(ROWS), wanted, atol=1e-5)


def graph(
    shape: list[Any], kind: int = TensorProto.FLOAT, outer: list[Any] | None = None
) -> bytes:
    node = helper.make_node("Identity", ["a"], ["out"])
    made = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("a", kind, shape)],
        [helper.make_tensor_value_info("out", kind, outer or shape)],
    )
    opsets = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def test_a_flat_column_and_a_flat_answer_are_a_column_each(objects) -> None:
    _, fast, native = converted(graph([None]), ROWS.select("a", "value"), "value", objects)
    assert fast.form == "onnx"
    for one in (fast, native):
        np.testing.assert_allclose(one.score(ROWS)[:, 0], ROWS["a"].to_numpy(), rtol=1e-6)


def test_what_is_no_model_of_rows_is_refused_in_words(objects) -> None:
    rows = ROWS.select("a", "b", "two")
    estimator = LogisticRegression().fit(AB, ROWS["two"].to_numpy())

    def refused(data: bytes, given: pl.DataFrame = rows) -> str:
        with pytest.raises(BadInputError) as error:
            converted(data, given, "two", objects)
        return str(error.value)

    assert "no ONNX model" in refused(b"not onnx at all")
    assert "takes 2 columns; the rows have 3" in refused(
        plain(estimator), ROWS.select("a", "b", "n", "two")
    )
    zipped = to_onnx(estimator, initial_types=MATRIX).SerializeToString()
    assert "no tensor" in refused(zipped)
    assert "exactly 8 rows" in refused(graph([8, 2]))
    assert "which is no probability" in refused(graph([None, 1]), ROWS.select("a", "two"))
    assert "is no column and no matrix" in refused(graph([None, 2, 2]))


def test_weights_in_other_files_are_refused(objects) -> None:
    model = onnx.load_model_from_string(
        plain(LinearRegression().fit(AB, ROWS["value"].to_numpy()))
    )
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    model.graph.initializer.append(tensor)
    with pytest.raises(BadInputError, match="weights lie in"):
        converted(model.SerializeToString(), ROWS.select("a", "b", "value"), "value", objects)


def test_the_inputs_of_a_file_are_told() -> None:
    [given] = onnx_file.inputs_of(graph([None, 7], TensorProto.DOUBLE))
    assert (given.name, given.width, given.flat) == ("a", 7, False)

"""Models among what steps hand on: without pickle where their types are on the list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tests.pipelines.conftest import MemoryObjects

from mainspring.ground.errors import NotExactError
from mainspring.pipelines import outputs
from mainspring.workspace import codecs

NOWHERE = Path("/nonexistent")


@pytest.fixture(autouse=True)
def registered() -> None:
    codecs.register()


def test_an_estimator_is_kept_by_types_on_the_list_and_always_as_the_same_bytes() -> None:
    rows = np.arange(40.0).reshape(20, 2)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, np.arange(20) > 9)
    objects = MemoryObjects()
    kept = outputs.encode({"model": fitted}, objects)
    again = outputs.encode({"model": fitted}, MemoryObjects())
    assert kept == again
    back = outputs.decode(kept.digest, kept.type, objects, NOWHERE)["model"]
    assert (back.predict_proba(rows) == fitted.predict_proba(rows)).all()


def test_an_estimator_that_holds_a_users_function_is_not_kept_so() -> None:
    def twice(rows: np.ndarray) -> np.ndarray:
        return rows * 2

    with pytest.raises(NotExactError, match="without pickle"):
        outputs.encode(FunctionTransformer(twice), MemoryObjects())


def test_a_model_of_onnx_comes_back() -> None:
    put = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "same", [put], [out]))
    objects = MemoryObjects()
    kept = outputs.encode(model, objects)
    assert kept.type == "onnx"
    assert outputs.decode(kept.digest, kept.type, objects, NOWHERE) == model

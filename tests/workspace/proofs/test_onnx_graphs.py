"""ONNX models of other bytes are compared by graph and weights, else by what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from mainspring.backends.objects.local import LocalObjects
from mainspring.pipelines.differing import Apart
from mainspring.workspace.codecs import OnnxCodec
from mainspring.workspace.proofs import onnx_graphs


def model(
    weight: float = 2.0,
    *,
    inner: str = "h",
    ends: str = "Relu",
    kind: int = TensorProto.FLOAT,
    **more: Any,
) -> Any:
    """A model of two columns: what ``ends`` makes of x * weight, column by column."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], [inner], name=f"node-{inner}"),
        helper.make_node(ends, [inner], ["y"], **more),
    ]
    sides = [helper.make_tensor_value_info(name, kind, [None, 2]) for name in ("x", "y")]
    held = np.array([weight, 1.0], dtype=helper.tensor_dtype_to_np_dtype(kind))
    weights = [numpy_helper.from_array(held, "w")]
    graph = helper.make_graph(nodes, f"graph-{inner}", sides[:1], sides[1:], weights)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name=inner)


def compared(tmp_path: Path, one: Any, other: Any) -> Apart:
    objects, codec = LocalObjects(tmp_path), OnnxCodec()
    was, now = (codec.encode(each, objects).digest for each in (one, other))
    assert was != now
    return onnx_graphs.graphs(was, now, objects, 0.01)


def test_names_and_makers_say_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, model(), model(inner="other"))
    assert (found.verdict, found.largest) == ("within", 0.0)
    assert found.where == "graph and weights are the same, their bytes are not"


@pytest.mark.parametrize(
    ("weight", "verdict", "told"),
    [
        (2.01, "within", "Mul weight w[0]: 2 -> 2.00999999"),  # a share of 0.005
        (2.1, "beyond", "Mul weight w[0]: 2 -> 2.0999999"),
        (float("nan"), "beyond", "Mul weight w[0]: 2 -> nan"),
    ],
    ids=["near", "far", "nan"],
)
def test_weights_are_compared_within_the_tolerance(
    tmp_path: Path, weight: float, verdict: str, told: str
) -> None:
    found = compared(tmp_path, model(), model(weight))
    assert found.verdict == verdict
    assert found.where.startswith(told)


def test_fractions_among_the_attributes_are_weights_too(tmp_path: Path) -> None:
    leaky = model(ends="LeakyRelu", alpha=0.1)
    found = compared(tmp_path, leaky, model(ends="LeakyRelu", alpha=0.1004))
    assert found.verdict == "within"
    assert found.where.startswith("LeakyRelu.alpha[0]: 0.1")
    assert compared(tmp_path, leaky, model(ends="LeakyRelu", alpha=0.2)).verdict == "beyond"


def test_other_graphs_are_asked_about_drawn_rows(tmp_path: Path) -> None:
    found = compared(tmp_path, model(), model(ends="Abs"))
    assert found.verdict == "beyond"
    assert found.where.startswith("node 1 of its graph, Relu, became Abs: the answer to row ")
    same = compared(tmp_path, model(ends="LeakyRelu", alpha=0.0), model())
    assert same.verdict == "within"
    assert same.where.endswith("the answers to each of 500 drawn rows are the same")


def test_what_takes_other_values_or_none_that_can_be_drawn_is_said(tmp_path: Path) -> None:
    found = compared(tmp_path, model(), model(kind=TensorProto.DOUBLE))
    assert found.verdict == "beyond"
    assert "they take other values" in found.where
    whole = (model(ends=end, kind=TensorProto.INT64) for end in ("Abs", "Neg"))
    found = compared(tmp_path, *whole)
    assert found.verdict == "unknown"
    assert "cannot be drawn" in found.where

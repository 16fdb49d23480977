"""Write a booster as ONNX: one node holds all trees, others join the columns and the link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mainspring.scaling.models import trees
from mainspring.scaling.models.boosted import Boosted
from mainspring.scaling.models.trees import Link, Split, Trees

OUTPUT = "scores"
_OPSET, _ML_OPSET, _IR = 17, 3, 8
_MATRIX = "matrix"


def input_types(model: Boosted, names: list[str]) -> dict[str, str] | None:
    """Return how a bare booster's columns are typed; None if transformers stand in front."""
    if model.before is not None:
        return None
    return dict.fromkeys(names, "float64" if model.facts.library == "lightgbm" else "float32")


def convert(model: Boosted, inputs: Mapping[str, str], before: Any | None) -> bytes:
    """Return the ONNX bytes of a booster.

    ``inputs`` are the columns, each of shape (rows, 1). ``before`` is the ONNX model of the
    transformers in front; it takes them and gives a matrix of single precision.

    Raises:
        BadInputError: naming what cannot be told as plain trees.
    """
    from onnx import compose, helper

    found = trees.of(model)
    if before is None:
        return _bytes(_graph(found, dict(inputs), double=found.double))
    rest = _graph(found, None, double=False)
    before = helper.make_model(
        before.graph, opset_imports=_opsets(), ir_version=_IR, functions=before.functions
    )
    joined = compose.merge_models(
        compose.add_prefix(before, "before_", rename_inputs=False, rename_outputs=False),
        rest,
        io_map=[(before.graph.output[0].name, _MATRIX)],
    )
    return _bytes(joined)


def _opsets() -> list[Any]:
    from onnx import helper

    return [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]


def _bytes(model: Any) -> bytes:
    data: bytes = model.SerializeToString()
    return data


def _graph(found: Trees, inputs: dict[str, str] | None, *, double: bool) -> Any:
    from onnx import TensorProto, helper

    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    info = helper.make_tensor_value_info
    nodes = []
    if inputs is None:
        given = [info(_MATRIX, kind, [None, None])]
    else:
        given = [info(name, kind, [None, 1]) for name in inputs]
        nodes.append(helper.make_node("Concat", list(inputs), [_MATRIX], axis=1))
    nodes.append(_ensemble(found, double=double))
    last = "sums"
    if found.slope != 1.0:
        slope = helper.make_tensor("", TensorProto.FLOAT, [1], [found.slope])
        nodes.append(helper.make_node("Constant", [], ["slope"], value=slope))
        nodes.append(helper.make_node("Mul", ["sums", "slope"], ["sloped"]))
        last = "sloped"
    nodes.append(_link(found.link, last))
    gives = [info(OUTPUT, TensorProto.FLOAT, [None, len(found.start)])]
    graph = helper.make_graph(nodes, "booster", given, gives)
    return helper.make_model(graph, opset_imports=_opsets(), ir_version=_IR)


def _link(link: Link, last: str) -> Any:
    from onnx import helper

    if link == "softmax":
        return helper.make_node("Softmax", [last], [OUTPUT], axis=1)
    words: dict[Link, str] = {"": "Identity", "sigmoid": "Sigmoid", "exp": "Exp"}
    return helper.make_node(words[link], [last], [OUTPUT])


def _ensemble(found: Trees, *, double: bool) -> Any:
    from onnx import TensorProto, helper

    at: dict[str, Any] = {key: [] for key in (*_NODES, *_LEAVES, "values", "weights")}
    mode = "BRANCH_LEQ" if found.equal else "BRANCH_LT"
    for number, tree in enumerate(found.trees):
        for place, node in sorted(tree.nodes.items()):
            split = node if isinstance(node, Split) else Split(0, 0.0, 0, 0, gap_left=False)
            at["nodes_treeids"].append(number)
            at["nodes_nodeids"].append(place)
            at["nodes_featureids"].append(split.column)
            at["nodes_modes"].append(mode if isinstance(node, Split) else "LEAF")
            at["nodes_truenodeids"].append(split.left)
            at["nodes_falsenodeids"].append(split.right)
            at["nodes_missing_value_tracks_true"].append(int(split.gap_left))
            at["values"].append(split.limit)
            if not isinstance(node, Split):
                at["target_treeids"].append(number)
                at["target_nodeids"].append(place)
                at["target_ids"].append(tree.output)
                at["weights"].append(node)
    limits, weights = at.pop("values"), at.pop("weights")
    if double:
        for key, told in (("nodes_values", limits), ("target_weights", weights)):
            at[f"{key}_as_tensor"] = helper.make_tensor(key, TensorProto.DOUBLE, [len(told)], told)
        start = helper.make_tensor("base", TensorProto.DOUBLE, [len(found.start)], found.start)
        at["base_values_as_tensor"] = start
    else:
        at["nodes_values"] = [float(one) for one in _single(limits, down=found.double)]
        at["target_weights"] = weights
        at["base_values"] = found.start
    return helper.make_node(
        "TreeEnsembleRegressor",
        [_MATRIX],
        ["sums"],
        domain="ai.onnx.ml",
        n_targets=len(found.start),
        aggregate_function="SUM",
        post_transform="NONE",
        **at,
    )


_NODES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)
_LEAVES = ("target_treeids", "target_nodeids", "target_ids")


def _single(limits: list[float], *, down: bool) -> Any:
    """Return limits in single precision; ``down`` never above what they were.

    A value that single precision holds exactly is then on the same side of its limit as before.
    """
    found = np.asarray(limits, dtype=np.float32)
    if not down:
        return found
    above = found.astype(np.float64) > np.asarray(limits)
    return np.where(above, np.nextafter(found, np.float32(-np.inf)), found)

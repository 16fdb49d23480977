"""Compare two ONNX models of other bytes: by graph and weights, else by what they answer.

Names within a graph, who wrote it and when say nothing of what it computes: nodes are compared in
their order, by what they do and by which values they join. Only if the graphs are others are both
asked about drawn rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from mainspring.ground.ports import Objects
from mainspring.pipelines import differing
from mainspring.pipelines.cells import Place
from mainspring.pipelines.differing import Apart
from mainspring.workspace.proofs.answers import ROWS, apart

_DRAWN = {"tensor(float)": "float32", "tensor(double)": "float64"}


class Shown(NamedTuple):
    """A graph without names: what it does, and the numbers it does it with."""

    nodes: list[Any]
    numbers: list[tuple[str, Any]]  #: what they are called, and an array


def graphs(was: str, now: str, objects: Objects, tolerance: float) -> Apart:
    """Return how two ONNX models differ, by their digests."""
    import onnx

    old, new = (onnx.load_from_string(objects.get(one)) for one in (was, now))
    before, after = shown(old), shown(new)
    if before.nodes == after.nodes:
        place = _weights(before, after, tolerance)
        same = "graph and weights are the same"
        return differing.settled(place, tolerance, same)
    found = _asked(old, new, tolerance)
    told = f"{_changed(before, after)}: {found.where}"
    return Apart(verdict=found.verdict, where=told[:300], largest=found.largest)


def shown(model: Any) -> Shown:
    """Return a model without the names of its values."""
    from onnx import numpy_helper

    names: dict[str, int] = {"": -1}  # an input that is left out has no name

    def number(name: str) -> int:
        return names.setdefault(name, len(names))

    graph = model.graph
    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    given = [one for one in graph.input if one.name not in held]
    numbers: list[tuple[str, Any]] = []
    nodes: list[Any] = [
        sorted((one.domain or "ai.onnx", one.version) for one in model.opset_import),
        [(one.name, one.type.SerializeToString(deterministic=True)) for one in given],
    ]
    for one in given:
        number(one.name)
    seen: set[str] = set()
    for node in graph.node:
        plain = []
        for one in sorted(node.attribute, key=lambda each: each.name):
            told = f"{node.op_type}.{one.name}"
            plain.append((one.name, int(one.type), *_attribute(told, one, numbers)))
        for name in node.input:
            if name in held and name not in seen:
                seen.add(name)
                numbers.append((f"{node.op_type} weight {name}", held[name]))
        inputs, outputs = map(number, node.input), map(number, node.output)
        nodes.append((node.domain, node.op_type, [*inputs], [*outputs], plain))
    nodes.append([(one.name, number(one.name)) for one in graph.output])
    kinds = [(str(array.dtype), array.shape) for _, array in numbers]
    return Shown([*nodes, kinds], numbers)


def _attribute(told: str, one: Any, numbers: list[tuple[str, Any]]) -> Iterator[Any]:
    """Yield what of an attribute must be the same; its fractions are numbers as weights are."""
    import numpy as np
    from onnx import AttributeProto, numpy_helper

    if one.type == AttributeProto.FLOAT:
        numbers.append((told, np.array([one.f])))
    elif one.type == AttributeProto.FLOATS:
        numbers.append((told, np.array(one.floats)))
    elif one.type == AttributeProto.TENSOR:
        numbers.append((told, numpy_helper.to_array(one.t)))
    else:  # whole numbers, texts, graphs within
        bare = type(one)()
        bare.CopyFrom(one)
        bare.ClearField("doc_string")
        yield bare.SerializeToString(deterministic=True)


def _weights(before: Shown, after: Shown, tolerance: float) -> Place:
    """Return the first array of numbers that is beyond the tolerance, else the worst."""
    import numpy as np

    worst = Place()
    for (name, old), (_, new) in zip(before.numbers, after.numbers, strict=True):
        if old.dtype.kind not in "fiub":
            far = math.inf if (old != new).any() else 0.0
            where = f"{name} is another"
        else:
            a, b = (one.astype(float).ravel() for one in (old, new))
            with np.errstate(all="ignore"):
                apart_ = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300)
            apart_ = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, apart_)
            apart_ = np.where(np.isnan(apart_), math.inf, apart_)
            at = int(apart_.argmax()) if apart_.size else 0
            far = float(apart_[at]) if apart_.size else 0.0
            where = f"{name}[{at}]: {a[at]:.9g} -> {b[at]:.9g}" if far else ""
        if far > worst.largest:
            worst = Place(largest=far, where=where)
        if far > tolerance:
            break
    return worst


def _changed(before: Shown, after: Shown) -> str:
    """Return in words how two graphs differ."""
    old, new = (
        [one[1] for one in each.nodes if isinstance(one, tuple)] for each in (before, after)
    )
    if len(old) != len(new):
        return f"its graph of {len(old)} nodes became one of {len(new)}"
    for place, (was, now) in enumerate(zip(old, new, strict=True)):
        if was != now:
            return f"node {place} of its graph, {was}, became {now}"
    return "its graph joins or takes other values"


def _asked(old: Any, new: Any, tolerance: float) -> Apart:
    """Return how the answers of two models to the same drawn rows differ."""
    import numpy as np
    import onnxruntime

    sessions = [
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        for one in (old, new)
    ]
    first, second = ({i.name: i for i in one.get_inputs()} for one in sessions)
    kinds = {name: one.type for name, one in first.items()}
    if kinds != {name: one.type for name, one in second.items()}:
        return Apart(verdict="beyond", where="they take other values")
    if not set(kinds.values()) <= set(_DRAWN):
        return Apart(verdict="unknown", where="they take values that cannot be drawn")
    chance = np.random.default_rng(0)
    rows = {
        name: chance.normal(size=[d if isinstance(d, int) else ROWS for d in one.shape]).astype(
            _DRAWN[one.type]
        )
        for name, one in first.items()
    }
    try:
        answers = [one.run(None, rows) for one in sessions]
    except (RuntimeError, ValueError) as error:  # whatever onnxruntime says of one it cannot run
        return Apart(verdict="unknown", where=f"they cannot be asked: {error}"[:200])
    if len(answers[0]) != len(answers[1]):
        return Apart(verdict="beyond", where="they give another number of answers")
    found = [
        apart(_plain(a), _plain(b), tolerance, f"of {ROWS} drawn rows", relative=True)
        for a, b in zip(*answers, strict=True)
    ]
    return max(found, key=lambda one: (one.verdict == "beyond", one.largest))


def _plain(answer: Any) -> Any:
    """Return an answer as an array of numbers; of a list of shares by class, these."""
    import numpy as np

    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        return np.array([[one[key] for key in sorted(one)] for one in answer], dtype=float)
    return np.asarray(answer)

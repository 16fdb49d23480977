"""Look, in a process of its own, where what the steps of several runs returned differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Objects
from mainspring.pipelines import reading
from mainspring.readiness.reproductions import Apart
from mainspring.workspace import calling

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

_GRAVE = ("identical", "within", "unknown", "beyond")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How what steps returned differs, and what the first of them takes from elsewhere."""

    values: dict[str, Apart] = {}
    hints: list[str] = []


def of(
    ws: Workspace,
    runs: Sequence[Sequence[StepRecord]],
    tolerance: float,
    root: str | None,
    lease: Lease | None,
) -> Told:
    """Return how the steps of later runs differ from those of the first."""
    before, *later = runs
    pairs: list[dict[str, Any]] = []
    for step in before:
        others = [next((one for one in run if one.step == step.step), None) for run in later]
        now = [
            [one.output, one.output_type]
            for one in others
            if one is not None and one.output and one.output != step.output
        ]
        if now and step.output:
            was = [step.output, step.output_type]
            pairs.append({"step": step.step, "was": was, "now": now})
    if not pairs:
        return Told()
    first = pairs[0]["step"]
    target = ws.read(Permission.WORK, lambda tx: reading.row_of(tx, before[0].run, first).target)
    asked = {"pairs": pairs, "tolerance": tolerance, "root": root, "target": target}
    try:
        found = calling.child(ws, "differ", asked, lease)
    except MainspringError as error:  # too large to be held, say: the bytes differ all the same
        words = Apart(verdict="unknown", where=f"it was not looked into: {error.message[:200]}")
        return Told(values={one["step"]: words for one in pairs})
    return msgspec.convert(found, Told)


def in_child(payload: Mapping[str, Any], objects: Objects) -> dict[str, Any]:
    """Return, for each pair of outputs, the gravest difference; see :class:`Told`."""
    from mainspring.pipelines import differing, fickle, project
    from mainspring.workspace.proofs import answers, onnx_graphs

    more = {"model": answers.models, "estimator": answers.estimators, "onnx": onnx_graphs.graphs}
    values = {}
    for pair in payload["pairs"]:
        was = differing.Kept(*pair["was"])
        found = [
            differing.compare(was, differing.Kept(*now), objects, payload["tolerance"], more)
            for now in pair["now"]
        ]
        values[pair["step"]] = max(found, key=lambda one: _GRAVE.index(one.verdict))
    module, name = project.split_target(payload["target"])
    hints: list[str] = []
    if payload["root"]:
        inner = Path(payload["root"]).joinpath(*module.split("."))
        file = inner.with_suffix(".py")
        hints = fickle.hints(file if file.is_file() else inner / "__init__.py", name)
    told: dict[str, Any] = msgspec.to_builtins({"values": values, "hints": hints})
    return told

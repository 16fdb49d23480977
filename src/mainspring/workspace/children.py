"""What runs in a process of its own: the user's code, and whatever is heavy.

Each function takes a JSON-like payload and returns JSON-like values; bytes go through the
objects, by digest. ``objects`` in a payload is the URL of the objects.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground.ports import Objects

if TYPE_CHECKING:
    from mainspring.pipelines.graph import Block, Node


def step(payload: dict[str, Any]) -> dict[str, Any]:
    """Run one step of a pipeline: the user's function, its inputs decoded, its output kept."""
    from mainspring.pipelines import child
    from mainspring.workspace import codecs
    from mainspring.workspace.performing.keeping import Writer
    from mainspring.workspace.tracking import living

    codecs.register(os.environ.get("MAINSPRING_HOME"))
    with living.nothing_left_open():  # this process does not leave as others do
        write = Writer(payload) if payload.get("checkpoints") else None
        return child.execute(payload, _objects(payload), write)


def trace(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the graph of a pipeline and the digests of its code, by importing the project."""
    import msgspec

    from mainspring.ground import locks
    from mainspring.pipelines import bounding, project, raised, tracing
    from mainspring.pipelines.context import fired_at
    from mainspring.pipelines.parameters import parameters_of
    from mainspring.workspace.warm import speaking

    found = project.load(Path(payload["root"]), payload["pipeline"])
    params = dict(payload["params"])
    if payload.get("offered"):  # what the loop could give: only what the pipeline asks for
        known = {p.name for p in parameters_of(found)}
        params |= {k: v for k, v in payload["offered"].items() if k in known}
    wires = f"Pipeline {found.name}"
    with (
        fired_at(payload.get("fire_at")),
        bounding.bounded(payload.get("within_s"), wires),
        raised.lines_named(Path(payload["root"])),
    ):
        traced = tracing.trace(found, params)
    code, texts = _code_of(Path(payload["root"]), traced.every_node())
    lock = locks.installed()
    return {
        "graph": msgspec.to_builtins(traced),
        "code": code,
        "texts": texts,
        "environment": lock.listing,
        "lock": msgspec.to_builtins(lock),
        "loads": any(name in sys.modules for name in speaking.HEAVY),
    }


def takes(payload: dict[str, Any]) -> dict[str, Any]:
    """Return where a pipeline is found, and the names of its parameters; nothing is traced."""
    from mainspring.pipelines import graph, project
    from mainspring.pipelines.parameters import parameters_of

    found = project.load(Path(payload["root"]), payload["pipeline"])
    params = parameters_of(found)
    return {
        "target": graph.target_of(found.function),
        "names": [one.name for one in params],
        "required": [one.name for one in params if one.required],
    }


def wire(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what a dynamic function wires on its values and logs, and that code's digests."""
    import msgspec

    from mainspring.pipelines import child
    from mainspring.workspace import codecs

    codecs.register()
    block, points = child.wire(payload, _objects(payload))
    every = [node for one in (block, *_inner(block)) for node in one.nodes]
    code, texts = _code_of(Path(payload["root"]), every)
    wired = {"block": msgspec.to_builtins(block), "metrics": points}
    return {**wired, "code": code, "texts": texts}


def _inner(block: Block) -> Iterator[Block]:
    return (one for node in block.nodes for one in node.every_block())


def _code_of(
    root: Path, nodes: Iterable[Node]
) -> tuple[dict[str, tuple[str, dict[str, str]]], dict[str, Any]]:
    """Return the digest, the parts and the texts of the code of every function, by target."""
    import msgspec

    from mainspring.pipelines import declared, project
    from mainspring.pipelines.code import code_digest, code_texts
    from mainspring.pipelines.outputs.pickled import read_key

    root = root.resolve()
    code: dict[str, tuple[str, dict[str, str]]] = {}
    texts: dict[str, Any] = {}
    for node in {one.target: one for one in nodes if one.target}.values():
        module, name = project.split_target(node.target)
        step = project.attribute(project.import_module(root, module), name)
        function = getattr(step, "function", step)
        digest, parts = code_digest(function)
        if node.options.files or node.options.variables:
            key = read_key(Path(os.environ["MAINSPRING_HOME"]))
            parts = parts | declared.parts(root, node.options, key)
        code[node.target] = digest, parts
        texts[node.target] = msgspec.to_builtins(code_texts(function, root))
    return code, texts


def project(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the pipelines and loops that a project declares."""
    import msgspec

    from mainspring.pipelines import project as projects

    root = Path(payload["root"])
    return {
        "pipelines": msgspec.to_builtins(projects.find_pipelines(root)),
        "loops": msgspec.to_builtins(projects.find_loops(root)),
    }


def judge(payload: dict[str, Any]) -> dict[str, Any]:
    """Measure a candidate before the gate: see :mod:`mainspring.workspace.measuring`."""
    from mainspring.workspace.measuring import candidate

    return candidate.measure(payload)


def load_test(payload: dict[str, Any]) -> dict[str, Any]:
    """Measure how a packaged version answers over HTTP, and nothing else of it."""
    import msgspec

    from mainspring.ground.limits import LoadLimits
    from mainspring.scaling.models import package
    from mainspring.workspace.measuring import load_test as measuring

    digest, limits = payload["candidate"], msgspec.convert(payload["limits"], LoadLimits)
    example = package.example(digest, _objects(payload))
    found = measuring.measure(digest, payload["objects"], example, limits)
    return {"load": msgspec.to_builtins(found)}


def capacity(payload: dict[str, Any]) -> dict[str, Any]:
    """Find how much one worker of a packaged version can answer."""
    import msgspec

    from mainspring.ground.limits import CapacityAsked
    from mainspring.scaling.models import package
    from mainspring.workspace.measuring import capacity as measuring

    digest, asked = payload["candidate"], msgspec.convert(payload["asked"], CapacityAsked)
    example = package.example(digest, _objects(payload))
    found = measuring.measure(digest, payload["objects"], example, asked)
    return {"capacity": msgspec.to_builtins(found)}


def adopt(payload: dict[str, Any]) -> dict[str, Any]:
    """Make ready what a person wants judged by hand: the version's form, and labelled rows.

    ``package`` may be of another tool's making; it is then converted with the help of the rows.
    """
    import msgspec

    from mainspring.scaling.models import converting, package

    objects = _objects(payload)
    rows = _frame(objects, payload["rows"])
    found: dict[str, Any] = {"package": payload["package"], "notes": []}
    if payload["foreign"]:
        made = converting.convert(
            payload["package"],
            objects,
            rows,
            payload["target"],
            trusted=payload["trusted"],
            environments=payload["environments"],
        )
        found = {"package": made.package, "notes": made.notes}
    digest = found["package"]
    fresh = io.BytesIO()
    converting.labelled(rows, digest, objects).write_parquet(fresh)
    return {
        **found,
        "fresh": objects.put(fresh.getvalue()),
        "signature": msgspec.to_builtins(package.signature(digest, objects)),
        "metrics": package.profile(digest, objects).metrics,
    }


def source(payload: dict[str, Any]) -> dict[str, Any]:
    """Ask the project's own source for rows, and keep them."""
    from mainspring.workspace import training_sets

    return training_sets.source(payload, _objects(payload))


def training_set(payload: dict[str, Any]) -> dict[str, Any]:
    """Look at a training set: what leaks in it, and which window is worth learning from."""
    from mainspring.workspace import training_sets

    return training_sets.examined(payload, _objects(payload))


def audit(payload: dict[str, Any]) -> dict[str, Any]:
    """Match packages against a file of advisories."""
    from mainspring.workspace.proofs import parts

    return parts.in_child(payload, _objects(payload))


def scan(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Look through packages for what could do harm; nothing of them is loaded."""
    from mainspring.workspace.proofs import scanning

    return scanning.in_child(payload, _objects(payload))


def regret(payload: dict[str, Any]) -> dict[str, Any]:
    """Train a cheap fresh challenger and compare it with the champion on the newest rows."""
    import msgspec

    from mainspring.ground.objects import RetrainingPolicy
    from mainspring.numerics.scores import row_losses
    from mainspring.retraining import regret as measuring
    from mainspring.scaling.models import load, package

    objects = _objects(payload)
    training = _frame(objects, payload["training"])
    fresh = _frame(objects, payload["fresh"])
    served = load.load(payload["champion"], objects)
    signature = served.signature
    losses = row_losses(
        signature.kind, served.score(fresh), fresh["_y"].to_numpy(), signature.scale
    )
    found = measuring.measure(
        training,
        fresh,
        losses,
        signature,
        package.features(payload["champion"], objects),
        msgspec.convert(payload["policy"], RetrainingPolicy),
        volume=payload["volume"],
    )
    return found._asdict()


def ablate(payload: dict[str, Any]) -> dict[str, Any]:
    """Measure what each feature of a version is worth, by challengers without it."""
    from mainspring.workspace.owed import measuring

    return measuring.measured(payload, _objects(payload))


def estimator(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of raw rows by the path of training: the estimator that was fitted.

    ``rows`` is a Parquet file on this machine.
    """
    import polars as pl

    from mainspring.scaling.models import package

    fitted = package.read(payload["package"], _objects(payload))
    return {"scores": fitted.score(pl.read_parquet(payload["rows"])).tolist()}


def monitor(payload: dict[str, Any]) -> dict[str, Any]:
    """Call one of the project's own monitors on rows: a Parquet file on this machine."""
    import msgspec
    import polars as pl

    from mainspring.pipelines import monitors, project
    from mainspring.pipelines.code import code_digest

    module, name = project.split_target(payload["target"])
    function = project.attribute(project.import_module(Path(payload["root"]), module), name)
    answer = function(pl.read_parquet(payload["rows"]))
    return {
        "found": msgspec.to_builtins(monitors.findings_of(name, answer)),
        "code": code_digest(function)[0],
    }


def target(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what a pipeline or function takes, and the params that were given, read."""
    from mainspring.workspace.families import child

    return child.described(payload)


def differ(payload: dict[str, Any]) -> dict[str, Any]:
    """Say where what steps returned differs from what they had returned."""
    from mainspring.workspace.proofs import differing

    return differing.in_child(payload, _objects(payload))


def function(payload: dict[str, Any]) -> dict[str, Any]:
    """Call a user's function once, as a repeat or a trial."""
    from mainspring.workspace.families import child
    from mainspring.workspace.families.reports import Teller

    return child.run(payload, Teller(payload["tell"]) if payload["tell"] else None)


def command(payload: dict[str, Any]) -> dict[str, Any]:
    """Run a command of the queue, once however many workers try."""
    from mainspring.workspace.handlers import commands

    return commands.run(payload)


def _frame(objects: Objects, digest: str) -> Any:
    import polars as pl

    return pl.read_parquet(io.BytesIO(objects.get(digest)))


def _objects(payload: dict[str, Any]) -> Objects:
    from mainspring.backends.objects import open_objects

    return open_objects(payload["objects"])

"""Pin the data versions of a run: which they are is settled once, when the run is planned.

What a dynamic function asks for is settled when it wires, and kept like all else. A run that makes
another one again reads what that one read, by the steps' arguments as they were kept.

What stands in the graph afterwards names the manifest, so that nothing reclaims its bytes while
the run is kept, whatever becomes of the version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from mainspring.experiments import datasets
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.errors import DamagedError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import reading
from mainspring.pipelines.data import naming, versions
from mainspring.pipelines.data.versions import DataVersion
from mainspring.pipelines.graph import Argument, Graph
from mainspring.workspace.data import trees
from mainspring.workspace.opening import Workspace

SOURCE_TYPE = "data"  #: of a dataset that a run read as a version of ours


def pinned(ws: Workspace, graph: Graph, of: str | None = None) -> Graph:
    """Return a graph in which every data version is settled; the newest is asked for once.

    ``of`` is a run that is made again: the newest is what was the newest to it.

    Raises:
        BadInputError, NotFoundError: if there is no such version.
    """
    known: dict[str, DataVersion] = {}
    then: dict[str, dict[str, Any]] = {}
    if of is not None:
        before = ws.read(Permission.READ, lambda tx: reading.every_args(tx, of))
        graph, then = _as_before(graph, before), _newest(before)

    def settle(leaf: Argument) -> Argument:
        told = leaf["data"]
        if "digest" in told:
            return leaf
        text = told["reference"]
        wanted = naming.parse(text)
        if wanted.newest and wanted.name in then:
            return {"data": {**then[wanted.name], "frame": told["frame"]}}
        if text not in known:
            known[text] = ws.read(Permission.READ, lambda tx: versions.resolve(tx, text))
        one = known[text]
        return {
            "data": {
                "name": one.name,
                "number": one.number,
                "digest": one.digest,
                "manifest": one.manifest,
                "kind": one.kind,
                "frame": told["frame"],
            }
        }

    nodes = [node.with_args(lambda args: _each(args, settle)) for node in graph.nodes]
    return msgspec.structs.replace(graph, nodes=nodes)


def _newest(before: Mapping[str, Mapping[str, Argument]]) -> dict[str, dict[str, Any]]:
    """Return the newest version of each dataset that the steps of a run were given."""
    found: dict[str, dict[str, Any]] = {}
    for args in before.values():
        for told in _told(args):
            newest = found.setdefault(told["name"], told)
            if told["number"] > newest["number"]:
                found[told["name"]] = told
    return found


def _as_before(graph: Graph, before: Mapping[str, Mapping[str, Argument]]) -> Graph:
    """Return a graph that reads the very data versions that an earlier run read.

    ``before`` are the arguments of that run's steps. A step that names other data, or whose
    other arguments differ, is left as it is.
    """

    def bare(leaf: Argument) -> Argument:
        told = leaf["data"]
        name = told.get("name") or str(told["reference"]).partition("@")[0]
        return {"data": {"name": name, "frame": told["frame"]}}

    nodes = []
    for node in graph.nodes:
        known = before.get(node.name)
        same = known is not None and _each(node.args, bare) == _each(known, bare)
        nodes.append(msgspec.structs.replace(node, args=dict(known or {})) if same else node)
    return msgspec.structs.replace(graph, nodes=nodes)


def note(tx: Tx, run: str, graph: Graph, at: float) -> None:
    """Write down with a run which data versions it reads, and which step reads each."""
    uses = []
    for node in graph.every_node():
        for told in _told(node.args):
            reference = f"{told['name']}@{told['number']}"
            uses.append(
                Use(
                    dataset=Dataset(
                        name=told["name"],
                        digest=told["digest"],
                        source_type=SOURCE_TYPE,
                        source=reference,
                    ),
                    context=node.name,
                )
            )
    if uses:
        datasets.log(tx, run, uses, at)


def placed(ws: Workspace, args: Mapping[str, Argument]) -> dict[str, Argument]:
    """Put the data versions among a step's arguments where it can read them, and say where.

    Raises:
        NotFoundError, DamagedError: if their bytes are gone or changed.
        StoreError: if there is no room for them.
    """

    def place(leaf: Argument) -> Argument:
        return {**leaf, "place": str(trees.tree(ws, _version(leaf["data"])))}

    return _each(args, place)


def _version(told: Mapping[str, Any]) -> DataVersion:
    if not told.get("manifest"):
        raise DamagedError(f"Data {told['name']}@{told['number']} was pinned without a manifest.")
    return DataVersion(
        name=told["name"],
        number=told["number"],
        digest=told["digest"],
        manifest=told["manifest"],
        kind=told["kind"],
        created=0.0,
        by="",
        files=0,
        bytes=0,
    )


def _each(
    args: Mapping[str, Argument], change: Callable[[Argument], Argument]
) -> dict[str, Argument]:
    return {name: _changed(one, change) for name, one in args.items()}


def _changed(one: Argument, change: Callable[[Argument], Argument]) -> Argument:
    if "data" in one:
        return change(one)
    if "dict" in one:
        return {**one, "dict": _each(one["dict"], change)}
    for kind in ("list", "tuple"):
        if kind in one:
            return {**one, kind: [_changed(part, change) for part in one[kind]]}
    return one


def _told(args: Mapping[str, Argument]) -> Iterator[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def take(leaf: Argument) -> Argument:
        found.append(leaf["data"])
        return leaf

    _each(args, take)
    yield from found

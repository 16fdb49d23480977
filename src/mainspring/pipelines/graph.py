"""What a pipeline is traced to: named nodes, what each needs, and blocks to be planted later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import ProjectError
from mainspring.ground.nearest import meant
from mainspring.pipelines.declare import Options, module_of

#: An argument is one of {"ref": step}, {"value": json}, {"digest": ..., "type": ...}, {"list":
#: [...]}, {"tuple": [...]}, {"dict": {...}}, {"data": {...}}, a version of a dataset, and
#: {"token": {"step": callback, "asked": n}}, which is made when the step that takes it runs.
#: Within a block there are two more, which are replaced when it is planted: {"ref": step, "in":
#: block} and {"param": name, "in": block}. The name of a ``*parts`` parameter is kept with its
#: star.
Argument = dict[str, Any]
Rename = Callable[[str], str]
Change = Callable[[Mapping[str, Argument]], dict[str, Argument]]

#: Kinds of controllers that wait for somebody, something or a time.
#: What ends a run, in the place of a step's name in its task's id: no step is called so.
RUN_END = "run_end"
WAITS = ("approval", "event", "callback", "wait")
STEP = "step"  #: the kind of a node that is a function; every other kind is a controller


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a graph: a step with what it is called with, or a controller.

    A controller decides, while the run goes on, which of its blocks are planted how often.
    """

    name: str
    target: str  #: "module:function"; empty for a controller that calls none
    args: dict[str, Argument]
    options: Options = Options()
    kind: str = STEP  #: see ``controls``
    blocks: dict[str, Block] = {}
    settings: dict[str, Any] = {}  #: plain data of the controller's kind

    @property
    def needs(self) -> list[str]:
        """Return the names of the steps whose output it takes, in order, each once.

        A controller needs what its blocks take from outside of them as well.
        """
        found = [leaf["ref"] for _, leaf in leaves(self.args) if "ref" in leaf]
        own: set[str] = set()
        for block in self.every_block():
            found += [leaf["ref"] for leaf in block.leaves() if "ref" in leaf and "in" not in leaf]
            own |= {node.name for node in block.nodes if not block.naming}
        return [name for name in dict.fromkeys(found) if name not in own]

    @property
    def targets(self) -> list[str]:
        """Return the targets of it and of all within it, each once."""
        inner = [node for block in self.blocks.values() for node in block.nodes]
        every = [self.target, *(one for node in inner for one in node.targets)]
        return list(dict.fromkeys(one for one in every if one))

    def with_args(self, change: Change) -> Node:
        """Return it with its arguments, and those of all within it, changed."""
        blocks = {
            name: msgspec.structs.replace(
                block, nodes=[node.with_args(change) for node in block.nodes]
            )
            for name, block in self.blocks.items()
        }
        return msgspec.structs.replace(self, args=change(self.args), blocks=blocks)

    def every_block(self) -> Iterator[Block]:
        """Go through its blocks, and those of the nodes within."""
        for block in self.blocks.values():
            yield block
            for node in block.nodes:
                yield from node.every_block()


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that a controller plants: none, one or many times."""

    id: str
    naming: str  #: the block by whose name its nodes are called; empty: by the graph's
    nodes: list[Node]
    results: dict[str, Argument]  #: what is known of it once its nodes have ended

    def leaves(self) -> Iterator[Argument]:
        """Go through the arguments of its own nodes, and its results."""
        for node in self.nodes:
            yield from (leaf for _, leaf in leaves(node.args))
        yield from (leaf for _, leaf in leaves(self.results))

    def filled(self, rename: Rename, bound: Mapping[str, Argument], name: str = "") -> Block:
        """Return the block as it is planted once: its steps renamed, its params bound.

        ``name`` is that of the block whose own names and params these are; by default its own.
        """
        ours = name or self.id
        named = self.naming == ours

        def node_of(node: Node) -> Node:
            return msgspec.structs.replace(
                node,
                name=rename(node.name) if named else node.name,
                args={k: _filled(v, ours, rename, bound) for k, v in node.args.items()},
                blocks={k: v.filled(rename, bound, ours) for k, v in node.blocks.items()},
            )

        return msgspec.structs.replace(
            self,
            naming="" if named else self.naming,
            nodes=[node_of(node) for node in self.nodes],
            results={k: _filled(v, ours, rename, bound) for k, v in self.results.items()},
        )

    def results_of(self, rename: Rename, bound: Mapping[str, Argument]) -> dict[str, Argument]:
        """Return its results as they are called where it was planted."""
        return {k: _filled(v, self.id, rename, bound) for k, v in self.results.items()}


def _filled(
    argument: Argument, block: str, rename: Rename, bound: Mapping[str, Argument]
) -> Argument:
    if argument.get("in") == block:
        return {"ref": rename(argument["ref"])} if "ref" in argument else bound[argument["param"]]
    for kind in ("list", "tuple"):
        if kind in argument:
            return {kind: [_filled(part, block, rename, bound) for part in argument[kind]]}
    if "dict" in argument:
        inner = argument["dict"].items()
        return {"dict": {k: _filled(part, block, rename, bound) for k, part in inner}}
    return argument


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline will do. Nodes stand in an order in which they may run."""

    pipeline: str  #: "module:function"
    params: dict[str, Any]
    nodes: list[Node]
    result: str | None  #: the step whose output is the pipeline's

    @property
    def needs(self) -> dict[str, list[str]]:
        """Return what each step waits for, by name."""
        return {node.name: node.needs for node in self.nodes}

    @property
    def targets(self) -> list[str]:
        """Return the targets of all functions it may call, each once."""
        return list(dict.fromkeys(one for node in self.nodes for one in node.targets))

    def every_node(self) -> Iterator[Node]:
        """Go through its nodes, and those of their blocks."""
        for node in self.nodes:
            yield node
            for block in node.every_block():
                yield from block.nodes

    def root_of(self, name: str) -> str | None:
        """Return the node that a step is, or that may plant it: ``fit`` for ``fit[3]``.

        None if there is no such node in the graph.
        """
        for node in self.nodes:
            if name == node.name:
                return node.name
        for node in self.nodes:
            inner = {
                one.name for block in node.every_block() if not block.naming for one in block.nodes
            }
            grown = node.kind != STEP and name.startswith((f"{node.name}[", f"{node.name}."))
            deeper = any(name.startswith((f"{one}[", f"{one}.")) for one in inner)
            if grown or deeper or name in inner:
                return node.name
        return None

    def node(self, name: str) -> Node:
        """Return a step by its name.

        Raises:
            ProjectError: if there is no such step, with the name that was meant.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise ProjectError(
            f"Pipeline {self.pipeline} has no step {name[:80]!r}.",
            field="step",
            hint=meant(name, self.needs),
        )

    def only(self, name: str) -> Graph:
        """Return the graph of one step and those it needs, which take nothing themselves.

        Raises:
            ProjectError: if there is no such step.
        """
        wanted = self.node(name)
        kept = [
            Node(name=node.name, target=node.target, args={}, options=node.options)
            for node in self.nodes
            if node.name in wanted.needs
        ]
        return msgspec.structs.replace(self, nodes=[*kept, wanted], result=None)

    def after(self, name: str) -> list[str]:
        """Return a step and all that follow from it, in order.

        Raises:
            ProjectError: if there is no such step.
        """
        first = self.root_of(name)
        if first is None:
            raise ProjectError(
                f"Pipeline {self.pipeline} has no step {name[:80]!r}.",
                field="step",
                hint=meant(name, self.needs),
            )
        if first != name:  # only this one of what grows there, then all after it
            after = [one for one in self.after(first) if one != first]
            return [name, *after]
        found = {name}
        for node in self.nodes:
            if found.intersection(node.needs):
                found.add(node.name)
        return [node.name for node in self.nodes if node.name in found]


def target_of(function: Any) -> str:
    """Return how another process finds a function: "module:function".

    A function of the script that is being run is found by the script's file name.

    Raises:
        ProjectError: if no other process could find it.
    """
    name = function.__qualname__
    if "<locals>" in name:
        raise ProjectError(
            f"{name} is defined inside of a function, where no other process can find it.",
            hint="Move it to the top level of a module.",
        )
    return f"{module_of(function)}:{name}"


def leaves(args: Mapping[str, Argument]) -> Iterator[tuple[str, Argument]]:
    """Yield each part of the arguments that holds no other, with its path.

    A list's own path is yielded too, with its kind and length, so that a key made of all of
    them tells ``[[a], b]`` from ``[a, [b]]``.
    """
    for path, argument in args.items():
        if "list" in argument or "tuple" in argument:
            kind = "list" if "list" in argument else "tuple"
            yield path, {"shape": f"{kind} of {len(argument[kind])}"}
            inner = {f"{path}[{n}]": part for n, part in enumerate(argument[kind])}
            yield from leaves(inner)
        elif "dict" in argument:
            yield path, {"shape": f"dict of {sorted(argument['dict'])}"}
            yield from leaves({f"{path}[{k!r}]": v for k, v in argument["dict"].items()})
        else:
            yield path, argument

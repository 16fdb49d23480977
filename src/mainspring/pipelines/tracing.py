"""Trace a pipeline's body into a graph: its steps and shapes listen instead of working."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainspring.ground.errors import ProjectError
from mainspring.pipelines import hints
from mainspring.pipelines.data.asked import Data
from mainspring.pipelines.declare import (
    TRACER,
    Pipeline,
    Ref,
    Step,
    counted,
    scope_of,
    step_of,
)
from mainspring.pipelines.graph import RUN_END, WAITS, Argument, Block, Graph, Node, target_of
from mainspring.pipelines.literals import MAX_DEPTH, check_literal
from mainspring.pipelines.parameters import resolve

#: More nodes than that are no pipeline that somebody wrote: its body loops without end.
MOST_NODES = 10_000
_DEEPEST = 12  #: blocks within blocks


def trace(pipeline: Pipeline[..., Any], params: Mapping[str, Any] | None = None) -> Graph:
    """Run a pipeline's body with its steps listening instead of working; return the graph.

    ``params`` override the defaults and are converted by the annotations. The same pipeline
    and params always give the same graph: a step called again is named ``train_2``.

    Raises:
        BadInputError: for an unknown param or one of the wrong type.
        ProjectError: if the body does more than wire steps, or gives a step what is not
            JSON-like; or if pipelines call each other in a circle.
    """
    values = resolve(pipeline, params or {})
    tracer = Tracer()
    token = TRACER.set(tracer)
    try:
        result = pipeline(**values)
    finally:
        TRACER.reset(token)
    if result is not None and not isinstance(result, Ref):
        raise ProjectError(
            f"Pipeline {pipeline.name} returned a {type(result).__name__}; it may return what one"
            " step returns, or nothing.",
            hint="Let a last step gather the outputs, and return what that step returns.",
        )
    if not tracer.nodes:
        raise ProjectError(
            f"Pipeline {pipeline.name} calls no step.", hint="Mark its functions with @step."
        )
    if result is not None:
        tracer.argument(result, f"what pipeline {pipeline.name} returns")
    graph = Graph(
        pipeline=target_of(pipeline.function),
        params=values,
        nodes=tracer.nodes,
        result=None if result is None else step_of(result),
    )
    _refuse_circles(graph)
    _refuse_idle_waits(graph)
    return graph


def trace_call(
    call: Callable[[], Any], name: str, values: Mapping[str, Any], known: Mapping[str, Argument]
) -> Block:
    """Return what the call of a function with values wires, as a block to be planted.

    ``known`` says as what each value came in: one that is handed on to a step as it is goes
    there by its digest, whatever it is.
    """
    tracer = Tracer({id(value): known[name] for name, value in values.items() if name in known})
    token = TRACER.set(tracer)
    try:
        return tracer.block(call, (), f"what {name} returns", named=True)
    finally:
        TRACER.reset(token)


class Scope:
    """Where nodes are written down: the graph's own level, or a block of it."""

    def __init__(self, name: str, outer: Scope | None, *, named: bool) -> None:
        self.name, self.outer = name, outer
        self.nodes: list[Node] = []
        #: the scope by whose name the nodes in here are called
        self.naming: Scope = self if named or outer is None else outer.naming
        #: name -> how often it was asked for
        self.taken: dict[str, int] = {RUN_END: 1}
        self.depth: int = 0 if outer is None else outer.depth + 1


class Tracer:
    """Listens to the calls of steps and shapes, and writes them down as nodes."""

    def __init__(self, known: Mapping[int, Argument] | None = None) -> None:
        self._scope = Scope("", None, named=True)
        self._root = self._scope
        self._targets: dict[str, str] = {}  # a step's own name -> its target
        self._known = dict(known or {})
        self._blocks = 0
        self._count = 0
        self._calls: list[str] = []
        self._parts: dict[Any, Ref] = {}  # of what, and where in it -> what stands for it

    @property
    def nodes(self) -> list[Node]:
        """Return the nodes of the graph's own level."""
        return self._root.nodes

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """Write down that a step is called."""
        target = target_of(step.function)
        if self._targets.setdefault(step.name, target) != target:
            raise ProjectError(
                f"Two steps are called {step.name}: {self._targets[step.name]} and {target}.",
                hint="Rename one; steps are spoken of by their names.",
            )
        bound = self._bind(step, args, kwargs)
        ref = self._write(
            step.name, target=target, args=bound, options=step.options, kind=step.kind
        )
        return counted(ref, hints.count(step.function))

    def shape(
        self,
        kind: str,
        name: str,
        args: Mapping[str, Any],
        blocks: Mapping[str, Block] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Ref:
        """Write down a controller; ``args`` are values or Refs of this level."""
        words = f"of {kind} {name}"
        told = {key: self.argument(value, f"{key} {words}") for key, value in args.items()}
        return self._write(
            name, target="", args=told, kind=kind, blocks=blocks or {}, settings=settings or {}
        )

    def part(self, ref: Ref, at: str | int) -> Ref:
        """Write down that a part of a result is taken; the same part of it only once."""
        of = (step_of(ref), *scope_of(ref), at)
        around: Scope | None = self._scope
        while around is not None:
            if (*of, around) in self._parts:
                return self._parts[*of, around]
            around = around.outer
        said = re.sub(r"[^\w-]+", "_", str(at))[:40]
        taken = self.shape("part", f"{step_of(ref)}.{said}", {"of": ref}, settings={"at": at})
        self._parts[*of, self._scope] = taken
        return taken

    def block(
        self,
        body: Callable[..., Any],
        params: Sequence[str],
        words: str,
        *,
        named: bool,
        until: Callable[..., Any] | None = None,
    ) -> Block:
        """Return what a function wires, with stand-ins for ``params``, as a block.

        ``named`` says that each time it is planted its steps have names of their own. ``until``
        is called with what the body returned; what it returns is the result of that name.
        """
        self._blocks += 1
        scope = Scope(f"b{self._blocks}", self._scope, named=named)
        if scope.depth > _DEEPEST:
            raise ProjectError(f"{words}: nested deeper than {_DEEPEST} levels.")
        outer, self._scope = self._scope, scope
        try:
            result = body(*(Ref(one, scope, param=True) for one in params))
            results = {"result": self.argument(result, words)}
            if until is not None:
                results["until"] = self.argument(until(result), f"the condition of {words}")
        finally:
            self._scope = outer
        return Block(id=scope.name, naming=scope.naming.name, nodes=scope.nodes, results=results)

    def entered(self, pipeline: str) -> None:
        """Take note that a pipeline's body begins.

        Raises:
            ProjectError: if it is in the middle of its own body, again and again.
        """
        self._calls.append(pipeline)
        if self._calls.count(pipeline) > _DEEPEST:
            circle = " -> ".join([*dict.fromkeys(self._calls), pipeline])
            raise ProjectError(
                f"Pipeline {pipeline} calls itself without end: {circle}.",
                hint="Wire the steps of one of them directly, or use ms.iterate with a bound.",
            )

    def left(self) -> None:
        """Take note that a pipeline's body has ended."""
        self._calls.pop()

    def argument(self, value: Any, words: str, depth: int = 0) -> Argument:
        """Return a value as it is written into the graph."""
        if isinstance(value, Ref):
            return self._ref(value, words)
        if isinstance(value, Data):
            return value.argument()
        kind = type(value)
        if id(value) in self._known and kind not in (bool, int, float, str, type(None)):
            return self._known[id(value)]
        if kind is tuple or (kind in (list, dict) and _holds_ref(value, self._known)):
            if depth > 16:
                raise ProjectError(f"{words} is nested deeper than 16 levels.")
            if kind is dict:
                check_literal(dict.fromkeys(value), words)
                return {"dict": {k: self.argument(v, words, depth + 1) for k, v in value.items()}}
            return {kind.__name__: [self.argument(part, words, depth + 1) for part in value]}
        return {"value": check_literal(value, words)}

    def _ref(self, ref: Ref, words: str) -> Argument:
        """Return a Ref as seen from here.

        Raises:
            ProjectError: if it is of a block that we are not in, or of another pipeline.
        """
        name, scope, param = step_of(ref), *scope_of(ref)
        around: Scope | None = self._scope
        while around is not None and around is not scope:
            around = around.outer
        if around is None:
            raise ProjectError(
                f"{words} is {ref!r}, which is known only within the branch, map or round (or the"
                " other pipeline) that it was made in.",
                hint="Let that return it, and use what ms.when, ms.map or ms.iterate returns.",
            )
        if param:
            return {"param": name, "in": around.name}
        naming = around.naming.name
        return {"ref": name, "in": naming} if naming else {"ref": name}

    def _write(self, name: str, **node: Any) -> Ref:
        self._count += 1
        if self._count > MOST_NODES:
            raise ProjectError(
                f"The pipeline wires more than {MOST_NODES:,} steps.",
                hint="Go over a list that is known at run time with ms.map.",
            )
        taken = self._scope.naming.taken
        again = taken.get(name, 0) + 1
        free = name if again == 1 else f"{name}_{again}"
        while free in taken:
            again += 1
            free = f"{name}_{again}"
        taken[name] = again
        taken.setdefault(free, 1)
        self._scope.nodes.append(Node(name=free, **node))
        return Ref(free, self._scope)

    def _bind(
        self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Argument]:
        """Return every argument by its name, defaults included."""
        signature = inspect.signature(step.function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ProjectError(
                f"Step {step.name} was called with the wrong arguments: {error}.",
                hint=f"It takes {signature}.",
            ) from error
        bound.apply_defaults()
        out: dict[str, Argument] = {}
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            words = f"argument {name} of step {step.name}"
            if kind is inspect.Parameter.VAR_POSITIONAL:
                out[f"*{name}"] = {"list": [self.argument(part, words) for part in value]}
            elif kind is inspect.Parameter.VAR_KEYWORD:
                out[f"**{name}"] = {"dict": {k: self.argument(v, words) for k, v in value.items()}}
            else:
                out[name] = self.argument(value, words)
        return out


def _holds_ref(value: Any, known: Mapping[int, Argument], depth: int = 0) -> bool:
    """Return whether a list or dict needs to be taken apart: for a Ref, data or a tuple in it."""
    if isinstance(value, Ref | Data | tuple) or (
        id(value) in known and type(value) not in (bool, int, float, str, type(None))
    ):
        return True
    if depth > MAX_DEPTH:  # a circle, perhaps; ``check_literal`` has the words for it
        return False
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(_holds_ref(part, known, depth + 1) for part in value)


def _refuse_circles(graph: Graph) -> None:
    """Refuse a graph in which a step depends on itself, or on one that comes after it.

    Tracing makes none: it takes a Ref that was made by hand, or changed.
    """
    before: set[str] = set()
    for node in graph.nodes:
        wrong = [one for one in node.needs if one not in before]
        if wrong:
            own = f"{node.name} takes what {wrong[0]} returns"
            raise ProjectError(
                f"{own}, and {wrong[0]} does not come before it: a step cannot depend on itself.",
                hint="Use only what calls of steps and shapes return, as it was returned.",
            )
        before.add(node.name)


def _refuse_idle_waits(graph: Graph) -> None:
    """Refuse a wait that steps are written below of and none takes: they would not wait.

    An approval that looks as if it guarded what follows, and does not, is worse than none.
    """
    taken = {need for node in graph.nodes for need in node.needs} | {graph.result}
    for node in graph.nodes[:-1]:
        if node.kind in WAITS and node.name not in taken:
            raise ProjectError(
                f"Nothing takes what the wait {node.name} returns, so the steps after it would"
                " not wait for it.",
                hint="Give it to what is to wait: ms.when(yes, lambda: publish(found)),"
                " publish(ms.wait(...)), or as after= to the next wait.",
            )

"""Trace a pipeline's body into a graph of named steps."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import ProjectError
from mainspring.pipelines.data.asked import Data
from mainspring.pipelines.declare import TRACER, Options, Pipeline, Ref, Step, module_of, step_of
from mainspring.pipelines.literals import MAX_DEPTH, check_literal
from mainspring.pipelines.parameters import resolve

#: An argument is one of {"ref": step}, {"value": json}, {"list": [...]}, {"tuple": [...]},
#: {"dict": {...}} and {"data": {...}}, a version of a dataset. The name of a ``*parts``
#: parameter is kept with its star.
Argument = dict[str, Any]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a graph: what is called, with what."""

    name: str
    target: str  #: "module:function"
    args: dict[str, Argument]
    options: Options = Options()

    @property
    def needs(self) -> list[str]:
        """Return the names of the steps whose output it takes, in order, each once."""
        found = [leaf["ref"] for _, leaf in leaves(self.args) if "ref" in leaf]
        return list(dict.fromkeys(found))


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

    def after(self, name: str) -> list[str]:
        """Return a step and all that follow from it, in order.

        Raises:
            ProjectError: if there is no such step.
        """
        if name not in self.needs:
            raise ProjectError(
                f"Pipeline {self.pipeline} has no step {name[:80]!r}.",
                field="step",
                hint=f"It has: {', '.join(self.needs)}.",
            )
        found = {name}
        for node in self.nodes:
            if found.intersection(node.needs):
                found.add(node.name)
        return [node.name for node in self.nodes if node.name in found]


def trace(pipeline: Pipeline[..., Any], params: Mapping[str, Any] | None = None) -> Graph:
    """Run a pipeline's body with its steps listening instead of working; return the graph.

    ``params`` override the defaults and are converted by the annotations. The same pipeline
    and params always give the same graph: a step called again is named ``train_2``.

    Raises:
        BadInputError: for an unknown param or one of the wrong type.
        ProjectError: if the body does more than wire steps, or gives a step what is not
            JSON-like.
    """
    values = resolve(pipeline, params or {})
    tracer = _Tracer()
    token = TRACER.set(tracer)
    try:
        result = pipeline.function(**values)
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
    return Graph(
        pipeline=target_of(pipeline.function),
        params=values,
        nodes=tracer.nodes,
        result=None if result is None else step_of(result),
    )


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


class _Tracer:
    """Listens to the calls of steps and writes them down as nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._targets: dict[str, str] = {}  # a step's own name -> its target
        self._taken: set[str] = set()

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        target = target_of(step.function)
        if self._targets.setdefault(step.name, target) != target:
            raise ProjectError(
                f"Two steps are called {step.name}: {self._targets[step.name]} and {target}.",
                hint="Rename one; steps are spoken of by their names.",
            )
        name, again = step.name, 1
        while name in self._taken:
            again += 1
            name = f"{step.name}_{again}"
        self._taken.add(name)
        bound = _bind(step, args, kwargs)
        self.nodes.append(Node(name=name, target=target, args=bound, options=step.options))
        return Ref(name)


def _bind(
    step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
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
            out[f"*{name}"] = {"list": [_argument(part, words) for part in value]}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            out[f"**{name}"] = {"dict": {k: _argument(v, words) for k, v in value.items()}}
        else:
            out[name] = _argument(value, words)
    return out


def _argument(value: Any, words: str, depth: int = 0) -> Argument:
    """Return one argument as it is written into the graph."""
    if isinstance(value, Ref):
        return {"ref": step_of(value)}
    if isinstance(value, Data):
        return value.argument()
    kind = type(value)
    if kind is tuple or (kind in (list, dict) and _holds_ref(value)):
        if depth > 16:
            raise ProjectError(f"{words} is nested deeper than 16 levels.")
        if kind is dict:
            check_literal(dict.fromkeys(value), words)
            return {"dict": {k: _argument(v, words, depth + 1) for k, v in value.items()}}
        return {kind.__name__: [_argument(part, words, depth + 1) for part in value]}
    return {"value": check_literal(value, words)}


def _holds_ref(value: Any, depth: int = 0) -> bool:
    """Return whether a list or dict needs to be taken apart: for a Ref, data or a tuple in it."""
    if isinstance(value, Ref | Data | tuple):
        return True
    if depth > MAX_DEPTH:  # a circle, perhaps; ``check_literal`` has the words for it
        return False
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(_holds_ref(part, depth + 1) for part in value)

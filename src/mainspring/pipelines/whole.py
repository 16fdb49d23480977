"""Know the code of a whole project again: of every pipeline and step, and where steps stand.

``python -m mainspring.pipelines.whole ROOT FILE MODULE...`` writes it as JSON, from a process of
its own: the user's modules are imported there and nowhere else.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import msgspec

from mainspring.ground.environment import environment_digest
from mainspring.ground.errors import MainspringError
from mainspring.ground.identity import sha256
from mainspring.pipelines import project
from mainspring.pipelines.code import code_digest, digest_of, graph_code
from mainspring.pipelines.declare import Pipeline, Step
from mainspring.pipelines.graph import target_of
from mainspring.pipelines.programs.program import Program
from mainspring.pipelines.tracing import trace

#: What a pipeline is traced with where it asks for a parameter and has no default for it.
_STAND_INS: dict[Any, Any] = {bool: False, int: 1, float: 1.0, str: "x", list: [], dict: {}}


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """The code of a project: digests by target, ``module:function``."""

    pipelines: dict[str, str]  #: the digest that a version of it bears; blank: see ``untraced``
    steps: dict[str, str]
    lines: dict[str, list[int]]  #: step -> the lines of it that can run
    files: dict[str, str]  #: every file of the project that was read -> digest of its bytes
    environment: str  #: digest
    untraced: dict[str, str] = {}  #: pipeline -> why its graph is not known without a run


def of_project(root: Path, modules: Sequence[str] = (project.DEFAULT,)) -> Whole:
    """Return the code of every pipeline and step that these modules hold or import.

    Raises:
        ProjectError: if a module is missing or raises, or a step has no source.
    """
    found: dict[str, Pipeline[..., Any]] = {}
    steps: dict[str, Step[..., Any]] = {}
    for name in modules:
        project.import_module(root, name)
    for value in _values():
        if isinstance(value, Program):
            value.know_name()
        if isinstance(value, Pipeline):
            found[target_of(value.function)] = value
        elif isinstance(value, Step):
            steps[target_of(value.function)] = value
    pipelines, untraced = {}, {}
    for target, pipeline in found.items():
        try:
            with project.users_errors(f"{target} cannot be traced"):
                graph = trace(pipeline, _standing_in(pipeline))
        except MainspringError as error:
            pipelines[target], untraced[target] = "", error.message
        else:
            pipelines[target] = digest_of(graph_code(pipeline, graph))
    return Whole(
        pipelines=dict(sorted(pipelines.items())),
        steps={name: code_digest(step.function)[0] for name, step in sorted(steps.items())},
        lines={
            name: runnable(step.function.__code__)
            for name, step in steps.items()
            if not isinstance(step, Program)  # its lines are no lines of Python's
        },
        files=dict(sorted(_files())),
        environment=environment_digest(),
        untraced=untraced,
    )


def runnable(code: CodeType) -> list[int]:
    """Return the lines of a function's body that can run, comprehensions and lambdas included.

    >>> def half(x):
    ...     return x / 2
    >>> len(runnable(half.__code__))
    1
    """
    body = set(_lines(code)) - {code.co_firstlineno}
    return sorted(body or {code.co_firstlineno})


def _lines(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _lines(inner)


def _values() -> Iterator[Any]:
    """Go through what the project's modules hold, each thing once."""
    seen: set[int] = set()
    for module in list(sys.modules.values()):
        if project.source_of(getattr(module, "__name__", "")) is None:
            continue
        for value in list(vars(module).values()):
            if id(value) not in seen:
                seen.add(id(value))
                yield value


def _files() -> Iterator[tuple[str, str]]:
    for name in list(sys.modules):
        known = project.source_of(name)
        if known is not None:
            yield known[0], sha256(known[1])


def same_files(before: Whole) -> bool:
    """Return whether every file that was read still holds the same bytes."""
    try:
        return all(sha256(Path(name).read_bytes()) == told for name, told in before.files.items())
    except OSError:
        return False


def _standing_in(pipeline: Pipeline[..., Any]) -> dict[str, Any]:
    """Return a value for each parameter without default: its graph seldom depends on it."""
    hints = typing.get_type_hints(pipeline.function)
    out = {}
    for name, parameter in inspect.signature(pipeline.function).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            out[name] = _stand_in(hints.get(name, str))
    return out


def _stand_in(wanted: Any) -> Any:
    origin = typing.get_origin(wanted)
    members = typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return None if types.NoneType in members else _stand_in(members[0])
    if origin is typing.Literal:
        return members[0]
    if origin is typing.Annotated:
        return _stand_in(members[0])
    plain: Any = wanted if origin is None else origin
    return _STAND_INS.get(plain, "x")


def main(words: Sequence[str]) -> int:
    """Write the code of the project in ROOT to FILE; an error of the user's is written too."""
    root, file, *modules = words
    found: dict[str, Any]
    try:
        found = {"whole": of_project(Path(root), modules or [project.DEFAULT])}
    except MainspringError as error:
        found = {"error": error.message, "hint": error.hint}
    Path(file).write_bytes(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

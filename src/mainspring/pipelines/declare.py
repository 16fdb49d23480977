"""The words a project is written in: ``@step`` and ``@pipeline``."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import (
    Any,
    Generic,
    NoReturn,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import ProjectError
from mainspring.pipelines import expecting
from mainspring.pipelines.options import GivenToStep, settle
from mainspring.pipelines.options import Options as Options

P = ParamSpec("P")
R = TypeVar("R")

_ONLY_WIRES = "A pipeline's body only wires steps together; what works on values goes in a step."


class Ref:
    """What a step will return, while a pipeline is traced: good as an argument, whole or in part.

    ``ref["train"]`` and ``ref[0]`` stand for a part of it. It can be unpacked where the step's
    hint says into how many, ``-> tuple[A, B]``. Every other use raises a ProjectError.
    """

    __slots__ = ("_count", "_param", "_scope", "_step")

    def __init__(
        self, step: str, scope: object = None, *, param: bool = False, count: int | None = None
    ) -> None:
        self._step = step
        self._scope = scope
        self._param = param
        self._count = count  #: of the parts it can be unpacked into

    def __repr__(self) -> str:
        return f"<{self._step}>" if self._param else f"<what {self._step} returns>"

    def __getitem__(self, at: str | int) -> Ref:
        tracer = TRACER.get()
        named = isinstance(at, str) and at != "" and not any("\ud800" <= c <= "\udfff" for c in at)
        placed = isinstance(at, int) and not isinstance(at, bool) and at >= 0
        if tracer is None or not (named or placed):
            raise ProjectError(
                f"While the pipeline is wired, {self!r} is not there yet: a part of it is named by"
                f" text or by a whole number from 0, found {at!r:.80}.",
                hint=_ONLY_WIRES,
            )
        return tracer.part(self, at)

    def __iter__(self) -> Iterator[Ref]:
        if self._count is None:
            raise ProjectError(
                f"While the pipeline is wired, {self!r} is not there yet, and nothing says into"
                " how many parts it can be unpacked.",
                hint=f"{_ONLY_WIRES} Say the number in the step's hint, -> tuple[A, B], or take"
                " parts one by one, split[0] or split['train']; ms.map goes over a list.",
            )
        return iter([self[number] for number in range(self._count)])


def counted(ref: Ref, count: int | None) -> Ref:
    """Return a Ref that can be unpacked into so many parts."""
    return Ref(step_of(ref), ref._scope, param=ref._param, count=count)  # noqa: SLF001


def step_of(ref: Ref) -> str:
    """Return the name of the step in the graph that a Ref stands for."""
    return ref._step  # noqa: SLF001  kept private so that users' attribute access is caught


def scope_of(ref: Ref) -> tuple[Any, bool]:
    """Return where a Ref was made, and whether it stands for a block's param."""
    return ref._scope, ref._param  # noqa: SLF001  as above


def _forbid(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Ref, *_args: object, **_kwargs: object) -> NoReturn:
        raise ProjectError(
            f"While the pipeline is wired, {self!r} is not there yet and cannot be {what}.",
            hint=_ONLY_WIRES,
        )

    return refuse


_FORBIDDEN = {
    "used in arithmetic": "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod"
    " pow rpow matmul rmatmul neg pos abs invert and rand or ror xor rxor lshift rshift"
    " iadd isub imul round divmod",
    "compared": "eq ne lt le gt ge",
    "iterated": "next reversed contains",
    "tested for truth": "bool",
    "measured": "len",
    "changed": "setitem delitem",
    "called": "call",
    "made a number": "int float complex index",
    "made text": "str format bytes",
    "used as a context": "enter exit",
    "awaited": "await",
}
for _what, _names in _FORBIDDEN.items():
    for _name in _names.split():
        setattr(Ref, f"__{_name}__", _forbid(_what))
Ref.__hash__ = object.__hash__  # type: ignore[method-assign]  # lost with __eq__


def _no_attribute(self: Ref, name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ProjectError(
        f"While the pipeline is wired, {self!r} is not there yet and has no .{name}.",
        hint=_ONLY_WIRES,
    )


Ref.__getattr__ = _no_attribute  # type: ignore[attr-defined]  # after the slots are in place


class Tracer(Protocol):
    """What listens to the calls of steps while a pipeline is traced."""

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """Take note of a call and return what stands for its result."""
        ...

    def shape(
        self,
        kind: str,
        name: str,
        args: Mapping[str, Any],
        blocks: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Ref:
        """Take note of a controller and return what stands for its result."""
        ...

    def part(self, ref: Ref, at: str | int) -> Ref:
        """Take note of a part of a result and return what stands for it."""
        ...

    def block(
        self,
        body: Callable[..., Any],
        params: Sequence[str],
        words: str,
        *,
        named: bool,
        until: Callable[..., Any] | None = None,
    ) -> Any:
        """Return what a function wires, as a block that a controller may plant."""
        ...

    def entered(self, pipeline: str) -> None:
        """Take note that a pipeline's body begins."""
        ...

    def left(self) -> None:
        """Take note that a pipeline's body has ended."""
        ...


#: Set while a pipeline's body runs to be traced; a Step asks it whether to run or to wire.
TRACER: ContextVar[Tracer | None] = ContextVar("mainspring_tracer", default=None)


class Step(Generic[P, R]):
    """A function that a pipeline can run, reuse and explain.

    Called by itself it just runs the function, so that it is tested as plain Python. Called in
    a pipeline that is being traced it returns a :class:`Ref`.
    """

    kind = "step"  #: of its node in the graph; see ``controls`` for the others

    def __init__(
        self,
        function: Callable[P, R],
        options: Options,
        expects: Contract | Mapping[str, Contract] | None = None,
    ) -> None:
        self.expects = expecting.settle(function, expects)
        expecting.mark(function, self.expects)
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.name = function.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function; while a pipeline is traced, wire it in instead."""
        tracer = TRACER.get()
        if tracer is None:
            expecting.keep_call(self.function, args, kwargs)
            return self.function(*args, **kwargs)
        return cast("R", tracer.call(self, args, kwargs))

    @property
    def module(self) -> str:
        """Return the module another process finds it in."""
        return module_of(self.function)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class Pipeline(Generic[P, R]):
    """A function whose body wires steps together. Called by itself it runs them one by one."""

    word = "pipeline"  #: what messages call it

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the body; within the body of another pipeline its steps are wired into that."""
        tracer = TRACER.get()
        if tracer is None:
            return self.function(*args, **kwargs)
        tracer.entered(self.name)
        try:
            return self.function(*args, **kwargs)
        finally:
            tracer.left()

    @property
    def module(self) -> str:
        """Return the module another process finds it in."""
        return module_of(self.function)

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


def module_of(function: Callable[..., Any]) -> str:
    """Return the module a function is in; for the script that is being run, by its file name.

    Raises:
        ProjectError: if it was typed in, so that no other process could find it.
    """
    if function.__module__ != "__main__":
        return function.__module__
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None:
        raise ProjectError(
            f"{function.__name__} was typed in, and no other process can find it.",
            hint="Put steps and pipelines in a file, such as project.py, and import it.",
        )
    return Path(file).stem


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(**given: Unpack[GivenToStep]) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[P, R] | None = None, /, **given: Unpack[GivenToStep]
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step of pipelines.

    ``retries`` is how often it is tried again after it raised, ``backoff_s`` seconds later and
    ``backoff_rate`` (2) times as long each time, at most ``max_delay_s`` (300); ``jitter`` waits
    a part of that drawn by chance. ``retry_on`` are the types of error that are tried again, as
    classes or names, subclasses included; without it whatever is raised. ``retry=[ms.Retry(on=
    OSError, most=5), ms.Retry(on=ValueError, most=1)]`` says it by type of error instead: the
    first that fits counts. After ``timeout_s`` seconds it is stopped, and after ``heartbeat_s``
    without a call of ``ms.heartbeat()``: a ``TimeoutError`` to ``retry_on`` and ``ms.catch``. With
    ``cache=False`` it runs anew in every run, with ``cache="7d"``
    when its result is older than that (s, m, h, d, w; a number is seconds). ``env`` gives it an
    environment of its own: a list of requirements, such as ``["pandas==2.1.4"]``, or a file of
    the project: ``requirements-old.txt``, ``pylock.toml``, ``uv.lock``; ``python`` another
    version of Python, such as "3.12". It is built once, and the step runs in it; what a module
    imports at its top must be there too. ``expects`` is the contract of its first argument, or
    contracts by argument: a table, or the path of one, that breaks its contract fails the step
    before the function is called, and a changed contract runs it anew. ``files=["schema.json"]``
    are files and folders of the project that it depends on besides its code and arguments, and
    ``variables=["REGION"]`` variables of the environment: when one of them changes, it runs
    anew.

    >>> @step(retries=2)
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> double(21)
    42

    ``workers=4`` runs the function in four processes at once, with the same inputs and ranks of
    their own (``ms.rank()``, ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ``MASTER_PORT``); what
    the first returns is what the step returns, and when one fails all are ended.
    ``resources={"cpus": 2, "memory": "1GB", "gpus": 1}`` are what each worker needs: it waits
    for cpus and gpus to be free, uses so many threads, and is ended when it uses more memory.
    ``secrets=["API_KEY"]`` are given as variables of the environment, from the engine's own or
    from ``mainspring secret set``; their values are in no log, error, key or record.

    Raises:
        ProjectError: if it is no plain named function.
        BadInputError: for an option that is unknown or cannot be so, or for a contract of an
            argument that is not there.
    """
    kept: dict[str, Any] = dict(given)
    expects = kept.pop("expects", None)
    options = settle(kept)
    if function is not None:
        return Step(check_function(function, "step"), options, expects)
    return lambda function: Step(check_function(function, "step"), options, expects)


def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]:
    """Make a function a pipeline: its parameters are the run's, its body wires steps.

    Raises:
        ProjectError: if it is no plain named function, or takes ``*args`` or ``**kwargs``.
    """
    check_function(function, "pipeline")
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ProjectError(
                f"Pipeline {function.__name__} takes any number of arguments ({name}).",
                hint="Name each parameter: they are shown, and can be set, by name.",
            )
    return Pipeline(function)


def check_function(function: Callable[P, R], what: str) -> Callable[P, R]:
    """Return the function if another process can find it again by its name.

    Raises:
        ProjectError: if it is a lambda, a generator, async, or no function at all.
    """
    if isinstance(function, Step | Pipeline):
        raise ProjectError(f"{function!r} cannot be made a {what} as well.")
    if not inspect.isfunction(function):
        raise ProjectError(
            f"A {what} must be a function, found {type(function).__name__}.",
            hint="Write def, and @step, @pipeline or @monitor above it.",
        )
    name, place = function.__name__, function.__code__
    where = f"{place.co_filename}:{place.co_firstlineno}"
    if name == "<lambda>":
        raise ProjectError(f"A lambda cannot be a {what} ({where}).", hint="Give it a name: def.")
    if (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        raise ProjectError(
            f"{name} ({where}) is async or a generator; a {what} is a plain function.",
            hint="Return the value, such as a list or a frame.",
        )
    return function

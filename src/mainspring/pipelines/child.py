"""Run one step in a process of its own, and say what came of it."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    ContractError,
    ProjectError,
    StepFailedError,
)
from mainspring.ground.ports import Objects
from mainspring.pipelines import (
    bounding,
    chance,
    expecting,
    hints,
    outputs,
    project,
    sampling,
    tracing,
    unsaid,
)
from mainspring.pipelines.checkpoints import Kept, Shelf, Whose, Writer
from mainspring.pipelines.code import code_digest
from mainspring.pipelines.context import StepContext, entered
from mainspring.pipelines.data import asked
from mainspring.pipelines.declare import Step
from mainspring.pipelines.graph import Argument, Block, leaves
from mainspring.pipelines.outputs.pickled import PickledWarning
from mainspring.pipelines.raised import users_trace


def execute(
    payload: Mapping[str, Any], objects: Objects, write: Writer | None = None
) -> dict[str, Any]:
    """Import the project, decode the inputs, call the step, keep what it returns.

    ``payload`` holds ``root``, ``target``, ``step``, ``run``, ``args`` (as in a StepPlan), and
    if wanted ``pipeline`` (for the words of an error), ``experiment`` and ``name`` of the run,
    ``code`` (the digest it was planned
    with), ``sample`` (rows to which the tables it returns are cut), ``progress`` (a file that
    is told how far it is), ``kept`` (a folder for artifacts of the run) and ``rank`` (which
    worker it is: only the first keeps what it returns), ``secrets`` (names of variables whose
    values are in no file it keeps, as are no tokens among ``args``) and ``checkpoints`` (those
    that are ``there``, as Kept; ``own`` and ``folders``, of each of several workers). ``write``
    writes new ones; without it none is kept.

    Returns ``output``, ``output_type``, ``blobs``, ``metrics`` ([key, value, step, time], see
    context.pack), ``wall_s`` and ``cpu_s`` of the call alone, ``io_s`` of all around it, and
    ``reads``: the files that it opened and had not said.

    Raises:
        StepFailedError: if the user's function raised; with the user's lines only.
        ProjectError: if it cannot be imported, or returned what cannot be kept.
        ConflictError: if its code is not what it was planned with.
    """
    begun = time.perf_counter()
    function, rank = _find(payload), int(payload.get("rank", 0))
    with _folder() as folder:
        context = StepContext(
            str(payload["run"]),
            str(payload["step"]),
            objects,
            progress_file=Path(payload["progress"]) if payload.get("progress") else None,
            folder=folder,
            kept=Path(payload["kept"]) if payload.get("kept") and not rank else None,
            secrets=payload.get("secrets", ()),
            tokens=[leaf["token"] for _, leaf in leaves(payload["args"]) if "token" in leaf],
            beat=Path(payload["beat"]) if payload.get("beat") else None,
            shelf=Shelf(objects, _there(payload), folder, None if rank else write),
            own_shelf=_shelf_of(payload, "own", objects, folder, write),
            folder_shelf=_shelf_of(payload, "folder", objects, folder, write) if rank else None,
            seed=chance.seed_of(int(payload.get("seed", 0)), str(payload["step"]), rank),
            **_of_run(payload),
            speaks=not rank,
        )
        arguments = _decoded(function, payload["args"], objects, folder)
        arguments = hints.fitted(function, arguments, str(payload["step"]))
        _kept(function, arguments, payload)
        wall, cpu = time.perf_counter(), time.process_time()
        chance.settle(context.seed)
        with (
            entered(context),
            _users_failure(payload),
            _listened(function, payload, folder) as reads,
        ):
            value = called(function, arguments)
            if payload.get("sample") is not None:
                value = sampling.cut(value, int(payload["sample"]), folder)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if rank:  # what the first worker returns is the step's
            return {}
        value = hints.check_result(function, value, str(payload["step"]))
        words = f"Step {payload['step']} returned what cannot be kept"
        with _told_where(function):
            stored = outputs.encode(value, objects, words)
    return {
        "output": stored.digest,
        "output_type": stored.type,
        "blobs": stored.blobs,
        "metrics": context.points,
        "wall_s": wall,
        "cpu_s": cpu,
        "io_s": time.perf_counter() - begun - wall,
        "reads": reads.found() if reads is not None else [],
    }


@contextmanager
def _told_where(function: Callable[..., Any]) -> Iterator[None]:
    """Let what is warned of a step's result name the step's own line, and not one of ours."""
    import inspect

    with warnings.catch_warnings(record=True) as heard:
        yield
    code = getattr(inspect.unwrap(function), "__code__", None)
    for one in heard:
        file, line = one.filename, one.lineno
        if code is not None and issubclass(one.category, PickledWarning):
            file, line = code.co_filename, code.co_firstlineno
        warnings.warn_explicit(one.message, one.category, file, line)


@contextmanager
def _listened(
    function: Callable[..., Any], payload: Mapping[str, Any], folder: Path
) -> Iterator[unsaid.Reads | None]:
    """Listen to what a function reads; a program has files of its own, and reads unseen."""
    if not hasattr(function, "__code__"):
        yield None
        return
    with unsaid.listened(payload, folder) as reads:
        yield reads


def _of_run(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(payload.get(key, "")) for key in ("experiment", "name")}


def _there(payload: Mapping[str, Any]) -> list[Kept]:
    return msgspec.convert((payload.get("checkpoints") or {}).get("there", []), list[Kept])


def _shelf_of(
    payload: Mapping[str, Any], whose: Whose, objects: Objects, folder: Path, write: Writer | None
) -> Shelf | None:
    """Return the checkpoints of this worker alone; None where it is the only one."""
    every = (payload.get("checkpoints") or {}).get("folders" if whose == "folder" else whose)
    if not every:
        return None
    there = msgspec.convert(every[int(payload.get("rank", 0))], list[Kept])
    return Shelf(objects, there, folder, write, whose)


def wire(payload: Mapping[str, Any], objects: Objects) -> tuple[Block, list[list[Any]]]:
    """Call a dynamic function on the values it was given, with its steps listening.

    ``payload`` is as for ``execute``. Returns the block that it wired, and the metrics that it
    logged on the way, as ``execute`` does. Raises what ``execute`` does.
    """
    function = _find(payload)
    with _folder() as folder:
        run, step = str(payload["run"]), str(payload["step"])
        context = StepContext(run, step, objects, folder=folder, **_of_run(payload))
        values = _decoded(function, payload["args"], objects, folder)
        values = hints.fitted(function, values, str(payload["step"]))
        _kept(function, values, payload)
        wires = f"Step {payload['step']}"
        within = bounding.bounded(payload.get("within_s"), wires)
        with entered(context), within, _users_failure(payload):
            block = tracing.trace_call(
                lambda: called(function, values), str(payload["step"]), values, payload["args"]
            )
            return block, context.points


def _kept(
    function: Callable[..., Any], arguments: Mapping[str, Any], payload: Mapping[str, Any]
) -> None:
    """Fail the step if what it was given is not what it expects."""
    try:
        expecting.keep(function, arguments)
    except ContractError as error:
        raise StepFailedError(
            f"Step {payload['step']} failed: {error.message}", hint=_hint(payload)
        ) from error


def _find(payload: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the user's function, if it is still the one that was planned."""
    module, name = project.split_target(str(payload["target"]))
    loaded = project.import_module(Path(payload["root"]), module)
    found = project.attribute(loaded, name)
    function = found.function if isinstance(found, Step) else found
    if not callable(function):
        raise ProjectError(f"{payload['target']} is a {type(found).__name__}, not a step.")
    planned = payload.get("code")
    if planned and code_digest(function)[0] != planned:
        raise ConflictError(
            f"The code of step {payload['step']} has changed since this run was planned.",
            hint=f"Go on with it as it is now: mainspring resume {payload['run']} --code now; or"
            " start the run again: steps whose code did not change are reused.",
        )
    return function


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder for the files among the inputs, and take it away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mainspring-step-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _decoded(
    function: Callable[..., Any], args: Mapping[str, Argument], objects: Objects, folder: Path
) -> dict[str, Any]:
    wanted = hints.of(function)
    found: dict[str, Any] = {}
    for number, (name, argument) in enumerate(args.items()):
        place = folder / str(number)
        found[name] = None
        if "digest" in argument and hints.is_lazy(wanted.get(name, ())):
            # Scanned where it lies: nothing is read and, of a local object, nothing copied.
            found[name] = outputs.scan(argument["digest"], argument["type"], objects, place)
        if found[name] is None:
            found[name] = _value(argument, objects, place)
    return found


def _value(argument: Argument, objects: Objects, folder: Path) -> Any:
    if "value" in argument:
        return argument["value"]
    if "token" in argument:
        return argument["token"]
    if "data" in argument:
        return asked.opened(argument)
    if "digest" in argument:
        return outputs.decode(argument["digest"], argument["type"], objects, folder)
    if "dict" in argument:
        inner = enumerate(argument["dict"].items())
        return {k: _value(part, objects, folder / str(n)) for n, (k, part) in inner}
    for kind, make in (("list", list), ("tuple", tuple)):
        if kind in argument:
            parts = enumerate(argument[kind])
            return make(_value(part, objects, folder / str(n)) for n, part in parts)
    raise BadInputError(f"An argument has none of the known forms: {sorted(argument)}.")


def called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call the function by name where it can be, by place where it must."""
    import inspect

    place: list[Any] = []
    named: dict[str, Any] = {}
    starred = any(name.startswith("*") and not name.startswith("**") for name in arguments)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            place += arguments.get(f"*{name}", [])
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= arguments.get(f"**{name}", {})
        elif name not in arguments:
            continue
        elif parameter.kind is parameter.POSITIONAL_ONLY or (
            starred and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ):
            place.append(arguments[name])
        else:
            named[name] = arguments[name]
    return function(*place, **named)


@contextmanager
def _users_failure(payload: Mapping[str, Any]) -> Iterator[None]:
    """Turn whatever the user's function raises into a StepFailedError with the user's lines."""
    try:
        yield
    except StepFailedError as error:  # a program that failed: it has its words already
        raise StepFailedError(
            f"Step {payload['step']} failed: {error.message}",
            trace=error.trace,
            hint=error.hint or _hint(payload),
        ) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        told = str(traceback.TracebackException.from_exception(error))  # its __str__ may raise
        first = told.strip().partition("\n")[0][:500]
        kind = type(error).__name__
        raise StepFailedError(
            f"Step {payload['step']} failed: {kind}: {first}"
            if first
            else f"Step {payload['step']} failed: {kind}.",
            trace=users_trace(error),
            hint=_hint(payload),
        ) from error


def _hint(payload: Mapping[str, Any]) -> str | None:
    """Return what the step was given; how to go on says whoever shows the run."""
    told = ", ".join(
        f"{path}={leaf['digest'][:12]}" if "digest" in leaf else f"{path}={leaf['value']!r:.40}"
        for path, leaf in leaves(payload["args"])
        if "digest" in leaf or "value" in leaf
    )
    return f"Inputs: {told}." if told else None

"""Run a step or a whole pipeline within a test, as the engine would run it.

What goes in and what comes out is written and read back, as between real steps; contracts are
checked; metrics are gathered. Only the processes, the reuse and the database are left out, unless
``processes=True`` asks for all of it in a throw-away home.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.backends.objects import open_objects
from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import BadInputError, ProjectError, StepFailedError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Objects
from mainspring.ground.settings import Settings, find_root
from mainspring.pipelines import child, outputs, project
from mainspring.pipelines.context import StepContext, entered
from mainspring.pipelines.declare import Pipeline, Step
from mainspring.pipelines.graph import STEP, Argument, Node, leaves
from mainspring.pipelines.outputs import pickled
from mainspring.pipelines.sampling import cut
from mainspring.pipelines.tracing import trace
from mainspring.workspace import codecs
from mainspring.workspace.opening import Workspace, open_workspace


class StepTried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step."""

    value: Any  #: what it returned, as the next step would be given it
    type: str  #: how it is kept: frame, array, model, json, ...
    digest: str  #: of the bytes it is kept as: the same for the same
    metrics: dict[str, float] = {}  #: the last of each that it logged
    wall_s: float = 0.0


class PipelineTried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a pipeline."""

    steps: dict[str, StepTried]  #: by the step's name, in the order they ran
    result: Any  #: what the pipeline returns
    metrics: dict[str, float] = {}


def run_step(step: Any, /, *, clock: Clock | None = None, **inputs: Any) -> StepTried:
    """Run one step on inputs and return what came of it.

    A ContractError says that an input is not what the step expects, a ProjectError that what it
    returned cannot be kept; what the step itself raises is raised here as it is.

    >>> from mainspring.sdk import step
    >>> @step
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> run_step(double, number=21).value
    42
    """
    with _objects() as objects, tempfile.TemporaryDirectory(prefix="mainspring-try-") as folder:
        place = Path(folder)
        given = {name: _through(value, objects, place / name) for name, value in inputs.items()}
        return _call(step, given, objects, place, clock or SystemClock(), None)


def run_pipeline(
    pipeline: Pipeline[..., Any],
    params: Mapping[str, Any] | None = None,
    /,
    *,
    sample: int | None = 200,
    processes: bool = False,
    clock: Clock | None = None,
) -> PipelineTried:
    """Run a whole pipeline and return what each of its steps gave.

    The tables that its first steps bring in are cut to about ``sample`` rows; None takes all.
    With ``processes=True``, or if its shape is decided while it runs, every step runs in a
    process of its own, in a home that is thrown away afterwards; ``clock`` is then the home's.

    Raises:
        StepFailedError: with ``processes=True``, if a step failed; else what the step raised.
        BadInputError: for a param that is unknown or of the wrong type.
    """
    if not isinstance(pipeline, Pipeline):
        raise BadInputError(
            f"{pipeline!r} is no pipeline; mark it with @ms.pipeline.", field="pipeline"
        )
    if processes:
        return _in_home(pipeline, params or {}, sample, clock)
    codecs.register()
    graph = trace(pipeline, params or {})
    if any(node.kind != STEP for node in graph.nodes):
        return _in_home(pipeline, params or {}, sample, clock)  # only a run knows its shape
    found: dict[str, StepTried] = {}
    with _objects() as objects, tempfile.TemporaryDirectory(prefix="mainspring-try-") as folder:
        for node in graph.nodes:
            place = Path(folder) / node.name
            place.mkdir()
            given = {
                name: _value(one, found, objects, place / str(n))
                for n, (name, one) in enumerate(node.args.items())
            }
            first = not any("ref" in leaf for _, leaf in leaves(node.args))
            cut_to = sample if first else None
            step = _step_of(pipeline, node)
            found[node.name] = _call(step, given, objects, place, clock or SystemClock(), cut_to)
    metrics = {key: value for one in found.values() for key, value in one.metrics.items()}
    result = found[graph.result].value if graph.result else None
    return PipelineTried(steps=found, result=result, metrics=metrics)


@contextlib.contextmanager
def home(*, clock: Clock | None = None, root: Path | str | None = None) -> Iterator[Workspace]:
    """Give a home that is thrown away at the end: a real database and objects in a folder."""
    with tempfile.TemporaryDirectory(prefix="mainspring-home-") as folder:
        place = Path(root) if root is not None else Path(folder) / "project"
        place.mkdir(exist_ok=True)
        settings = Settings(root=str(place), home=str(Path(folder) / "home"))
        with contextlib.closing(open_workspace(settings, clock=clock)) as found:
            yield found


def _call(
    step: Any,
    given: Mapping[str, Any],
    objects: Objects,
    folder: Path,
    clock: Clock,
    sample: int | None,
) -> StepTried:
    if not callable(step):
        raise BadInputError(f"{step!r} cannot be called.", field="step")
    codecs.register()
    name = getattr(step, "name", getattr(step, "__name__", "step"))
    context = StepContext("test", name, objects, clock=clock)
    begun = time.perf_counter()
    with entered(context):
        value = child.called(step, given)  # a Step checks its contracts when it is called
    took = time.perf_counter() - begun
    if sample is not None:
        value = cut(value, sample, folder)
    with pickled.within(None):
        kept = outputs.encode(value, objects, f"Step {name} returned what cannot be kept")
        value = outputs.decode(kept.digest, kept.type, objects, folder / "out")
    return StepTried(
        value=value,
        type=kept.type,
        digest=kept.digest,
        metrics={str(key): float(told) for key, told, _, _ in context.points},
        wall_s=took,
    )


def _through(value: Any, objects: Objects, folder: Path) -> Any:
    """Return an input as a step would be given it; what cannot be kept is given as it is."""
    codecs.register()
    try:
        kept = outputs.encode(value, objects)
    except ProjectError:
        return value  # a test may hand a stand-in to a step
    return outputs.decode(kept.digest, kept.type, objects, folder)


def _value(argument: Argument, made: Mapping[str, StepTried], objects: Objects, at: Path) -> Any:
    if "value" in argument:
        return argument["value"]
    if "ref" in argument:
        before = made[argument["ref"]]
        return outputs.decode(before.digest, before.type, objects, at)
    if "dict" in argument:
        return {k: _value(v, made, objects, at / k) for k, v in argument["dict"].items()}
    kind = list if "list" in argument else tuple
    parts = argument["list"] if "list" in argument else argument["tuple"]
    return kind(_value(part, made, objects, at / str(n)) for n, part in enumerate(parts))


def _step_of(pipeline: Pipeline[..., Any], node: Node) -> Any:
    module, _, name = node.target.partition(":")
    loaded = sys.modules.get(module) or sys.modules[pipeline.function.__module__]
    found = project.attribute(loaded, name)
    return found if isinstance(found, Step) else getattr(found, "function", found)


def _in_home(
    pipeline: Pipeline[..., Any],
    params: Mapping[str, Any],
    sample: int | None,
    clock: Clock | None,
) -> PipelineTried:
    from mainspring.workspace import engines, running
    from mainspring.workspace.proofs import smoking

    file = Path(pipeline.function.__code__.co_filename).resolve()
    target = f"{pipeline.module}:{pipeline.function.__qualname__}"
    root = find_root(file.parent)
    with home(clock=clock, root=root) as ws, tempfile.TemporaryDirectory() as folder:
        if sample is None:
            run = running.start_run(ws, target, params)
        else:
            run = smoking.start(ws, target, params, sample)
        record = engines.drive(ws, run)
        _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
        broken = next((one for one in steps if one.error), None)
        if record.status is not RunStatus.FINISHED:
            told = f"{broken.step}: {broken.error}" if broken else str(record.status)
            raise StepFailedError(told, trace=broken.trace if broken else "")
        codecs.register()
        with pickled.within(ws.home):
            found = {
                one.step: StepTried(
                    value=outputs.decode(
                        str(one.output), str(one.output_type), ws.objects, Path(folder) / one.step
                    ),
                    type=str(one.output_type),
                    digest=str(one.output),
                    wall_s=one.wall_s,
                )
                for one in steps
                if one.output is not None  # else a branch not taken, or what was caught
            }
        result = found.get(record.tags[running.RESULT])
        return PipelineTried(
            steps=found,
            result=None if result is None else result.value,
            metrics=dict(record.metrics),
        )


@contextlib.contextmanager
def _objects() -> Iterator[Objects]:
    with tempfile.TemporaryDirectory(prefix="mainspring-objects-") as folder:
        yield open_objects(folder)

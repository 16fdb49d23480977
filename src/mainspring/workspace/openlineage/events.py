"""Tell runs and steps as OpenLineage does: plain JSON, from what is stored, the same each time.

The ids of runs follow from ours, so that an event which is sent again is about the same run.
Source: the OpenLineage specification 2-0-2, https://openlineage.io/spec.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.experiments import datasets
from mainspring.experiments import runs as experiments
from mainspring.experiments.datasets import Use
from mainspring.ground.clock import iso
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Run, RunStatus, StepRecord, StepState, Version
from mainspring.ground.ports import Tx
from mainspring.pipelines import graph, lineage, reading
from mainspring.pipelines import runs as pipelines
from mainspring.readiness import registry
from mainspring.workspace import running
from mainspring.workspace.openlineage import facets
from mainspring.workspace.openlineage.facets import PRODUCER, SPEC, facet

SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUN_ENDS = {
    RunStatus.FINISHED: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.CRASHED: "FAIL",
    RunStatus.CANCELLED: "ABORT",
}
_STEP_ENDS = {
    StepState.DONE: "COMPLETE",
    StepState.REUSED: "COMPLETE",
    StepState.FAILED: "FAIL",
    StepState.SKIPPED: "ABORT",
}
_MOST_PARENTS = 20  #: runs that started runs
Event = dict[str, Any]
#: How large what a step gave is; nothing where that is not known.
Sizes = Callable[[StepRecord], Mapping[str, int]]


class Pin(msgspec.Struct, frozen=True):
    """A version of data that a step is given."""

    name: str
    digest: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run that events tell."""

    run: Run
    steps: list[StepRecord]
    reads: list[Use]
    versions: list[Version]
    above: list[Run] = []  #: who started it, and who started that; the nearest first
    pins: dict[str, list[Pin]] = {}  #: by step
    makers: dict[str, str] = {}  #: the step that gave something, by its digest


def story(tx: Tx, run: str) -> Story:
    """Return what is stored of a run.

    Raises:
        NotFoundError: if there is no such run.
    """
    steps = pipelines.steps_of(tx, run)
    makers = {one.output: one.step for one in steps if one.output}
    return _story(tx, run, steps, makers, reading.every_args(tx, run))


def story_of_step(tx: Tx, run: str, step: str) -> Story:
    """Return what is stored of a run as far as one step needs it, however many it has.

    Raises:
        NotFoundError: if there is no such run or step.
    """
    told = pipelines.get(tx, run, step)
    makers = lineage.makers(tx, run, set(told.inputs.values()))
    return _story(tx, run, [told], makers, {step: reading.args_of(tx, run, step)})


def _story(
    tx: Tx,
    run: str,
    steps: list[StepRecord],
    makers: dict[str, str],
    args: Mapping[str, Mapping[str, Any]],
) -> Story:
    told = experiments.get(tx, run)
    return Story(
        run=told,
        steps=steps,
        reads=datasets.of_runs(tx, [run])[run],
        versions=registry.of_run(tx, run),
        above=_above(tx, told),
        pins=_pins(args),
        makers=makers,
    )


def _above(tx: Tx, run: Run) -> list[Run]:
    found: list[Run] = []
    parent = run.parent
    while parent is not None and len(found) < _MOST_PARENTS:
        try:
            found.append(experiments.get(tx, parent))
        except NotFoundError:
            break
        parent = found[-1].parent
    return found


def _pins(every_args: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Pin]]:
    found: dict[str, list[Pin]] = {}
    for step, args in every_args.items():
        several = [one["data"] for _, one in graph.leaves(args) if "data" in one]
        pins = [
            Pin(str(one["name"]), str(one["digest"]))
            for one in several
            if one.get("name") and one.get("digest")  # nobody has settled the others
        ]
        if pins:
            found[step] = list(dict.fromkeys(pins))
    return found


def run_id(run: str, step: str | None = None) -> str:
    """Return the UUID of a run of ours, or of a step of it: always the same one.

    >>> run_id("run_1")
    'f5cbabba-f169-5a8c-a97c-a8cff3920a31'
    """
    name = f"urn:mainspring:run:{run}" if step is None else f"urn:mainspring:step:{run}/{step}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def started(told: Story, namespace: str) -> Event:
    """Return the event of a run's start."""
    run, job = _run(told, namespace), _job(told, namespace)
    return _event("START", told.run.started, run, job, [], [])


def ended(told: Story, namespace: str) -> Event | None:
    """Return the event of a run's end; None while it goes on."""
    kind = _RUN_ENDS.get(told.run.status)
    if kind is None or told.run.ended is None:
        return None
    more = {}
    broken = next((one for one in told.steps if one.error), None)
    if kind == "FAIL":
        error = f"{broken.step}: {broken.error}" if broken is not None else "The run failed."
        more["errorMessage"] = facets.error(error, broken.trace if broken is not None else "")
    inputs = [facets.read(use, namespace) for use in told.reads]
    outputs = [facets.version(one, namespace) for one in told.versions]
    run = _run(told, namespace, more)
    return _event(kind, told.run.ended, run, _job(told, namespace), inputs, outputs)


def of_step(
    told: Story, step: StepRecord, namespace: str, sizes: Sizes = lambda _: {}
) -> list[Event]:
    """Return the events of a step's start and end; of one that never began, of its end alone.

    It takes what steps before it gave and the versions of data it is given; it gives what it
    returned and the versions that were registered of that.
    """
    kind = _STEP_ENDS.get(step.state)
    parts = {"parent": _parent(told.run, [told.run, *told.above], namespace), **facets.engine()}
    run = {"runId": run_id(told.run.id, step.step), "facets": parts}
    job = _job(told, namespace, step.step)
    inputs = [
        facets.given(namespace, f"{_name(told.run)}.{told.makers[digest]}", digest, {})
        for digest in dict.fromkeys(step.inputs.values())
        if digest in told.makers
    ]
    inputs += [_pinned(told, pin, namespace) for pin in told.pins.get(step.step, ())]
    found = []
    if step.started is not None:
        found.append(_event("START", step.started, run, job, inputs, []))
    if kind is None or step.ended is None:
        return found
    if kind == "FAIL":
        failed = {"errorMessage": facets.error(step.error or "It failed.", step.trace)}
        run = {**run, "facets": {**parts, **failed}}
    outputs = []
    if step.output:
        name = f"{_name(told.run)}.{step.step}"
        outputs = [facets.given(namespace, name, step.output, sizes(step))]
        made = [one for one in told.versions if one.package == step.output]
        outputs += [facets.version(one, namespace) for one in made]
    return [*found, _event(kind, step.ended, run, job, inputs, outputs)]


def _pinned(told: Story, pin: Pin, namespace: str) -> Event:
    """Return a version of data as the run told of it, or as little as the step says."""
    for use in told.reads:
        if (use.dataset.name, use.dataset.digest) == (pin.name, pin.digest):
            return facets.read(use, namespace)
    return facets.pinned(pin.name, pin.digest, namespace)


def every(told: Story, namespace: str, sizes: Sizes = lambda _: {}) -> list[Event]:
    """Return all events of a run, in the order of their times."""
    found = [started(told, namespace)]
    for step in told.steps:
        found += of_step(told, step, namespace, sizes)
    end = ended(told, namespace)
    return sorted([*found, *([] if end is None else [end])], key=lambda one: str(one["eventTime"]))


# ---------------------------------------------------------------- parts


def _event(
    kind: str,
    at: float,
    run: Event,
    job: Event,
    inputs: Sequence[Event],
    outputs: Sequence[Event],
) -> Event:
    return {
        "eventType": kind,
        "eventTime": f"{iso(at)[:-1]}.{int(at % 1 * 1000):03d}Z",
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": run,
        "job": job,
        "inputs": list(inputs),
        "outputs": list(outputs),
    }


def _name(run: Run) -> str:
    return run.pipeline or run.experiment


def _parent(run: Run, above: Sequence[Run], namespace: str) -> Event:
    """Return who started something: the run itself or the one above, and the one at the top."""
    top = above[-1] if above else run
    told = {
        "run": {"runId": run_id(above[0].id)},
        "job": {"namespace": namespace, "name": _name(above[0])},
        "root": {
            "run": {"runId": run_id(top.id)},
            "job": {"namespace": namespace, "name": _name(top)},
        },
    }
    return facet("parent", told)


def _run(told: Story, namespace: str, more: Mapping[str, Event] | None = None) -> Event:
    parts = {**facets.engine(), **facets.params(told.run.params)}
    if told.above:
        parts["parent"] = _parent(told.run, told.above, namespace)
    at = told.run.tags.get(running.SCHEDULED)
    if at is not None:
        parts["nominalTime"] = facet("nominalTime", {"nominalStartTime": at})
    return {"runId": run_id(told.run.id), "facets": {**parts, **(more or {})}}


def _job(told: Story, namespace: str, step: str | None = None) -> Event:
    kind = {
        "processingType": "BATCH",
        "integration": "MAINSPRING",
        "jobType": "PIPELINE" if step is None else "STEP",
    }
    parts = {"jobType": facet("jobType", kind), **facets.code_at(told.run.tags)}
    name = _name(told.run) if step is None else f"{_name(told.run)}.{step}"
    return {"namespace": namespace, "name": name, "facets": parts}

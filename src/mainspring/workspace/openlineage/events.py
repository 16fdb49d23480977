"""Tell runs and steps as OpenLineage does: plain JSON, from what is stored, the same each time.

The ids of runs follow from ours, so that an event which is sent again is about the same run.
Source: the OpenLineage specification 2-0-2 and its facets, https://openlineage.io/spec.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mainspring.experiments import datasets
from mainspring.experiments import runs as experiments
from mainspring.experiments.datasets import Use
from mainspring.experiments.lineage import uri_of
from mainspring.ground.clock import iso
from mainspring.ground.objects import Run, RunStatus, StepRecord, StepState, Version
from mainspring.ground.ports import Tx
from mainspring.ground.version import __version__
from mainspring.pipelines import runs as pipelines
from mainspring.readiness import registry
from mainspring.workspace import running

PRODUCER = f"urn:mainspring:{__version__}"
_SPEC = "https://openlineage.io/spec"
SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
#: The facets that are told, and the version of each.
_FACETS = {
    "nominalTime": ("1-0-1", "NominalTimeRunFacet"),
    "parent": ("1-2-0", "ParentRunFacet"),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet"),
    "processing_engine": ("1-1-1", "ProcessingEngineRunFacet"),
    "jobType": ("2-0-4", "JobTypeJobFacet"),
    "sourceCodeLocation": ("1-1-0", "SourceCodeLocationJobFacet"),
    "schema": ("1-2-0", "SchemaDatasetFacet"),
    "version": ("1-0-1", "DatasetVersionDatasetFacet"),
    "dataSource": ("1-0-1", "DatasourceDatasetFacet"),
    "documentation": ("1-1-0", "DocumentationDatasetFacet"),
    "dataQualityMetrics": ("1-0-3", "DataQualityMetricsInputDatasetFacet"),
}
_RUN_ENDS = {
    RunStatus.FINISHED: "COMPLETE",
    RunStatus.FAILED: "FAIL",
    RunStatus.CANCELLED: "ABORT",
}
_STEP_ENDS = {
    StepState.DONE: "COMPLETE",
    StepState.REUSED: "COMPLETE",
    StepState.FAILED: "FAIL",
    StepState.SKIPPED: "ABORT",
}
Event = dict[str, Any]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run that events tell."""

    run: Run
    steps: list[StepRecord]
    reads: list[Use]
    versions: list[Version]


def story(tx: Tx, run: str) -> Story:
    """Return what is stored of a run.

    Raises:
        NotFoundError: if there is no such run.
    """
    return Story(
        run=experiments.get(tx, run),
        steps=pipelines.steps_of(tx, run),
        reads=datasets.of_runs(tx, [run])[run],
        versions=registry.of_run(tx, run),
    )


def run_id(run: str, step: str | None = None) -> str:
    """Return the UUID of a run of ours, or of a step of it: always the same one.

    >>> run_id("run_1")
    'f5cbabba-f169-5a8c-a97c-a8cff3920a31'
    """
    name = f"urn:mainspring:run:{run}" if step is None else f"urn:mainspring:step:{run}/{step}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def started(told: Story, namespace: str) -> Event:
    """Return the event of a run's start."""
    return _event("START", told.run.started, _run(told), _job(told, namespace), [], [])


def ended(told: Story, namespace: str) -> Event | None:
    """Return the event of a run's end; None while it goes on."""
    kind = _RUN_ENDS.get(told.run.status)
    if kind is None or told.run.ended is None:
        return None
    facets = {}
    broken = next((one for one in told.steps if one.error), None)
    if kind == "FAIL":
        error = f"{broken.step}: {broken.error}" if broken is not None else "The run failed."
        facets["errorMessage"] = _error(error, broken.trace if broken is not None else "")
    inputs = [_read(use, namespace) for use in told.reads]
    outputs = [_version(one, namespace) for one in told.versions]
    return _event(kind, told.run.ended, _run(told, facets), _job(told, namespace), inputs, outputs)


def of_step(told: Story, step: StepRecord, namespace: str) -> list[Event]:
    """Return the events of a step's start and end; of one that never began, of its end alone."""
    kind = _STEP_ENDS.get(step.state)
    name = {"namespace": namespace, "name": _name(told.run)}
    parent = {"run": {"runId": run_id(told.run.id)}, "job": name}
    facets = {"parent": _facet("parent", parent), **_engine()}
    run = {"runId": run_id(told.run.id, step.step), "facets": facets}
    job = _job(told, namespace, step.step)
    makers = {one.output: one.step for one in told.steps if one.output}
    inputs = [
        _given(told.run, makers[digest], digest, namespace)
        for digest in dict.fromkeys(step.inputs.values())
        if digest in makers
    ]
    found = []
    if step.started is not None:
        found.append(_event("START", step.started, run, job, inputs, []))
    if kind is None or step.ended is None:
        return found
    if kind == "FAIL":
        failed = {"errorMessage": _error(step.error or "It failed.", step.trace)}
        run = {**run, "facets": {**facets, **failed}}
    outputs = [_given(told.run, step.step, step.output, namespace)] if step.output else []
    return [*found, _event(kind, step.ended, run, job, inputs, outputs)]


def every(told: Story, namespace: str) -> list[Event]:
    """Return all events of a run, in the order of their times."""
    found = [started(told, namespace)]
    for step in told.steps:
        found += of_step(told, step, namespace)
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


def _facet(name: str, told: Mapping[str, Any]) -> Event:
    version, kind = _FACETS[name]
    url = f"{_SPEC}/facets/{version}/{kind}.json#/$defs/{kind}"
    return {"_producer": PRODUCER, "_schemaURL": url, **told}


def _engine() -> Event:
    told = {"name": "mainspring", "version": __version__, "openlineageAdapterVersion": __version__}
    return {"processing_engine": _facet("processing_engine", told)}


def _error(message: str, trace: str) -> Event:
    told = {"message": message[:10_000], "programmingLanguage": "PYTHON"}
    if trace:
        told["stackTrace"] = trace[:100_000]
    return _facet("errorMessage", told)


def _name(run: Run) -> str:
    return run.pipeline or run.experiment


def _run(told: Story, more: Mapping[str, Event] | None = None) -> Event:
    facets = _engine()
    at = told.run.tags.get(running.SCHEDULED)
    if at is not None:
        facets["nominalTime"] = _facet("nominalTime", {"nominalStartTime": at})
    return {"runId": run_id(told.run.id), "facets": {**facets, **(more or {})}}


def _job(told: Story, namespace: str, step: str | None = None) -> Event:
    kind = {
        "processingType": "BATCH",
        "integration": "MAINSPRING",
        "jobType": "PIPELINE" if step is None else "STEP",
    }
    facets = {"jobType": _facet("jobType", kind)}
    tags = told.run.tags
    remote, commit = tags.get("mainspring.git.remote"), tags.get("mainspring.git.commit")
    if remote:
        place = {"type": "git", "url": remote, "repoUrl": remote}
        place |= {"version": commit} if commit else {}
        branch = tags.get("mainspring.git.branch")
        facets["sourceCodeLocation"] = _facet(
            "sourceCodeLocation", place | ({"branch": branch} if branch else {})
        )
    name = _name(told.run) if step is None else f"{_name(told.run)}.{step}"
    return {"namespace": namespace, "name": name, "facets": facets}


def _given(run: Run, step: str, digest: str, namespace: str) -> Event:
    """Return what a step gave, as a dataset whose version is its digest."""
    facets = {"version": _facet("version", {"datasetVersion": digest})}
    return {"namespace": namespace, "name": f"{_name(run)}.{step}", "facets": facets}


def _version(one: Version, namespace: str) -> Event:
    facets = {"version": _facet("version", {"datasetVersion": str(one.number)})}
    return {"namespace": namespace, "name": f"models/{one.model}", "facets": facets}


def _read(use: Use, namespace: str) -> Event:
    one = use.dataset
    uri = uri_of(one.source)
    place = {"namespace": namespace, "name": one.name}
    if "://" in uri:
        parts = urlsplit(uri)
        place = {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path.strip("/")}
    elif uri:
        place = {"namespace": "file", "name": uri}
    facets = {
        "version": _facet("version", {"datasetVersion": one.digest}),
        "documentation": _facet("documentation", {"description": f"Dataset {one.name}."}),
    }
    if uri:
        facets["dataSource"] = _facet("dataSource", {"name": one.name, "uri": _as_uri(uri)})
    fields = [
        {"name": str(column["name"]), "type": str(column.get("type", ""))}
        for column in _columns(one.schema)
    ]
    if fields:
        facets["schema"] = _facet("schema", {"fields": fields})
    quality = _quality(one.profile)
    more = {"inputFacets": {"dataQualityMetrics": quality}} if quality else {}
    return {**place, "name": place["name"] or one.name, "facets": facets, **more}


def _as_uri(uri: str) -> str:
    return uri if "://" in uri else f"file://{uri if uri.startswith('/') else f'/{uri}'}"


def _quality(profile: str | None) -> Event | None:
    told = _decoded(profile)
    columns = {}
    for column in _columns(profile):
        found: Event = {}
        for theirs, ours in (("nullCount", "missing"), ("distinctCount", "distinct")):
            if isinstance(column.get(ours), int):
                found[theirs] = column[ours]
        for theirs, ours in (("min", "low"), ("max", "high")):
            if isinstance(column.get(ours), int | float) and not isinstance(column[ours], bool):
                found[theirs] = column[ours]
        columns[str(column["name"])] = found
    if not columns and "rows" not in told:
        return None
    sizes = {
        theirs: told[ours]
        for theirs, ours in (("rowCount", "rows"), ("bytes", "bytes"))
        if isinstance(told.get(ours), int)
    }
    return _facet("dataQualityMetrics", {**sizes, "columnMetrics": columns})


def _decoded(text: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}  # another client may have written it
    return found if isinstance(found, dict) else {}


def _columns(text: str | None) -> list[dict[str, Any]]:
    found = _decoded(text).get("columns")
    several = found if isinstance(found, list) else []
    return [one for one in several if isinstance(one, dict) and "name" in one]

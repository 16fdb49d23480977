"""Say what happened: to data, models, runs and alarms, as the store tells it.

Each source tells its newest happenings with keys that stay the same, so that whoever compares
them with what a trigger has noted finds what is new, whatever clocks say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainspring.engine.triggers import Happened, Trigger
from mainspring.experiments import datasets, runs
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.pipelines.data import versions as data
from mainspring.readiness import registry

NEWEST = 300  #: happenings that are looked at; more than these do not come between two looks
#: The tags by which a run carries which trigger began it, at the end of how long a chain.
TRIGGER, DEPTH = "mainspring.trigger", "mainspring.trigger_depth"
_ENDED = {
    "": ("finished", "failed"),
    "finished": ("finished",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
}


def read(text: str) -> tuple[str, str]:
    """Return source and what of it, as in ``dataset:flights`` or ``webhook``.

    Raises:
        BadInputError: if there is no such source, or it does not say of what.
    """
    source, _, what = text.partition(":")
    if source not in (*_SOURCES, "file", "webhook"):
        raise BadInputError(
            f"Nothing happens at {text[:80]!r}.",
            field="on",
            hint="One of dataset:NAME, file:PATH, model:NAME@ALIAS, run:PIPELINE, alarm:NAME,"
            " webhook.",
        )
    if (source == "webhook") == bool(what):
        told = "takes no name: its address bears the trigger's" if what else "needs a name"
        raise BadInputError(f"{source} {told}, found {text[:80]!r}.", field="on")
    if source == "run" and _run_of(what)[1] not in _ENDED:
        raise BadInputError(
            f"A run ends as finished, failed or cancelled, found {what[:80]!r}.", field="on"
        )
    return source, what


def newest(tx: Tx, trigger: Trigger) -> list[Happened]:
    """Return the newest happenings that a trigger waits for, oldest first; not those of files."""
    found = _SOURCES.get(trigger.source)
    return [] if found is None else found(tx, trigger)


def _run_of(what: str) -> tuple[str, str]:
    """Return pipeline and status of ``project:train:failed``, ``train:failed`` or ``train``."""
    name, _, status = what.rpartition(":")
    return (name, status) if name and status in _ENDED else (what, "")


def pipeline_of(trigger: Trigger) -> str | None:
    """Return the pipeline whose end a trigger waits for, by name or target."""
    return _run_of(trigger.what)[0] if trigger.source == "run" else None


def _depth(run: Run | None) -> int:
    """Return how many triggers led to what a run did, one more than to the run itself."""
    text = "" if run is None else run.tags.get(DEPTH, "")
    return int(text) + 1 if text.isdigit() and len(text) < 9 else 0


def _by_id(tx: Tx, ids: list[str]) -> dict[str, Run]:
    return {run.id: run for run in runs.several(tx, ids)}


def _datasets(tx: Tx, trigger: Trigger) -> list[Happened]:
    name = trigger.what
    kept = _data_versions(tx, name)
    there = {one.digest for one in kept}
    found = [
        Happened(
            key=f"v{one.number}",
            body={
                "kind": "dataset",
                "name": name,
                "version": str(one.number),
                "digest": one.digest,
                "source": one.source,
                "files": one.files,
                "bytes": one.bytes,
                "by": one.by,
            },
        )
        for one in kept
    ]
    # What its own runs read is no news, or each would start the next.
    seen = datasets.seen(tx, name, (TRIGGER, trigger.name), NEWEST)
    by_id = _by_id(tx, [run for _, run, _, _ in seen])
    found += [
        Happened(
            key=digest,
            body={
                "kind": "dataset",
                "name": name,
                "version": digest,
                "digest": digest,
                "source": source,
                "run": run,
            },
            depth=_depth(by_id.get(run)),
        )
        for digest, run, source, _ in reversed(seen)
        if digest not in there
    ]
    return found


def _data_versions(tx: Tx, name: str) -> list[data.DataVersion]:
    if data.newest(tx, name) is None:
        return []
    return data.every(tx, name)[:NEWEST][::-1]


def _models(tx: Tx, trigger: Trigger) -> list[Happened]:
    model, _, alias = trigger.what.partition("@")
    if not alias:
        several = sorted(registry.versions(tx, model), key=lambda one: one.number)[-NEWEST:]
        made = _by_id(tx, [one.run for one in several if one.run])
        return [
            Happened(
                key=f"version {one.number}",
                body={
                    "kind": "model",
                    "model": model,
                    "version": f"{model}/{one.number}",
                    "number": one.number,
                    "run": one.run,
                },
                depth=_depth(made.get(one.run or "")),
            )
            for one in several
        ]
    # A move's place in the history never changes: nothing is taken out of it.
    moves = list(enumerate(registry.history(tx, model, alias)))[-NEWEST:]
    by_number = {one.number: one for one in registry.versions(tx, model)}
    makers = _by_id(tx, [one.run for one in by_number.values() if one.run])
    found = []
    for place, move in moves:
        if move.number is None:
            continue
        version = by_number.get(move.number)
        found.append(
            Happened(
                key=f"{alias} {place}",
                body={
                    "kind": "model",
                    "model": model,
                    "alias": alias,
                    "version": f"{model}/{move.number}",
                    "number": move.number,
                    "previous": move.previous,
                    "reason": move.reason,
                    "by": move.by,
                },
                depth=_depth(makers.get((version.run or "") if version else "")),
            )
        )
    return found


def _runs(tx: Tx, trigger: Trigger) -> list[Happened]:
    pipeline, status = _run_of(trigger.what)
    found = runs.ended_of(tx, pipeline, _ENDED[status], NEWEST)
    return [
        Happened(
            key=f"{run.id} {run.ended:.3f}",  # a run that is resumed ends again
            body={
                "kind": "run",
                "run": run.id,
                "pipeline": run.pipeline,
                "status": str(run.status),
                "params": dict(run.params),
                "experiment": run.experiment,
            },
            depth=_depth(run),
        )
        for run in reversed(found)
        if run.ended is not None and run.status is not RunStatus.RUNNING
    ]


def _alarms(tx: Tx, trigger: Trigger) -> list[Happened]:
    return [
        Happened(
            key=one.id,
            body={
                "kind": "alarm",
                "alarm": one.id,
                "endpoint": one.endpoint,
                "monitor": one.kind,
                "subject": one.subject,
                "reason": one.reason,
                "window": one.window,
            },
        )
        for one in reversed(alarms.list_alarms(tx, limit=NEWEST))
        if trigger.what in (one.endpoint, one.kind, one.subject)
    ]


_SOURCES: dict[str, Callable[[Tx, Trigger], list[Happened]]] = {
    "dataset": _datasets,
    "model": _models,
    "run": _runs,
    "alarm": _alarms,
}

#: What an event of each source says, for people and for checks of params.
FIELDS: dict[str, tuple[str, ...]] = {
    "dataset": ("kind", "name", "version", "digest", "source", "run", "files", "bytes", "by"),
    "model": ("kind", "model", "alias", "version", "number", "previous", "reason", "by", "run"),
    "run": ("kind", "run", "pipeline", "status", "params", "experiment"),
    "alarm": ("kind", "alarm", "endpoint", "monitor", "subject", "reason", "window"),
    "file": ("kind", "path", "name", "size", "changed"),
}


def example(source: str) -> dict[str, Any]:
    """Return an event of a source with nothing in it but its fields."""
    return {name: ({} if name == "params" else name) for name in FIELDS.get(source, ())}

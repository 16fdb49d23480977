"""Say what happened: to data, models, runs and alarms, as the store tells it.

Each source tells its happenings, the newest page first, with keys that stay the same, so that
whoever compares them with what a trigger has noted finds what is new, whatever clocks say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mainspring.engine.triggers import Happened, Trigger
from mainspring.experiments import datasets, runs
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Run
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.pipelines.data import versions as data
from mainspring.readiness import registry

PAGE = 300  #: happenings that are looked at together; see :mod:`backlog` for more of them
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


class Page(NamedTuple):
    """Some of what happened, the oldest first, each with its time."""

    happened: list[tuple[float, Happened]]
    before: Any  #: what the next page lies before; None: there is none


Stream = Callable[[Tx, Trigger, Any], Page]


def streams(trigger: Trigger) -> tuple[Stream, ...]:
    """Return what tells a trigger's happenings page by page, the newest page first."""
    return _SOURCES.get(trigger.source, ())


def newest(tx: Tx, trigger: Trigger) -> list[Happened]:
    """Return the newest happenings that a trigger waits for, oldest first; not those of files."""
    pages = [stream(tx, trigger, None) for stream in streams(trigger)]
    return [one for page in pages for _, one in page.happened]


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
    return int(text) + 1 if text.isdecimal() and len(text) < 9 else 0


def _by_id(tx: Tx, ids: list[str]) -> dict[str, Run]:
    return {run.id: run for run in runs.several(tx, ids)}


def _versions_of_data(tx: Tx, trigger: Trigger, before: int | None) -> Page:
    name = trigger.what
    kept = data.older(tx, name, before, PAGE)
    found = [
        (
            one.created,
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
            ),
        )
        for one in reversed(kept)
    ]
    return Page(found, kept[-1].number if len(kept) == PAGE else None)


def _read_data(tx: Tx, trigger: Trigger, before: tuple[float, str] | None) -> Page:
    name = trigger.what
    # What its own runs read is no news, or each would start the next.
    seen = datasets.seen(tx, name, (TRIGGER, trigger.name), PAGE, before)
    by_id = _by_id(tx, [run for _, run, _, _ in seen])
    kept = data.among(tx, name, [digest for digest, *_ in seen])
    found = [
        (
            at,
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
            ),
        )
        for digest, run, source, at in reversed(seen)
        if digest not in kept
    ]
    return Page(found, (seen[-1][3], seen[-1][0]) if len(seen) == PAGE else None)


def _models(tx: Tx, trigger: Trigger, before: int | None) -> Page:
    model, _, alias = trigger.what.partition("@")
    return _moves(tx, model, alias, before) if alias else _versions(tx, model, before)


def _versions(tx: Tx, model: str, before: int | None) -> Page:
    every = [v for v in registry.versions(tx, model) if before is None or v.number < before]
    several = sorted(every, key=lambda one: one.number)[-PAGE:]
    made = _by_id(tx, [one.run for one in several if one.run])
    found = [
        (
            one.created,
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
            ),
        )
        for one in several
    ]
    return Page(found, several[0].number if len(every) > PAGE else None)


def _moves(tx: Tx, model: str, alias: str, before: int | None) -> Page:
    # A move's place in the history never changes: nothing is taken out of it.
    moves = list(enumerate(registry.history(tx, model, alias)))[:before]
    by_number = {one.number: one for one in registry.versions(tx, model)}
    makers = _by_id(tx, [one.run for one in by_number.values() if one.run])
    found = []
    for place, move in moves[-PAGE:]:
        if move.number is None:
            continue
        version = by_number.get(move.number)
        one = Happened(
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
        found.append((move.at, one))
    return Page(found, moves[-PAGE][0] if len(moves) > PAGE else None)


def _runs(tx: Tx, trigger: Trigger, before: tuple[float, str] | None) -> Page:
    pipeline, status = _run_of(trigger.what)
    several = runs.ended_of(tx, pipeline, _ENDED[status], PAGE, before)
    found = [
        (
            run.ended or 0.0,
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
            ),
        )
        for run in reversed(several)
    ]
    last = several[-1] if len(several) == PAGE else None
    return Page(found, None if last is None else (last.ended, last.id))


def _alarms(tx: Tx, trigger: Trigger, before: tuple[float, str] | None) -> Page:
    several = alarms.about(tx, trigger.what, PAGE, before)
    found = [
        (
            one.raised,
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
            ),
        )
        for one in reversed(several)
    ]
    return Page(found, (several[-1].raised, several[-1].id) if len(several) == PAGE else None)


_SOURCES: dict[str, tuple[Stream, ...]] = {
    "dataset": (_versions_of_data, _read_data),
    "model": (_models,),
    "run": (_runs,),
    "alarm": (_alarms,),
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

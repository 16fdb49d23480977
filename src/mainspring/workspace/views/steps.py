"""Gather what is shown of one step of a run: why it ran, what went in and came out, its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mainspring.experiments import runs
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Record, StepRecord, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing, reading
from mainspring.pipelines.graph import WAITS, leaves
from mainspring.workspace import printing, waiting
from mainspring.workspace.opening import Workspace
from mainspring.workspace.waiting import Waiting

MOST_INPUTS = 50
LOG_BYTES = 16_000  #: of a log's beginning, and as many of its end
_MOST_OBJECTS = 200  #: whose sizes are added up
_SHOWN = 300  #: letters of a plain value


class Passed(Record, frozen=True, kw_only=True):
    """Something that a step was given, or returned."""

    name: str  #: of the argument; empty for what it returned
    step: str | None = None  #: of the same run that it came from
    type: str = ""
    digest: str | None = None
    size: int | None = None  #: bytes of all its objects, unless they are many
    value: str = ""  #: of plain data written in the pipeline
    data: str | None = None  #: the dataset of which it is a version, pinned by ``ms.data``
    number: int | None = None  #: of that version


class Log(Record, frozen=True, kw_only=True):
    """What a step printed: all of it, or its head and its tail."""

    head: str = ""
    tail: str = ""
    left_out: int = 0  #: bytes between the two
    live: bool = False  #: it is still being written
    gone: bool = False  #: it is not kept any more


class StepDetail(Record, frozen=True, kw_only=True):
    """One step of a run with all that is known of it."""

    step: StepRecord
    given: list[Passed]
    more_given: int  #: arguments that are not listed
    output: Passed | None
    log: Log
    waits: Waiting | None  #: if it waits for news just now
    child: str | None  #: the run that it started


def step_detail(ws: Workspace, steps: Sequence[StepRecord], run: str, name: str) -> StepDetail:
    """Return one step; ``steps`` are those of its run, or some of them.

    Raises:
        NotFoundError: if there is no such step.
    """
    step = next((one for one in steps if one.step == name), None)
    if step is None:  # of a very wide run not all are among them
        step = ws.read(Permission.READ, lambda tx: reading.get(tx, run, name))

    makers = {one.output: one for one in steps if one.output is not None}
    keys = {one.key for one in [step, *map(makers.get, step.inputs.values())] if one and one.key}

    def look(tx: Tx) -> tuple[dict[str, Any], str | None, dict[str, list[str]]]:
        runs.get(tx, run)
        child = growing.load(tx, run, name).memo.get("child") if step.kind == "run" else None
        return reading.args_of(tx, run, name), child, reading.objects_of(tx, keys)

    args, child, objects = ws.read(Permission.READ, look)

    def passed(argument: str, digest: str, maker: StepRecord | None) -> Passed:
        kept = objects.get((maker and maker.key) or "", [digest])
        return Passed(
            name=argument,
            step=maker.step if maker else None,
            type=(maker.output_type or "") if maker else "",
            digest=digest,
            size=_size(ws, kept),
        )

    given = [passed(k, v, makers.get(v)) for k, v in list(step.inputs.items())[:MOST_INPUTS]]
    given += [_pinned(path, leaf["data"]) for path, leaf in leaves(args) if "data" in leaf]
    given += [
        Passed(name=key, value=_shown(value["value"]))
        for key, value in args.items()
        if "value" in value and key not in step.inputs
    ]
    asks = step.kind in WAITS and step.state is StepState.RUNNING
    return StepDetail(
        step=step,
        given=given[:MOST_INPUTS],
        more_given=max(0, len(given) - MOST_INPUTS) + max(0, len(step.inputs) - MOST_INPUTS),
        output=passed("", step.output, step) if step.output else None,
        log=log_of(ws, step),
        waits=next((w for w in waiting.waiting(ws, run) if w.step == name), None)
        if asks
        else None,
        child=child,
    )


def _pinned(path: str, told: dict[str, Any]) -> Passed:
    """Return a data version that a step is given; one that nobody settled has no number."""
    name = told.get("name") or str(told.get("reference", "")).partition("@")[0]
    kind = f"{'frame of a ' if told.get('frame') else ''}{told.get('kind', 'version')}"
    number = told.get("number")
    return Passed(name=path, data=name, number=number, type=kind, digest=told.get("digest"))


def log_of(ws: Workspace, step: StepRecord) -> Log:
    """Return what a step printed, so far if it runs; of a long log its head and its tail."""
    if step.state is StepState.RUNNING and step.kind == "step":
        file = printing.file_of(ws.home, step.run, step.step)
        try:
            return _following(file)
        except FileNotFoundError:  # it has printed nothing yet, or another machine runs it
            return Log(live=True)
    if step.log is None:
        return Log()
    try:
        data = ws.objects.get(step.log)
    except NotFoundError:
        return Log(gone=True)
    if len(data) <= 2 * LOG_BYTES:
        return Log(head=_text(data))
    return Log(
        head=_text(data[:LOG_BYTES]),
        tail=_text(data[-LOG_BYTES:]),
        left_out=len(data) - 2 * LOG_BYTES,
    )


def whole_log(ws: Workspace, run: str, name: str) -> bytes:
    """Return all that is kept of what a step printed.

    Raises:
        NotFoundError: if there is no such run or step, or no log of it is kept.
    """

    def look(tx: Tx) -> StepRecord:
        runs.get(tx, run)
        return reading.get(tx, run, name)

    step = ws.read(Permission.READ, look)
    if step.log is None:
        raise NotFoundError(
            f"Step {name[:80]} of run {run[:80]} has no log yet, or printed nothing.", field="step"
        )
    return ws.objects.get(step.log)


def _following(file: Path) -> Log:
    with file.open("rb") as found:
        size = found.seek(0, 2)
        found.seek(max(0, size - LOG_BYTES))
        tail = found.read(LOG_BYTES)
    return Log(tail=_text(tail), left_out=max(0, size - LOG_BYTES), live=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").replace("\x00", "�")


def _size(ws: Workspace, objects: Sequence[str]) -> int | None:
    if len(objects) > _MOST_OBJECTS:
        return None
    try:
        return sum(ws.objects.size(one) for one in set(objects))
    except NotFoundError:
        return None


def _shown(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}… ({len(told):,} letters)"

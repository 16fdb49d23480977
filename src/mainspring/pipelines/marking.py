"""Mark how far the steps of a run are: started, finished, failed, skipped, to be done again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Float, bindparam, select, update

from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import StepRecord, StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines.pinning import recoded
from mainspring.pipelines.planned import Output, StepPlan
from mainspring.pipelines.reading import FINAL, ONE, get, here, put, row_of, steps_of
from mainspring.pipelines.tables import step_results, steps
from mainspring.pipelines.texts import CodeText

_KEPT = (str(StepState.DONE), str(StepState.REUSED))  #: states that nothing takes back


def started(tx: Tx, prepared: StepPlan, at: float) -> int:
    """Mark a step as running; return which attempt this is, from 1.

    Raises:
        ConflictError: if it has ended already.
    """
    told = {"run_": prepared.run, "step_": prepared.step, "started_": at}
    row = tx.one(_starting(), told)
    if row is None:
        now = row_of(tx, prepared.run, prepared.step).state
        raise ConflictError(f"Step {prepared.step} of run {prepared.run} is {now} already.")
    return int(row.attempt)


@cache
def _starting() -> Any:
    cells = {"state": str(StepState.RUNNING), "attempt": steps.c.attempt + 1}
    change = update(steps).where(ONE & steps.c.state.not_in(_KEPT))
    begun = {
        "error": "",
        "trace": "",
        "started": bindparam("started_", type_=Float),
        "ended": None,
    }
    return change.values(**cells, **begun).returning(steps.c.attempt)


def unstarted(tx: Tx, run: str, step: str) -> None:
    """Let a step wait again that was marked as running and never began."""
    cells = {"state": str(StepState.WAITING), "attempt": steps.c.attempt - 1, "started": None}
    mine = here(run, step) & (steps.c.state == str(StepState.RUNNING))
    tx.run(update(steps).where(mine).values(**cells))


def reused(tx: Tx, prepared: StepPlan, at: float) -> None:
    """Mark a step as reused, with the output of the run that computed it.

    A step that had ended as done stays so: it was run, and is met again.
    """
    cells = {
        "state": str(StepState.REUSED),
        "output": prepared.output,
        "output_type": prepared.output_type,
        "reused_from": prepared.reused_from,
        "reads": _json(prepared.reads) if prepared.reads else None,
        "started": at,
        "ended": at,
        "error": "",
        "trace": "",
    }
    if not put(tx, prepared.run, prepared.step, cells, unless=_KEPT):
        row_of(tx, prepared.run, prepared.step)  # it is there, or that is the error


def finished(tx: Tx, prepared: StepPlan, output: Output, at: float) -> None:
    """Mark a step as done and keep its result under its key.

    Finishing twice keeps the first output: what follows may have read it.
    """
    cells = {
        "state": str(StepState.DONE),
        "output": output.digest,
        "output_type": output.type,
        "log": output.log,
        "wall_s": output.wall_s,
        "cpu_s": output.cpu_s,
        "reads": _json(output.reads) if output.reads else None,
        "ended": at,
        "error": "",
        "trace": "",
    }
    if not put(tx, prepared.run, prepared.step, cells, unless=_KEPT):
        row_of(tx, prepared.run, prepared.step)  # it is there, or that is the error
        return
    kept = {
        "key": prepared.key,
        "output": output.digest,
        "output_type": output.type,
        "blobs": _json(output.blobs or [output.digest]),
        "run": prepared.run,
        "step": prepared.step,
        "made": at,
        "wall_s": output.wall_s,
        "metrics": _json(list({one[0]: one for one in output.metrics}.values())),
        "reads": cells["reads"],
    }
    tx.run(_keeping(tx.dialect), values=kept)


@cache
def _keeping(dialect: str) -> Any:
    """Return what keeps a result under its key, instead of one that is there."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_  # type: ignore[assignment]
    made = insert_(step_results)
    new = {one.name: made.excluded[one.name] for one in step_results.c if not one.primary_key}
    return made.on_conflict_do_update(index_elements=[step_results.c.key], set_=new)


def failed(
    tx: Tx,
    run: str,
    step: str,
    error: str,
    at: float,
    *,
    trace: str = "",
    log: str | None = None,
    types: Sequence[str] = (),
) -> list[str]:
    """Mark a step as failed and all that wait for it as skipped; return the names of those.

    ``types`` are what was raised and its bases, by name: what ``ms.catch`` asks for.
    """
    row = row_of(tx, run, step)
    if row.state in (StepState.DONE, StepState.REUSED):
        return []
    told = {"error": _clean(error), "trace": _clean(trace), "error_types": _json(list(types))}
    cells = {"state": str(StepState.FAILED), **told, "ended": at}
    tx.run(update(steps).where(here(run, step)).values(**cells, log=log))
    gone = {step}
    skipped_ = []
    for other in _beside(tx, row):
        if gone.intersection(msgspec.json.decode(other.needs, type=list[str])):
            gone.add(other.step)
            skipped_.append(other.step)
            _skip(tx, run, other.step, f"skipped because {step} failed", at)
    return skipped_


def tried(tx: Tx, run: str, step: str) -> dict[str, int]:
    """Return how often a step was tried again by each of its rules, by the rule's number."""
    found = row_of(tx, run, step).tried
    return msgspec.json.decode(found, type=dict[str, int]) if found else {}


def note_tried(tx: Tx, run: str, step: str, used: Mapping[str, int]) -> None:
    """Note how often a step was tried again by each of its rules."""
    tx.run(update(steps).where(here(run, step)).values(tried=_json(dict(used))))


def stopped(tx: Tx, run: str, step: str, why_: str, at: float) -> None:
    """Mark a step that has not ended as skipped."""
    if row_of(tx, run, step).state not in FINAL:
        _skip(tx, run, step, why_, at)


def cancelled(tx: Tx, run: str, at: float) -> list[str]:
    """Mark every step that has not ended as skipped; return their names."""
    open_ = [one.step for one in steps_of(tx, run) if one.state not in FINAL]
    for step in open_:
        _skip(tx, run, step, "skipped because the run was cancelled", at)
    return open_


def reopen(
    tx: Tx,
    run: str,
    code: Mapping[str, Sequence[Any]] | None = None,
    written: Mapping[str, Mapping[str, CodeText]] | None = None,
) -> list[str]:
    """Let every failed or skipped step of a run wait again; return their names.

    Those whose failure was dealt with stay as they are: a caught body, a branch not taken.

    ``code`` and ``written`` (see ``plan``) are what the steps' code is by now; without them a
    step whose code has changed since the run was planned is refused when it runs. What of it
    differs becomes part of `why`.
    """
    names = []
    for one in steps_of(tx, run):
        if one.state not in (StepState.FAILED, StepState.SKIPPED) or one.handled:
            continue
        told: dict[str, Any] = {}
        row = row_of(tx, run, one.step)
        if code is not None and row.target in code:
            digest, parts = code[row.target]
            told = recoded(tx, row, dict(parts), (written or {}).get(row.target, {}))
            told |= {"code": digest, "code_parts": _json(dict(parts))}
        _wait_again(tx, one, told)
        names.append(one.step)
    return names


def reopen_named(tx: Tx, run: str, names: Sequence[str]) -> list[str]:
    """Let some steps of a run wait again; return the tasks of the news that they still ask for."""
    asked = []
    for name in names:
        if _wait_again(tx, get(tx, run, name), {}):
            memo = growing.load(tx, run, name).memo
            asked.append(growing.news_id(run, name, int(memo["asked"])))
    return asked


def _wait_again(tx: Tx, one: StepRecord, told: Mapping[str, Any]) -> bool:
    """Let a step wait again; return whether it asks for news, as it did when it was stopped."""
    cells: dict[str, Any] = {"state": str(StepState.WAITING), "error": "", "trace": ""}
    asks = growing.still_asks(tx, one.run, one)
    if asks:
        cells |= {"state": str(StepState.RUNNING), "why": "waits, as before"}
    cells |= {"tried": None, "started": None, "ended": None, **told}
    tx.run(update(steps).where(here(one.run, one.step)).values(**cells))
    return asks


def _beside(tx: Tx, row: Any) -> Sequence[Any]:
    """Return the waiting steps that may need one: of its own level, and of its item or branch.

    What else there is needs the controller they stand under.
    """
    own = steps.c.within.is_(None)
    if row.within is not None:
        own = (steps.c.within == row.within) & (steps.c.lot == row.lot)
    waiting = (steps.c.run == row.run) & (steps.c.state == str(StepState.WAITING))
    query = select(steps.c.step, steps.c.needs).where(waiting, own)
    return tx.all(query.order_by(steps.c.position, steps.c.id))


def _skip(tx: Tx, run: str, step: str, reason: str, at: float) -> None:
    cells = {"state": str(StepState.SKIPPED), "why": reason, "ended": at}
    tx.run(update(steps).where(here(run, step)).values(**cells))


def _json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return canonical(value).decode()


def _clean(text: str) -> str:
    """Return what a user's code said as text that every database takes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\0")

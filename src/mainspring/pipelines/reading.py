"""Read the steps of a run: how they stand, what they gave, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import bindparam, select, update

from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.nearest import meant
from mainspring.ground.objects import StepRecord, StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines import unsaid
from mainspring.pipelines.graph import Argument
from mainspring.pipelines.options import Options
from mainspring.pipelines.tables import environments, step_results, steps

_MOST_TOLD = 1_000  #: wired steps among which the one that was meant is looked for
_MOST_KEYS = 500  # SQLite takes a bounded number of variables
FINAL = (StepState.DONE, StepState.REUSED, StepState.FAILED, StepState.SKIPPED)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How the steps of a run stand."""

    run: str
    counts: dict[str, int]  #: steps by state
    ended: bool  #: every step is done, reused, failed or skipped
    ok: bool  #: every step is done or reused
    failed: list[str]
    error: str  #: of the first step that failed
    wall_s: float  #: of all steps together


def steps_of(tx: Tx, run: str) -> list[StepRecord]:
    """Return the steps of a run, in an order in which they may run."""
    rows = tx.all(select(steps).where(steps.c.run == run).order_by(steps.c.position, steps.c.id))
    return [record_of(row) for row in rows]


def get(tx: Tx, run: str, step: str) -> StepRecord:
    """Return one step of a run.

    Raises:
        NotFoundError: naming the steps there are.
    """
    return record_of(row_of(tx, run, step))


def codes(tx: Tx, run: str) -> dict[str, str]:
    """Return the digest of the code of every step of a run, by target.

    Those too that its controllers never planted, such as what a map over nothing wires.
    """
    mine = steps.c.run == run
    named = mine & (steps.c.target != "")  # most controllers call no function
    rows = tx.all(select(steps.c.target, steps.c.code).where(named).distinct())
    kept = mine & steps.c.spec.is_not(None) & steps.c.within.is_(None)
    found: dict[str, str] = {}
    for row in tx.all(select(steps.c.spec).where(kept)):
        inner = msgspec.json.decode(row.spec, type=_Spec).seed.code
        found |= {target: str(told[0]) for target, told in inner.items()}
    return found | {row.target: row.code for row in rows}


class _Seed(msgspec.Struct, frozen=True):
    code: dict[str, Any] = {}


class _Spec(msgspec.Struct, frozen=True):
    """What of a controller's ``growing.Spec`` is read here."""

    seed: _Seed


def environment_of(tx: Tx, run: str) -> dict[str, str]:
    """Return what was installed where a run's steps were planned: distribution -> version.

    Environments of their own that steps asked for aside, unless all of them did. Empty if only
    its digest was kept.
    """
    rows = tx.all(select(steps.c.env, steps.c.options).where(steps.c.run == run).distinct())
    shared = (r for r in rows if not msgspec.json.decode(r.options, type=Options).apart)
    chosen = next(shared, rows[0] if rows else None)
    digest = None if chosen is None else chosen.env
    row = tx.one(select(environments.c.listing).where(environments.c.digest == digest))
    return {} if row is None else msgspec.json.decode(row.listing, type=dict[str, str])


def is_apart(tx: Tx, run: str, step: str) -> bool:
    """Return whether a step was planned for an environment of its own."""
    return msgspec.json.decode(row_of(tx, run, step).options, type=Options).apart


def args_of(tx: Tx, run: str, step: str) -> dict[str, Argument]:
    """Return the arguments of a step as they stand in the graph."""
    args: dict[str, Argument] = msgspec.json.decode(row_of(tx, run, step).args)
    return args


def every_args(tx: Tx, run: str) -> dict[str, dict[str, Argument]]:
    """Return the arguments of every step of a run, by its name."""
    rows = tx.all(select(steps.c.step, steps.c.args).where(steps.c.run == run))
    return {row.step: msgspec.json.decode(row.args) for row in rows}


def output_of(tx: Tx, run: str, step: str) -> tuple[str, str]:
    """Return digest and type of what a step returned.

    Raises:
        NotFoundError: if there is no such step.
        ConflictError: if it has no output yet.
    """
    row = row_of(tx, run, step)
    if row.output is None:
        raise ConflictError(f"Step {step} of run {run} is {row.state} and has no output.")
    return row.output, row.output_type


def error_types(tx: Tx, run: str, step: str) -> list[str]:
    """Return the class of what a failed step raised and its bases, by name."""
    return msgspec.json.decode(row_of(tx, run, step).error_types, type=list[str])


def made_by(tx: Tx, pipeline: str, step: str, most: int = 100) -> list[str]:
    """Return the runs of a pipeline in which a step has an output, newest first."""
    mine = (steps.c.pipeline == pipeline) & (steps.c.step == step) & steps.c.output.is_not(None)
    query = select(steps.c.run).where(mine).order_by(steps.c.id.desc()).limit(most)
    return [row.run for row in tx.all(query)]


def objects_of(tx: Tx, keys: Collection[str]) -> dict[str, list[str]]:
    """Return every object that the result kept under each key needs."""
    wanted = step_results.c.key.in_(list(keys)[:_MOST_KEYS])
    rows = tx.all(select(step_results.c.key, step_results.c.blobs).where(wanted))
    return {row.key: msgspec.json.decode(row.blobs, type=list[str]) for row in rows}


def summary(tx: Tx, run: str) -> Summary:
    """Return how the steps of a run stand."""
    found = steps_of(tx, run)
    counts = {str(state): 0 for state in StepState}
    for one in found:
        counts[str(one.state)] += 1
    broken = [one for one in found if one.state is StepState.FAILED and not one.handled]
    good = (StepState.DONE, StepState.REUSED)
    return Summary(
        run=run,
        counts={state: number for state, number in counts.items() if number},
        ended=all(one.state in FINAL for one in found),
        ok=all(one.state in good or one.handled for one in found),
        failed=[one.step for one in broken],
        error=broken[0].error if broken else "",
        wall_s=sum(one.wall_s for one in found),
    )


def why(tx: Tx, run: str, step: str) -> dict[str, Any]:
    """Return why a step ran, was reused or was skipped, and what its key is made of."""
    record = get(tx, run, step)
    return {
        "run": run,
        "step": step,
        "state": str(record.state),
        "why": (record.why or "it has not been looked at yet") + unsaid.words(record.reads),
        "key": record.key,
        "parts": record.parts,
        "inputs": record.inputs,
        "reused_from": record.reused_from,
        "reads": record.reads,
    }


#: One step of one run, in statements that are built once.
ONE = (steps.c.run == bindparam("run_")) & (steps.c.step == bindparam("step_"))


@cache
def setting(*names: str, unless: tuple[str, ...] = ()) -> Any:
    """Return the statement that sets these cells of one step, from ``name_`` each.

    It leaves those alone whose state is in ``unless``, and returns the attempt.
    """
    which = ONE & steps.c.state.not_in(unless) if unless else ONE
    cells = {name: bindparam(f"{name}_", type_=steps.c[name].type) for name in names}
    return update(steps).where(which).values(**cells).returning(steps.c.attempt)


def put(
    tx: Tx, run: str, step: str, cells: Mapping[str, Any], unless: tuple[str, ...] = ()
) -> bool:
    """Set cells of one step, unless its state is one of these; return whether it was done."""
    values = {f"{name}_": value for name, value in cells.items()}
    statement = setting(*cells, unless=unless)
    return tx.one(statement, {**values, "run_": run, "step_": step}) is not None


def here(run: str, step: str) -> Any:
    """Return the condition that finds one step of one run."""
    return (steps.c.run == run) & (steps.c.step == step)


def row_of(tx: Tx, run: str, step: str) -> Any:
    """Return the row of a step.

    Raises:
        NotFoundError: naming the steps there are.
    """
    row = tx.one(_whole_row(), {"run_": run, "step_": step})
    if row is None:
        wired = (steps.c.run == run) & steps.c.within.is_(None)
        query = select(steps.c.step).where(wired).order_by(steps.c.position)
        names = [row.step for row in tx.all(query.limit(_MOST_TOLD))]
        raise NotFoundError(
            f"Run {run} has no step {str(step)[:80]!r}.",
            field="step",
            hint=meant(str(step), names) if names else None,
        )
    return row


@cache
def _whole_row() -> Any:
    return select(steps).where(ONE)


def record_of(row: Any) -> StepRecord:
    """Return the record that a row of ``steps`` holds."""
    return StepRecord(
        run=row.run,
        step=row.step,
        state=StepState(row.state),
        key=row.key,
        why=row.why,
        parts=msgspec.json.decode(row.parts) if row.parts else {},
        needs=msgspec.json.decode(row.needs),
        inputs=msgspec.json.decode(row.inputs),
        output=row.output,
        output_type=row.output_type,
        reused_from=row.reused_from,
        started=row.started,
        ended=row.ended,
        attempt=row.attempt,
        error=row.error,
        trace=row.trace,
        log=row.log,
        wall_s=row.wall_s,
        cpu_s=row.cpu_s,
        kind=row.kind,
        within=row.within,
        handled=row.handled,
        reads=msgspec.json.decode(row.reads) if row.reads else [],
    )

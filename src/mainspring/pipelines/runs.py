"""The steps of a run: planned, then each prepared, to be run or to reuse a result; and why.

What a step returned is kept under a key of everything it depended on. Before a step is run its
key is looked up; a result that is there, with all its objects, is reused. Keys hold the
*content* of inputs, so a step that ran again and returned the same leaves the rest untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, select

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical
from mainspring.ground.locks import Lock
from mainspring.ground.objects import StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines import declared, environments, growing, texts
from mainspring.pipelines.declare import Options
from mainspring.pipelines.graph import Argument, Graph
from mainspring.pipelines.growing import task_id as task_id
from mainspring.pipelines.keys import key, parts_of, refs_of
from mainspring.pipelines.marking import cancelled as cancelled
from mainspring.pipelines.marking import failed as failed
from mainspring.pipelines.marking import finished as finished
from mainspring.pipelines.marking import note_tried as note_tried
from mainspring.pipelines.marking import reopen as reopen
from mainspring.pipelines.marking import reopen_named as reopen_named
from mainspring.pipelines.marking import reused as reused
from mainspring.pipelines.marking import started as started
from mainspring.pipelines.marking import stopped as stopped
from mainspring.pipelines.marking import tried as tried
from mainspring.pipelines.marking import unstarted as unstarted
from mainspring.pipelines.outputs import usable
from mainspring.pipelines.pinning import kept_from
from mainspring.pipelines.planned import Output as Output
from mainspring.pipelines.planned import StepPlan as StepPlan
from mainspring.pipelines.reading import ONE, put, row_of
from mainspring.pipelines.reading import Summary as Summary
from mainspring.pipelines.reading import args_of as args_of
from mainspring.pipelines.reading import error_types as error_types
from mainspring.pipelines.reading import get as get
from mainspring.pipelines.reading import output_of as output_of
from mainspring.pipelines.reading import steps_of as steps_of
from mainspring.pipelines.reading import summary as summary
from mainspring.pipelines.reading import why as why
from mainspring.pipelines.tables import step_results, steps
from mainspring.pipelines.texts import CodeText
from mainspring.pipelines.why import Change, explain

_KEPT = (str(StepState.DONE), str(StepState.REUSED))  #: states that nothing takes back
_DID: dict[str, str] = {
    StepState.DONE: "ran again",
    StepState.REUSED: "was reused from another run",
}


def plan(
    tx: Tx,
    run: str,
    graph: Graph,
    code: Mapping[str, Sequence[Any]],
    env: str | Mapping[str, str],
    *,
    fresh: Collection[str] = (),
    pinned: Mapping[str, str] | None = None,
    locks: Mapping[str, Lock] | None = None,
    written: Mapping[str, Mapping[str, CodeText]] | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Write down the steps of a run as waiting; return its tasks for the engine.

    ``code`` gives for each target what ``code_digest`` said of it (see ``code.graph_code``);
    ``env`` the environment, as a listing (then `why` can say what changed in it) or its digest
    alone. ``locks`` are the environments of steps that have their own, by target, and under
    "" what ``env`` can be built from. ``written`` is the text of the parts of the code, by target;
    with it `why` can show lines. Steps in ``fresh`` run even if a result could be reused.
    ``pinned`` gives for some the run whose result they take, whatever there is newer. Planning a
    run twice changes nothing and gives the same tasks.

    Raises:
        BadInputError: if ``fresh`` names a step that is not there.
    """
    unknown = [name for name in fresh if graph.root_of(name) is None]
    if unknown:
        raise BadInputError(
            f"There is no step {', '.join(sorted(unknown))}.",
            field="step",
            hint=f"There are: {', '.join(graph.needs)}.",
        )
    own = locks or {}
    shared = growing.Seed(
        pipeline=graph.pipeline,
        env=env if isinstance(env, str) else environments.keep(tx, env, own.get("")),
        apart={name: environments.keep(tx, one.listing, one) for name, one in own.items() if name},
        code={target: list(code[target]) for target in graph.targets},
        texts={t: _json(texts.keep(tx, found)) for t, found in (written or {}).items()},
        fresh=list(fresh),
        chance=seed,
    )
    known = {row.step for row in tx.all(select(steps.c.step).where(steps.c.run == run))}
    rows = [
        growing.row(run, node, shared, position) | {"pinned": (pinned or {}).get(node.name)}
        for position, node in enumerate(graph.nodes)
        if node.name not in known
    ]
    if rows:
        tx.run(insert(steps), rows)
    return _tasks(run, graph)


def prepare(
    tx: Tx,
    run: str,
    step: str,
    has: Callable[[str], bool],
    *,
    attempt: int = 0,
    home: Path | None = None,
    damaged: Collection[str] = (),
    at: float | None = None,
) -> StepPlan:
    """Say what is to be done for a step: run it, or reuse a result; and why.

    ``has`` tells whether an object is still kept: a result is reused only with all of its
    objects, without those that were found ``damaged``, and what was pickled only in the ``home``
    that pickled it. ``at`` is the time, for steps whose results are reused for a while only. The
    answer is written into the step's row. A step that had already ended, however long ago, gives
    the same plan again as reused, from its own run.

    Raises:
        NotFoundError: if there is no such step.
        ConflictError: if a step before it has no output.
    """
    row = row_of(tx, run, step)
    if row.pinned and (taken := kept_from(tx, row, has, damaged)):
        return taken
    args: dict[str, Argument] = msgspec.json.decode(row.args)
    refs = refs_of(args)
    outputs = _outputs(tx, run, set(refs.values()))
    code = msgspec.json.decode(row.code_parts, type=dict[str, str])
    kept = {name: f"{one[1]} {one[0]}" for name, one in outputs.items()}
    parts = parts_of(args, kept, code, row.env, seed=row.seed or 0)
    found = key(parts)
    options = msgspec.json.decode(row.options, type=Options)
    ended = row.state in _KEPT and row.key == found
    reusable = ended or (options.cache and not row.fresh)
    result = _result(tx, found, has, damaged, home) if reusable else None
    if old_s := None if result is None or ended else _too_old(result.made, options, at):
        result = None
    change = Change(
        parts=parts,
        refs={path: f"{name} {_DID[outputs[name][2]]}" for path, name in refs.items()},
        key=found,
        reused_from=None if result is None else result.run,
        fresh=row.fresh,
        cache=options.cache,
        damaged=sorted(damaged),
        old_s=old_s,
        max_age_s=options.max_age_s,
    )
    why_ = explain(tx, row, change)
    prepared = StepPlan(
        run=run,
        step=step,
        target=row.target,
        key=found,
        parts=parts,
        why=why_,
        args={name: _resolved(one, outputs) for name, one in args.items()},
        inputs={path: outputs[name][0] for path, name in refs.items()},
        options=options,
        code=row.code,
        declared=declared.of_code(code),
        attempt=max(row.attempt, attempt),
        anew=bool(row.fresh) or not options.cache or old_s is not None,
        env=row.env,
        seed=row.seed or 0,
        **({} if result is None else _taken_over(result)),
    )
    if row.state not in (StepState.DONE, StepState.REUSED):
        _note(tx, prepared)
    return prepared


def _tasks(run: str, graph: Graph) -> list[dict[str, Any]]:
    """Return a task a node and one for the end, as the engine takes them."""
    out = [growing.task(run, node) for node in graph.nodes]
    end = {
        "id": growing.end_id(run),
        "kind": "run_end",
        "payload": {"run": run, "result": graph.result},
        "group": run,
        "needs": [task["id"] for task in out],
        "always": True,
        "max_attempts": 5,
        "backoff_s": 1.0,
    }
    return [*out, end]


def _outputs(tx: Tx, run: str, names: Collection[str]) -> dict[str, tuple[str, str, str]]:
    """Return digest and type of what steps returned, and how they came to it."""
    if len(names) <= _FEW:
        each = (tx.one(_of_one(), {"run_": run, "step_": name}) for name in names)
        found = [row for row in each if row is not None and row.output is not None]
    else:
        there = select(*_OUTPUT).where(steps.c.run == run, steps.c.output.is_not(None))
        found = growing.named(tx, there, names)
    return {row.step: (row.output, row.output_type, row.state) for row in found}


_FEW = 20  # steps that are asked for one by one, by a statement that is built once
_OUTPUT = (steps.c.step, steps.c.output, steps.c.output_type, steps.c.state)


@cache
def _of_one() -> Any:
    return select(*_OUTPUT).where(ONE)


def _result(
    tx: Tx, found: str, has: Callable[[str], bool], damaged: Collection[str], home: Path | None
) -> Any | None:
    row = tx.one(_under_key(), {"key_": found})
    if row is None:
        return None
    blobs = msgspec.json.decode(row.blobs)
    if not all(blob not in damaged and has(blob) for blob in blobs):
        return None
    return row if usable(row.output_type, home) else None


def _note(tx: Tx, prepared: StepPlan) -> None:
    """Write down what is to be done for a step."""
    told = {"key": prepared.key, "why": prepared.why, "parts": _json(prepared.parts)}
    put(tx, prepared.run, prepared.step, {**told, "inputs": _json(prepared.inputs)})


def _taken_over(result: Any) -> dict[str, Any]:
    """Return what a plan says of a result that is reused."""
    return {
        "output": result.output,
        "output_type": result.output_type,
        "reused_from": result.run,
        "blobs": msgspec.json.decode(result.blobs),
        "metrics": msgspec.json.decode(result.metrics),
        "reads": msgspec.json.decode(result.reads) if result.reads else [],
    }


def _too_old(made: float, options: Options, at: float | None) -> float | None:
    """Return how old a result is if it may not be reused for that, in seconds."""
    if options.max_age_s is None or at is None or at - made <= options.max_age_s:
        return None
    return at - made


@cache
def _under_key() -> Any:
    return select(step_results).where(step_results.c.key == bindparam("key_"))


def _resolved(argument: Argument, outputs: Mapping[str, tuple[str, str, str]]) -> Argument:
    """Return an argument with its refs replaced by what they stand for."""
    if "ref" in argument:
        digest, type_, _ = outputs[argument["ref"]]
        return {"digest": digest, "type": type_, "from": argument["ref"]}
    for kind in ("list", "tuple"):
        if kind in argument:
            return {kind: [_resolved(part, outputs) for part in argument[kind]]}
    if "dict" in argument:
        return {"dict": {k: _resolved(part, outputs) for k, part in argument["dict"].items()}}
    return argument


def _json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return canonical(value).decode()

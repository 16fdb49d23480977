"""Say what pipelines look like by their runs: graph, params that vary, inputs that move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from mainspring.debt import facts as f
from mainspring.experiments import datasets
from mainspring.experiments.tables import deleted_runs, params, run_datasets, runs
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import steps
from mainspring.workspace.owed.lineage import Lineage
from mainspring.workspace.running import CODE

_LAST_RUNS = 100  #: of each pipeline
_MOST_VALUES = 20
_NOTHING = sha256(canonical(None))  #: the digest of a step's output that is None

Shown = dict[str, tuple[f.PipelineFacts, list[str]]]  #: pipeline -> facts, names of steps


def of_runs(tx: Tx, known: Lineage) -> tuple[Shown, list[f.ParamFacts], list[f.InputFacts]]:
    """Return what the last runs of every pipeline say of it."""
    shown: Shown = {}
    varied: list[f.ParamFacts] = []
    moved: list[f.InputFacts] = []
    gone = select(deleted_runs.c.run)
    question = select(runs.c.pipeline).where(runs.c.pipeline.is_not(None)).distinct()
    for row in tx.all(question.order_by(runs.c.pipeline)):
        name = row.pipeline
        newest = (
            select(runs.c.id, runs.c.status)
            .where(runs.c.pipeline == name, runs.c.id.not_in(gone))
            .order_by(runs.c.started.desc(), runs.c.id.desc())
            .limit(_LAST_RUNS)
        )
        found = tx.all(newest)
        ids = [one.id for one in found]
        if not ids:
            continue
        done = next((one.id for one in found if one.status == "finished"), ids[0])
        graph = _graph(tx, name, done)
        if graph is not None:
            shown[name] = graph
        varied += _varied(tx, name, ids)
        moved += _moved(tx, name, ids)
    return shown, varied, [*moved, *_datasets(known)]


def _graph(tx: Tx, name: str, run: str) -> tuple[f.PipelineFacts, list[str]] | None:
    rows = tx.all(select(steps).where(steps.c.run == run).order_by(steps.c.position))
    if not rows:
        return None
    needs = {row.step: msgspec.json.decode(row.needs, type=list[str]) for row in rows}
    depth: dict[str, int] = {}
    for row in rows:  # they stand in an order in which they may run
        depth[row.step] = 1 + max((depth.get(one, 0) for one in needs[row.step]), default=0)
    taken = {one for several in needs.values() for one in several}
    result = _result(tx, run)
    idle = [
        row.step
        for row in rows
        if row.step not in taken
        and row.step != result
        and row.output is not None
        and row.output != _NOTHING
    ]
    same: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        same.setdefault((row.code, row.args), []).append(row.step)
    doubles = [several for several in same.values() if len(several) > 1]
    spare = {*idle, *(step for several in doubles for step in several[1:])}
    facts = f.PipelineFacts(
        name=name,
        steps=len(rows),
        edges=sum(len(several) for several in needs.values()),
        depth=max(depth.values()),
        unused_outputs=idle,
        duplicates=doubles,
        wall_s=sum(row.wall_s for row in rows),
        wasted_s=sum(row.wall_s for row in rows if row.step in spare),
    )
    return facts, [row.step for row in rows]


def _result(tx: Tx, run: str) -> str | None:
    from mainspring.experiments import runs as experiments
    from mainspring.workspace.running import RESULT

    found = experiments.several(tx, [run])
    return found[0].tags.get(RESULT) or None if found else None


def _varied(tx: Tx, name: str, ids: Sequence[str]) -> list[f.ParamFacts]:
    seen: dict[str, dict[str, str]] = {}
    for row in tx.all(select(params).where(params.c.run.in_(ids))):
        seen.setdefault(row.key, {})[row.run] = row.value
    return [
        f.ParamFacts(
            pipeline=name,
            function=name.rpartition(":")[2],
            param=key,
            runs=len(ids),
            values=_values(by_run, len(ids)),
        )
        for key, by_run in sorted(seen.items())
    ]


def _values(by_run: dict[str, str], runs_: int) -> list[Any]:
    """Return the distinct values as Python reads them; None where a run was given none."""
    found = [_read(text) for text in sorted(set(by_run.values()))][:_MOST_VALUES]
    return found if len(by_run) == runs_ else [*found, None]


def _read(text: str) -> Any:
    """Return what a param is: JSON where it was written so, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _moved(tx: Tx, name: str, ids: Sequence[str]) -> list[f.InputFacts]:
    """Return steps that take nothing from other steps, and what the same call of them gave."""
    rows = tx.all(
        select(steps.c.step, steps.c.code, steps.c.args, steps.c.env, steps.c.output,
               steps.c.ended, steps.c.needs, steps.c.state)
        .where(steps.c.run.in_(ids), steps.c.output.is_not(None), steps.c.state == "done")
    )  # fmt: skip
    calls: dict[tuple[str, str, str, str], list[Any]] = {}
    for row in rows:
        if row.needs == "[]":
            calls.setdefault((row.step, row.code, row.args, row.env), []).append(row)
    found: dict[str, f.InputFacts] = {}
    for (step, *_), several in calls.items():
        contents = len({row.output for row in several})
        best = found.get(step)
        if contents > 1 and (best is None or contents > best.contents):
            found[step] = f.InputFacts(
                name=f"what step {step} reads",
                reader=f"pipeline:{name}",
                runs=len(several),
                contents=contents,
                last=max(row.ended or 0.0 for row in several),
            )
    return list(found.values())


def _datasets(known: Lineage) -> list[f.InputFacts]:
    """Return files that runs of the same code read in different contents."""
    tx = known.tx
    commit = "mainspring.git.commit"
    ids = [row.run for row in tx.all(select(run_datasets.c.run).distinct().limit(1000))]
    from mainspring.experiments import runs as experiments

    tags = {
        one.id: one.tags
        for start in range(0, len(ids), 500)
        for one in experiments.several(tx, ids[start : start + 500])
    }
    read: dict[tuple[str, str, str], dict[str, float]] = {}
    counted: dict[tuple[str, str, str], int] = {}
    for run, uses in datasets.of_runs(tx, list(tags)).items():
        code = tags[run].get(CODE) or tags[run].get(commit)
        if not code or tags[run].get("mainspring.git.dirty") == "true":
            continue  # which code it was is not known
        for use in uses:
            if use.dataset.source_type == "local":
                key = (code, use.dataset.name, use.dataset.source)
                read.setdefault(key, {})[use.dataset.digest] = 0.0
                counted[key] = counted.get(key, 0) + 1
    return [
        f.InputFacts(
            name=f"dataset {name}",
            reader=f"dataset:{name}",
            source=_uri(source),
            runs=counted[code, name, source],
            contents=len(contents),
        )
        for (code, name, source), contents in read.items()
        if len(contents) > 1
    ]


def _uri(source: str) -> str:
    told = _read(source)
    return str(told.get("uri", "")) if isinstance(told, dict) else ""

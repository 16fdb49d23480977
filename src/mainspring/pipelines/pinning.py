"""Go on from a certain run: take what its steps gave, or run the rest of it with newer code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import select, update

from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines import texts
from mainspring.pipelines.declare import Options
from mainspring.pipelines.keys import differences
from mainspring.pipelines.planned import StepPlan
from mainspring.pipelines.reading import here, row_of
from mainspring.pipelines.tables import step_results, steps
from mainspring.pipelines.texts import CodeText
from mainspring.pipelines.why import RECODED


def kept_from(
    tx: Tx, row: Any, has: Callable[[str], bool], damaged: Collection[str]
) -> StepPlan | None:
    """Return the plan of a step that takes the result of a certain run; None if that is gone.

    Raises:
        ConflictError: if it is gone and cannot be made anew, for what it is made of is not here.
    """
    then = row_of(tx, row.pinned, row.step)
    result = tx.one(select(step_results).where(step_results.c.key == then.key))
    kept = None if result is None or result.output != then.output else result
    blobs = msgspec.json.decode(kept.blobs) if kept else [then.output]
    if then.output is None or not all(blob not in damaged and has(blob) for blob in blobs):
        if row.args != then.args:
            raise ConflictError(
                f"What step {row.step} gave in run {row.pinned} is not kept any more.",
                hint=f"Run it again: mainspring run {row.pipeline} --from {row.step}",
            )
        return None
    why_ = f"kept from {row.pinned}, which this run goes on from"
    cells = {"key": then.key, "parts": then.parts, "inputs": then.inputs, "why": why_}
    if row.state not in (StepState.DONE, StepState.REUSED):
        tx.run(update(steps).where(here(row.run, row.step)).values(**cells))
    return StepPlan(
        run=row.run,
        step=row.step,
        target=row.target,
        key=then.key,
        parts=msgspec.json.decode(then.parts or "{}"),
        why=why_,
        args={},
        inputs=msgspec.json.decode(then.inputs),
        options=msgspec.json.decode(row.options, type=Options),
        code=then.code,
        attempt=row.attempt,
        output=then.output,
        output_type=then.output_type,
        reused_from=row.pinned,
        blobs=blobs,
        metrics=msgspec.json.decode(kept.metrics) if kept else [],
        reads=msgspec.json.decode(then.reads) if then.reads else [],
    )


def recoded(
    tx: Tx, row: Any, parts: Mapping[str, str], written: Mapping[str, CodeText]
) -> dict[str, str]:
    """Return why a step runs that is resumed with other code, and the texts of that code."""
    old = msgspec.json.decode(row.code_texts or "{}")
    new = texts.keep(tx, written)
    before = msgspec.json.decode(row.code_parts, type=dict[str, str])
    named = {f"code {name}": found for name, found in before.items()}
    told = differences(
        named,
        {f"code {name}": found for name, found in parts.items()},
        refs={},
        environment=lambda _old, _new: [],
        code=lambda part: texts.changes(tx, old.get(part), new.get(part)),
    )
    words = f"{RECODED}: {'; '.join(told)}" if told else ""
    return {"code_texts": canonical(new).decode(), "why": words}

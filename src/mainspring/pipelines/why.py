"""Say in words why a step runs, or need not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from mainspring.ground import environment
from mainspring.ground.durations import spoken
from mainspring.ground.objects import StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines import texts
from mainspring.pipelines.data import versions
from mainspring.pipelines.keys import differences
from mainspring.pipelines.tables import environments, steps

#: Begins why a step runs whose run was resumed with other code than it was planned with.
RECODED = "resumed with the code as it is now"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a step about to run."""

    parts: dict[str, str]
    refs: dict[str, str]  #: input path -> the step behind it and what it did, in words
    key: str
    reused_from: str | None  #: the run whose result is reused
    fresh: bool  #: it was asked to run anew
    cache: bool
    damaged: list[str] = []  #: objects of the result that could have been reused
    old_s: float | None = None  #: how old the result is that is too old to be reused
    max_age_s: float | None = None


def explain(tx: Tx, row: Any, change: Change) -> str:
    """Return why a step runs or is reused, against the last time it was looked at.

    ``row`` is its row in ``steps``. The last time is of the same step in the same pipeline.
    """
    if change.reused_from is not None:
        return f"reused from {change.reused_from}: same code, inputs, params and environment"
    if row.why.startswith(RECODED):
        return str(row.why)
    if change.fresh:
        return "asked to run anew"
    if not change.cache:
        return "runs in every run (cache=False)"
    if unfit := _unfit(change):
        return unfit
    before = _before(tx, row)
    return "first time" if before is None else _against(tx, before, row, change)


def _unfit(change: Change) -> str:
    """Return why a result that is there may not be reused; nothing if it is not for that."""
    if change.damaged:
        named = ", ".join(one[:12] for one in change.damaged)
        return f"its kept result is damaged (object {named} is not what its digest says)"
    if change.old_s is not None:
        most = spoken(change.max_age_s or 0.0)
        return f"its result is too old: made {spoken(change.old_s)} ago, cache allows {most}"
    return ""


def _against(tx: Tx, before: Any, row: Any, change: Change) -> str:
    old, new = (msgspec.json.decode(one.code_texts or "{}") for one in (before, row))
    told = differences(
        msgspec.json.decode(before.parts, type=dict[str, str]),
        change.parts,
        refs=change.refs,
        environment=lambda old, new: _environment(tx, old, new),
        code=lambda part: texts.changes(tx, old.get(part), new.get(part)),
        data=lambda path, old, new: _data(tx, path, old, new),
    )
    if told:
        return "; ".join(told)
    if before.state == StepState.FAILED:
        return "it failed the last time"
    if before.output is None:
        return "it did not come to its end the last time"
    return "its result is not kept any more"


def _data(tx: Tx, path: str, old: str | None, new: str | None) -> str:
    """Return in words which version of a dataset came for which."""
    if old is None or new is None:
        return f"data {path}: is {'new' if old is None else 'gone'}"
    was, now = old.split(), new.split()
    if was == now[: len(was)] or now == was[: len(now)]:
        return f"data {path}: is read as {'a frame' if len(now) > len(was) else 'files'}"
    before, after = _number(tx, was), _number(tx, now)
    if was[0] == now[0]:
        return f"data {now[0]}: version {before} -> {after}"
    return f"data {path}: {was[0]}@{before} -> {now[0]}@{after}"


def _number(tx: Tx, told: list[str]) -> str:
    """Return the newest number under which a dataset has some content, else its digest."""
    found = [one for one in versions.of_digest(tx, told[2]) if one.name == told[0]]
    return str(found[-1].number) if found else told[2][:12]


def _before(tx: Tx, row: Any) -> Any | None:
    """Return the row of the last time this step was looked at in another run."""
    named = {"pipeline_": row.pipeline, "step_": row.step, "id_": row.id}
    return tx.one(_last_look(), named)


@cache
def _last_look() -> Any:
    same = (steps.c.pipeline == bindparam("pipeline_")) & (steps.c.step == bindparam("step_"))
    earlier = same & (steps.c.id < bindparam("id_")) & steps.c.parts.is_not(None)
    return select(steps).where(earlier).order_by(steps.c.id.desc()).limit(1)


def _environment(tx: Tx, old: str, new: str) -> list[str]:
    found: dict[str, Mapping[str, str]] = {}
    statement = select(environments).where(environments.c.digest.in_([old, new]))
    for row in tx.all(statement):
        found[row.digest] = msgspec.json.decode(row.listing, type=dict[str, str])
    if old not in found or new not in found:
        return []
    return environment.differences(found[old], found[new])

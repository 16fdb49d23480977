"""Decide, inside one transaction, which child a lane does next, and whether it is all over."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from mainspring.experiments import families, runs
from mainspring.experiments.families import Family, Member, Notes
from mainspring.experiments.tables import runs as table
from mainspring.ground.identity import canonical, new_id
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx
from mainspring.workspace.families import study

_AGAIN = (RunStatus.CRASHED, RunStatus.CANCELLED)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One child to be done now."""

    number: int
    run: str
    params: dict[str, Any]  #: with their types
    seed: int | None
    experiment: str


def take(tx: Tx, parent: str, lane: int, now: float) -> Turn | None:
    """Return the next child for a lane, its run begun; None when there is none left.

    What this lane began and did not end died with its worker: it is marked as crashed and done
    again under the same number with the same params.
    """
    # FOR UPDATE, or two lanes on PostgreSQL could both take the same number.
    tx.one(select(table.c.id).where(table.c.id == parent).with_for_update())
    whole = runs.get(tx, parent)
    if whole.status is not RunStatus.RUNNING:
        return None
    family = families.family_of(whole)
    found = families.members(tx, parent)
    for one in found:
        if one.lane == lane and one.run.status is RunStatus.RUNNING:
            runs.end(tx, one.run.id, RunStatus.CRASHED, now)
    found = families.members(tx, parent)
    if over(whole, family, found, now):
        return None
    again = next((m for m in found if m.run.status in _AGAIN and not m.settled), None)
    if again is not None:
        return _begin(tx, whole, family, again.number, lane, now, params=again.notes.params)
    number = found[-1].number + 1 if found else 0
    if number >= family.count:
        return None
    params = study.draw(family, found, number) if family.kind == "tune" else {}
    return _begin(tx, whole, family, number, lane, now, params=params)


def over(whole: Run, family: Family, found: list[Member], now: float) -> str:
    """Return why no further child shall begin; empty if one may."""
    row = families.failed_in_a_row(found)
    if len(row) >= family.failures:
        return f"{len(row)} in a row failed: {row[0].run.tags.get(families.ERROR, 'they died')}"
    started = float(whole.tags.get(families.STARTED, whole.started))
    if family.timeout_s is not None and now - started >= family.timeout_s:
        return f"its {family.timeout_s:g} s are over"
    if family.kind == "tune" and study.stale(family, found):
        return f"{family.patience} trials brought no better one"
    return ""


def settle(
    tx: Tx,
    turn: Turn,
    status: RunStatus,
    gathered: list[list[Any]],
    now: float,
    *,
    error: str = "",
    pruned: bool = False,
) -> None:
    """Write down how a child ended, with everything it logged."""
    run = runs.get(tx, turn.run)
    if gathered:
        runs.log_gathered(tx, turn.run, gathered)
    if error:
        runs.set_tags(tx, turn.run, {families.ERROR: error[:2_000]})
    if pruned:
        notes = families.notes_of(run)
        keep_notes(tx, turn.run, msgspec.structs.replace(notes, pruned=True))
    runs.end(tx, turn.run, status, now)


def keep_notes(tx: Tx, run: str, notes: Notes) -> None:
    """Keep what a trial's run carries."""
    runs.set_tags(tx, run, {families.TRIAL: canonical(notes).decode()})


def _begin(
    tx: Tx,
    whole: Run,
    family: Family,
    number: int,
    lane: int,
    now: float,
    *,
    params: dict[str, Any],
) -> Turn:
    seed = family.seeds[number] if family.kind == "repeat" else None
    given = {**family.params, **params}
    if family.kind == "repeat":
        given["seed"] = seed
    tags = {families.NUMBER: str(number), families.LANE: str(lane)}
    if family.kind == "tune":
        tags[families.TRIAL] = canonical(Notes(params=params)).decode()
    run = Run(
        id=new_id("run"),
        experiment=whole.experiment,
        name=f"{whole.name[:200]}-{number}",
        status=RunStatus.RUNNING,
        started=now,
        parent=whole.id,
        tags=tags,
    )
    runs.create(tx, run)
    runs.set_params(tx, run.id, given)
    return Turn(number=number, run=run.id, params=given, seed=seed, experiment=whole.experiment)

"""A run with numbered children: K repeats of one function, or the trials of a tuning.

The parent carries what is to be done in a tag. A child carries its number; where one died and
was done again, the newest of that number counts. So the store alone says how far it all is.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy import select

from mainspring.experiments import runs
from mainspring.experiments.spaces import Space
from mainspring.experiments.tables import deleted_runs
from mainspring.experiments.tables import runs as table
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Record, Run, RunStatus
from mainspring.ground.ports import Tx

FAMILY, NUMBER, LANE, TRIAL, ERROR, BEST, STARTED, OVER = (
    "mainspring.family",
    "mainspring.number",
    "mainspring.lane",
    "mainspring.trial",
    "mainspring.error",
    "mainspring.best",
    "mainspring.started",
    "mainspring.over",
)
MOST_DIED = 3  #: a child whose process is killed so often has failed
MOST = 10_000  #: children of one run

Goal = Literal["maximize", "minimize"]


class Family(Record, frozen=True, kw_only=True):
    """What a parent run asks for."""

    kind: Literal["repeat", "tune"]
    root: str  #: folder of the project
    target: str  #: module:function
    own: bool = False  #: only the process that started it has the function
    pipeline: bool = False  #: the target is a pipeline
    names: list[str] = []  #: of the params it takes
    params: dict[str, Any] = {}  #: the same for every child
    count: int  #: how many children
    parallel: int = 2  #: at once
    failures: int = 3  #: so many in a row end it
    timeout_s: float | None = None  #: since it was started or resumed last
    seeds: list[int] = []  #: repeat: one a child
    space: Space = {}  #: tune
    metric: str = ""  #: tune: what to improve
    goal: Goal = "maximize"
    sampler: str = "tpe"
    pruner: str = "none"
    seed: int = 0  #: of the sampler
    patience: int | None = None  #: tune: so many trials without a better one end it


class Notes(Record, frozen=True, kw_only=True):
    """What a trial's run carries beside its metrics, so that a study can be built of it."""

    params: dict[str, Any] = {}  #: as they were drawn, with their types
    reports: list[tuple[int, float | str]] = []  #: (step, value); NaN and infinities by name
    attrs: dict[str, Any] = {}  #: what the pruner keeps of it
    pruned: bool = False


class Member(Record, frozen=True, kw_only=True):
    """The newest run of one number."""

    number: int
    run: Run
    lane: int
    died: int  #: earlier runs of this number whose process died
    notes: Notes

    @property
    def settled(self) -> bool:
        """Return whether it is not to be tried again."""
        if self.run.status is RunStatus.CRASHED:
            return self.died + 1 >= MOST_DIED
        return self.run.status in (RunStatus.FINISHED, RunStatus.FAILED)

    @property
    def failed(self) -> bool:
        """Return whether it is settled and has no result."""
        return self.settled and self.run.status is not RunStatus.FINISHED


def family_of(run: Run) -> Family:
    """Return what a parent run asks for.

    Raises:
        BadInputError: if it is not the parent of a repeat or a tuning.
    """
    if FAMILY not in run.tags:
        raise BadInputError(
            f"Run {run.id} is neither a repeat nor a tuning.",
            field="run",
            hint="Start one with mainspring repeat or mainspring tune.",
        )
    return msgspec.json.decode(run.tags[FAMILY], type=Family)


def members(tx: Tx, parent: str) -> list[Member]:
    """Return the newest child of each number, by number."""
    gone = select(deleted_runs.c.run)
    found = select(table.c.id).where(table.c.parent == parent, table.c.id.not_in(gone))
    ids = [row.id for row in tx.all(found.order_by(table.c.started, table.c.id))]
    newest: dict[int, Run] = {}
    died: dict[int, int] = {}
    for run in runs.several(tx, ids):
        number = run.tags.get(NUMBER, "")
        if not number.isdecimal():
            continue
        if int(number) in newest and newest[int(number)].status is RunStatus.CRASHED:
            died[int(number)] = died.get(int(number), 0) + 1
        newest[int(number)] = run
    return [
        Member(
            number=number,
            run=newest[number],
            lane=int(newest[number].tags.get(LANE, "0")),
            died=died.get(number, 0),
            notes=notes_of(newest[number]),
        )
        for number in sorted(newest)
    ]


def notes_of(run: Run) -> Notes:
    """Return what a trial's run carries."""
    text = run.tags.get(TRIAL)
    return Notes() if text is None else msgspec.json.decode(text, type=Notes)


def failed_in_a_row(found: list[Member]) -> list[Member]:
    """Return the children that failed one after another up to the newest settled one."""
    out: list[Member] = []
    for one in sorted((m for m in found if m.settled), key=lambda m: -(m.run.ended or 0.0)):
        if not one.failed:
            break
        out.append(one)
    return out

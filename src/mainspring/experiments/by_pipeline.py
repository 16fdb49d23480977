"""Find the runs of pipelines: which pipelines ever ran, and the newest runs of one."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select

from mainspring.experiments import runs as all_runs
from mainspring.experiments.tables import runs
from mainspring.ground.objects import Halt
from mainspring.ground.ports import Tx


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that ran, and how often."""

    pipeline: str
    runs: int
    newest: float  #: when its newest run started, UTC seconds


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a pipeline."""

    run: str
    name: str
    status: str
    started: float
    ended: float | None
    cause: str | None
    halt: Halt | None = None  #: of one that runs: why it does not go on

    @property
    def standing(self) -> str:
        """Return its status in a word: what halts it, where something does."""
        return str(self.halt.state) if self.halt else self.status


def every(tx: Tx, most: int) -> list[Ran]:
    """Return the pipelines that ever ran, those that ran last first."""
    newest = func.max(runs.c.started)
    query = (
        select(runs.c.pipeline, func.count().label("several"), newest.label("newest"))
        .where(runs.c.pipeline.is_not(None))
        .group_by(runs.c.pipeline)
        .order_by(newest.desc(), runs.c.pipeline)
        .limit(most)
    )
    return [Ran(pipeline=r.pipeline, runs=r.several, newest=r.newest) for r in tx.all(query)]


def newest(tx: Tx, pipeline: str, most: int) -> list[Past]:
    """Return the newest runs of a pipeline, the newest first; those deleted are left out."""
    query = select(runs).where(runs.c.pipeline == pipeline)
    rows = tx.all(query.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(most))
    gone = all_runs.hidden(tx, [row.id for row in rows])
    return [
        Past(
            run=row.id,
            name=row.name,
            status=row.status,
            started=row.started,
            ended=row.ended,
            cause=row.cause,
        )
        for row in rows
        if row.id not in gone
    ]

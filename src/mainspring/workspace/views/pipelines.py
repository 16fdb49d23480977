"""Gather what is shown of pipelines: their runs, their steps over them, and what starts them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mainspring.engine.triggers import Standing
from mainspring.experiments import by_pipeline
from mainspring.experiments.by_pipeline import Past, Ran
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Record, RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import history, wide
from mainspring.pipelines.history import StepHistory
from mainspring.workspace import crons, halts
from mainspring.workspace.crons import Listed
from mainspring.workspace.events import verbs
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views import declared

MOST_PIPELINES = 200
DRAWN_RUNS = 20  #: whose durations are drawn, and over which steps are told
SHOWN_RUNS = 50


class Starts(Record, frozen=True, kw_only=True):
    """What starts a pipeline by itself."""

    schedules: list[Listed]
    triggers: list[Standing]


class PipelineLine(Record, frozen=True, kw_only=True):
    """A pipeline in the list of all."""

    ran: Ran
    past: list[Past]  #: the newest runs, the newest first
    starts: Starts


class RunLine(Record, frozen=True, kw_only=True):
    """A run in the list of a pipeline's."""

    past: Past
    counts: dict[str, int]  #: of its steps, by state

    @property
    def reused(self) -> float | None:
        """Return the share of the steps that ended well whose result was taken over."""
        good = self.counts.get("done", 0) + self.counts.get("reused", 0)
        return self.counts.get("reused", 0) / good if good else None


class PipelineDetail(Record, frozen=True, kw_only=True):
    """A pipeline with its newest runs."""

    pipeline: str
    runs: list[RunLine]
    steps: list[StepHistory]
    over: int  #: how many runs the steps are told over
    whole: bool  #: every step of those runs was looked at
    newest: list[StepRecord]  #: the steps of the newest run, of a very wide one some
    items: Mapping[str, Mapping[str, int]]  #: by controller that is not wholly among them
    starts: Starts


def every_pipeline(ws: Workspace) -> list[PipelineLine]:
    """Return the pipelines that ever ran, those that ran last first."""

    def look(tx: Tx) -> list[tuple[Ran, list[Past]]]:
        found = by_pipeline.every(tx, MOST_PIPELINES)
        return [(one, _newest(ws, tx, one.pipeline, DRAWN_RUNS)) for one in found]

    known = _starts(ws)
    none = Starts(schedules=[], triggers=[])
    return [
        PipelineLine(ran=ran, past=past, starts=known.get(ran.pipeline, none))
        for ran, past in caught_up(ws).read(Permission.READ, look)
    ]


def pipeline_detail(ws: Workspace, pipeline: str) -> PipelineDetail:
    """Return one pipeline with its newest runs, and how its steps did over them.

    Raises:
        NotFoundError: if it never ran, and the project declares none of that name.
    """

    def look(tx: Tx) -> PipelineDetail:
        past = _newest(ws, tx, pipeline, SHOWN_RUNS)
        if not past and declared.of_target(ws, pipeline) is None:
            raise NotFoundError(
                f"No run of a pipeline {pipeline[:120]!r} is kept.",
                field="pipeline",
                hint="A pipeline is written module:name, such as project:train.",
            )
        told = [one.run for one in past[:DRAWN_RUNS]]
        several = wide.shown(tx, past[0].run) if past else None
        counts = history.counts(tx, [one.run for one in past])
        steps, whole = history.of_runs(tx, told)
        return PipelineDetail(
            pipeline=pipeline,
            runs=[RunLine(past=one, counts=counts[one.run]) for one in past],
            steps=steps,
            over=len(told),
            whole=whole,
            newest=several.steps if several else [],
            items=several.items if several else {},
            starts=starts,
        )

    starts = _starts(ws).get(pipeline, Starts(schedules=[], triggers=[]))
    return caught_up(ws).read(Permission.READ, look)


def _newest(ws: Workspace, tx: Tx, pipeline: str, most: int) -> list[Past]:
    """Return the newest runs of a pipeline, with what halts those that have not ended."""
    past = by_pipeline.newest(tx, pipeline, most)
    halted = halts.of(ws, tx, [one.run for one in past if one.status == RunStatus.RUNNING])
    return [msgspec.structs.replace(one, halt=halted.get(one.run)) for one in past]


def _starts(ws: Workspace) -> dict[str, Starts]:
    """Return what starts each pipeline by itself."""
    found: dict[str, Starts] = {}

    def of(pipeline: str) -> Starts:
        return found.setdefault(pipeline, Starts(schedules=[], triggers=[]))

    for one in crons.listed(ws):
        if pipeline := one.standing.schedule.payload.get("pipeline"):
            of(pipeline).schedules.append(one)
    for each in verbs.listed(ws):
        of(each.trigger.pipeline).triggers.append(each)
    return found

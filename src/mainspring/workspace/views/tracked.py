"""Gather what is shown of one run besides its steps: where it stands, its files, its lineage."""

from __future__ import annotations

from collections.abc import Mapping

from mainspring.experiments import (
    artifacts,
    datasets,
    folding,
    groups,
    kinship,
    logged,
    metrics,
    runs,
)
from mainspring.ground.objects import Record, Run, StepRecord, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import wide
from mainspring.readiness import registry
from mainspring.scaling.serving import endpoints
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing
from mainspring.workspace.tracking.catching_up import caught_up

MOST_CHILDREN = 100
MOST_FILES = 2000
MOST_NOTES = 50


class Served(Record, frozen=True, kw_only=True):
    """An endpoint that serves a version, and as what."""

    endpoint: str
    version: str  #: model/number
    alias: str  #: champion or challenger


class LoggedLink(Record, frozen=True, kw_only=True):
    """A logged model, and what it is to the run: input or output."""

    model: logged.LoggedModel
    role: str


class RunBoard(Record, frozen=True, kw_only=True):
    """Everything that the page of one run shows."""

    run: Run
    experiment: groups.Experiment | None
    latest: list[metrics.Point]  #: of each metric, by key
    steps: list[StepRecord]  #: of a very wide run some
    items: Mapping[str, Mapping[str, int]]  #: by controller that is not wholly among them
    left_out: int  #: steps that are not among them
    versions: list[Version]
    served: list[Served]
    parent: Run | None
    children: list[Run]  #: the newest
    child_count: int
    deleted: float | None  #: since when
    files: list[artifacts.Artifact]  #: by path, at most MOST_FILES
    file_count: int
    notes: list[str]  #: what of it the store had to refuse, in words
    inputs: list[datasets.Use]  #: what it read
    models: list[LoggedLink]  #: the models that it logged or read


def run_board(ws: Workspace, run: str) -> RunBoard:
    """Return one run with what belongs to it, in one view of the data.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> RunBoard:
        found = halts.seen(ws, tx, [runs.get(tx, run)])[0]
        versions, several = registry.of_run(tx, run), wide.shown(tx, run)
        parents = [] if found.parent is None else runs.several(tx, [found.parent])
        children = kinship.children(tx, run, MOST_CHILDREN)
        return RunBoard(
            run=found,
            experiment=groups.by_keys(tx, [found.experiment]).get(found.experiment),
            latest=metrics.latest_points(tx, [run])[run],
            steps=several.steps,
            items=several.items,
            left_out=several.left_out,
            versions=versions,
            served=_served(tx, versions),
            parent=parents[0] if parents else None,
            children=halts.seen(ws, tx, runs.several(tx, children)),
            child_count=kinship.child_counts(tx, [run]).get(run, 0),
            deleted=kinship.deleted_since(tx, run),
            files=artifacts.every(tx, run, MOST_FILES),
            file_count=artifacts.count(tx, run),
            notes=folding.notes_of(tx, run)[:MOST_NOTES],
            inputs=datasets.of_runs(tx, [run])[run],
            models=_models(tx, run),
        )

    return caught_up(ws).read(Permission.READ, work)


def _models(tx: Tx, run: str) -> list[LoggedLink]:
    links = {link.model: str(link.role) for link in logged.of_runs(tx, [run])[run]}
    return [LoggedLink(model=one, role=links[one.id]) for one in logged.several(tx, list(links))]


def _served(tx: Tx, versions: list[Version]) -> list[Served]:
    """Return where the versions are served just now."""
    found: list[Served] = []
    numbers = {(one.model, one.number) for one in versions}
    for endpoint in endpoints.list_endpoints(tx) if numbers else []:
        now = routing(tx, endpoint.name)
        for alias, number in (("champion", now.champion), ("challenger", now.challenger)):
            if (endpoint.model, number) in numbers:
                ref = f"{endpoint.model}/{number}"
                found.append(Served(endpoint=endpoint.name, version=ref, alias=alias))
    return found


def artifact_of(ws: Workspace, run: str, path: str) -> artifacts.Artifact:
    """Return one file of a run.

    Raises:
        NotFoundError: if there is none at that path.
    """
    return caught_up(ws).read(Permission.READ, lambda tx: artifacts.get(tx, run, path))

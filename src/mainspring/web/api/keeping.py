"""What is kept: experiments deleted and restored, retention, and the space reclaimed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.experiments.groups import Experiment
from mainspring.experiments.retention import Retention
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, Reason, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

#: An experiment's name may be any text, so it stands in the body and not in the path.
AnyName = Annotated[str, Meta(min_length=1, max_length=500, description="The experiment's name.")]
Seconds = Annotated[float, Meta(gt=0, le=1e10, description="Seconds.", examples=[7776000])]


class ListExperiments(Request, frozen=True, kw_only=True):
    """Which experiments to list."""

    deleted: bool = False  #: only those that are deleted, which can be restored


class DeleteExperiment(Request, frozen=True, kw_only=True):
    """Which experiment, and why."""

    name: AnyName
    reason: Reason | None = None


class RenameExperiment(Request, frozen=True, kw_only=True):
    """Which experiment, and what it shall be called."""

    name: AnyName
    to: Annotated[str, Meta(min_length=1, max_length=500, description="The new name.")]


class RestoreExperiment(Request, frozen=True, kw_only=True):
    """Which experiment."""

    name: AnyName


class SetRetention(Request, frozen=True, kw_only=True):
    """How long the runs of an experiment are kept."""

    experiment: AnyName
    keep_s: Seconds
    keep_best: Annotated[str, Meta(max_length=300, examples=["10:metrics.auc"])] | None = (
        None  #: COUNT:metrics.KEY, or COUNT:metrics.KEY:lowest
    )


class OfExperiment(Request, frozen=True, kw_only=True):
    """About one experiment."""

    experiment: AnyName


@operation("experiments.list", "GET", "/api/v1/experiments", Permission.READ)
def list_experiments(ws: Workspace, request: ListExperiments) -> list[Experiment]:
    """List experiments, newest first."""
    from mainspring.experiments import groups

    found = ws.read(Permission.READ, groups.listed)
    return [one for one in found if (one.deleted is not None) == request.deleted]


@operation("experiments.delete", "POST", "/api/v1/experiments/delete", Permission.LOG)
def delete_experiment(ws: Workspace, request: DeleteExperiment) -> Experiment:
    """Delete an experiment with its runs, so that it can be restored."""
    from mainspring.workspace.keeping import deleting

    return deleting.delete_experiment(ws, request.name, request.reason or "")


@operation("experiments.rename", "POST", "/api/v1/experiments/rename", Permission.LOG)
def rename_experiment(ws: Workspace, request: RenameExperiment) -> Experiment:
    """Give an experiment another name; its runs follow."""
    from mainspring.workspace.keeping import deleting

    return deleting.rename_experiment(ws, request.name, request.to)


@operation("experiments.restore", "POST", "/api/v1/experiments/restore", Permission.LOG)
def restore_experiment(ws: Workspace, request: RestoreExperiment) -> Experiment:
    """Restore a deleted experiment with the runs that were deleted with it."""
    from mainspring.workspace.keeping import deleting

    return deleting.restore_experiment(ws, request.name)


@operation(
    "retention.set",
    "POST",
    "/api/v1/retention",
    Permission.ADMIN,
    example={"experiment": "flights", "keep_s": 7776000, "keep_best": "10:metrics.auc"},
)
def set_retention(ws: Workspace, request: SetRetention) -> Retention:
    """Say how long the runs of an experiment are kept, and how many of the best for ever.

    Runs whose time is over are deleted once a day, so that they can be restored for a while.
    Those that a version came from, and those tagged mainspring.keep, stay.
    """
    from mainspring.experiments import retention

    best = retention.read_best(request.keep_best) if request.keep_best else None
    return ws.write(
        Permission.ADMIN,
        lambda tx: retention.put(tx, request.experiment, request.keep_s, best, ws.clock.now()),
    )


@operation("retention.list", "GET", "/api/v1/retention", Permission.READ)
def list_retention(ws: Workspace) -> list[Retention]:
    """List what is set; runs of other experiments are kept for ever."""
    from mainspring.experiments import retention

    return ws.read(Permission.READ, retention.listed)


@operation("retention.remove", "POST", "/api/v1/retention/remove", Permission.ADMIN)
def remove_retention(ws: Workspace, request: OfExperiment) -> Done:
    """Keep the runs of an experiment for ever again."""
    from mainspring.experiments import retention

    ws.write(Permission.ADMIN, lambda tx: retention.remove(tx, request.experiment))
    return Done()

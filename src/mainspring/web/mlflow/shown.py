"""Runs as MLflow writes them, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.experiments import datasets, groups, logged, metrics, runs
from mainspring.experiments.datasets import Use
from mainspring.experiments.logged import Link, Role
from mainspring.experiments.reserved import USER
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.experiments import artifact_root
from mainspring.web.mlflow.messages import Fields, metric_value, milliseconds, pairs, trimmed

NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
NOBODY = "unknown"  #: what clients send when they do not know who they are
PARENT_TAG = "mlflow.parentRunId"
CONTEXT_TAG = "mlflow.data.context"
#: Here a run that waits is running; that a client called it SCHEDULED is kept in this tag.
SCHEDULED_TAG = "mainspring.scheduled"
STATUSES = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.RUNNING,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CANCELLED,
}
SHOWN = {
    RunStatus.RUNNING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.CANCELLED: "KILLED",
    RunStatus.CRASHED: "FAILED",
}


def run_id(asked: Fields) -> str:
    """Return the id of the run that a request is about."""
    return asked.text_or("run_id") or asked.text_or("run_uuid") or asked.text("run_id")


def found(tx: Tx, run: str) -> Run:
    """Return a run, or refuse in MLflow's words."""
    several = runs.several(tx, [run])
    if not several:
        raise NotFoundError(f"Run with id={run[:100]} not found")
    return several[0]


def active(tx: Tx, run: str) -> Run:
    """Return a run that may be written to.

    Raises:
        NotFoundError: if there is none by that id.
        ConflictError: if it is deleted.
    """
    one = found(tx, run)
    if runs.hidden(tx, [run]):
        raise ConflictError(
            f"The run {run} must be in the 'active' state. Current state is deleted.",
            field="run_id",
        )
    return one


def writable(tx: Tx, run: str) -> runs.Brief:
    """Return as :func:`active` does, at the cost of one short query.

    Raises:
        NotFoundError: if there is none by that id.
        ConflictError: if it is deleted.
    """
    one = runs.brief(tx, run)
    if one is None or one.hidden:
        active(tx, run)  # says what is wrong
        raise NotFoundError(f"Run with id={run[:100]} not found")
    return one


def artifact_uri(number: int, run: str) -> str:
    """Return where a run's artifacts are, in MLflow's terms."""
    return f"{artifact_root(number)}/{run}/artifacts"


def message(tx: Tx, run: str) -> dict[str, Any]:
    """Return one run."""
    found(tx, run)
    return messages(tx, [run])[0]


def messages(tx: Tx, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return several runs, in few queries however many."""
    several = runs.several(tx, ids)
    gone = runs.hidden(tx, ids)
    of = groups.by_keys(tx, sorted({one.experiment for one in several}))
    uses, links = datasets.of_runs(tx, ids), logged.of_runs(tx, ids)
    latest: dict[str, list[metrics.Point]] = {}
    for start in range(0, len(ids), 500):  # a database takes a bounded number of variables
        latest |= metrics.latest_points(tx, ids[start : start + 500])
    return [
        {
            "info": _info(one, of[one.experiment].id, deleted=one.id in gone),
            "data": _data(one, latest[one.id]),
            "inputs": _inputs(uses[one.id], links[one.id]),
            "outputs": _outputs(links[one.id]),
        }
        for one in several
    ]


def metric_message(point: metrics.Point) -> dict[str, Any]:
    """Return one point of a metric."""
    return {
        "key": point.key,
        "value": metric_value(point.value),
        "timestamp": milliseconds(point.time),
        "step": point.step,
    }


def status_of(one: Run) -> str:
    """Return what MLflow calls a run's status."""
    waits = one.status is RunStatus.RUNNING and SCHEDULED_TAG in one.tags
    return "SCHEDULED" if waits else SHOWN[one.status]


def _info(one: Run, number: int, *, deleted: bool) -> dict[str, Any]:
    return trimmed(
        {
            "run_uuid": one.id,
            "run_id": one.id,
            "run_name": one.name,
            "experiment_id": str(number),
            "user_id": one.tags.get(USER_TAG) or one.tags.get(USER) or NOBODY,
            "status": status_of(one),
            "start_time": milliseconds(one.started),
            "end_time": None if one.ended is None else milliseconds(one.ended),
            "artifact_uri": artifact_uri(number, one.id),
            "lifecycle_stage": "deleted" if deleted else "active",
        }
    )


def _data(one: Run, points: Sequence[metrics.Point]) -> dict[str, Any]:
    tags = {**one.tags, NAME_TAG: one.name}
    tags.pop(SCHEDULED_TAG, None)
    if one.parent is not None:
        tags.setdefault(PARENT_TAG, one.parent)
    return trimmed(
        {
            "metrics": [metric_message(point) for point in points],
            "params": pairs(one.params),
            "tags": pairs(tags),
        }
    )


def _inputs(uses: Sequence[Use], links: Sequence[Link]) -> dict[str, Any]:
    models = [{"model_id": one.model} for one in links if one.role is Role.INPUT]
    return trimmed({"dataset_inputs": [_use(one) for one in uses], "model_inputs": models})


def _outputs(links: Sequence[Link]) -> dict[str, Any]:
    made = [{"model_id": one.model, "step": one.step} for one in links if one.role is Role.OUTPUT]
    return trimmed({"model_outputs": made})


def _use(one: Use) -> dict[str, Any]:
    tags = {**one.tags, CONTEXT_TAG: one.context} if one.context else one.tags
    about = one.dataset
    dataset = {
        "name": about.name,
        "digest": about.digest,
        "source_type": about.source_type,
        "source": about.source,
        "schema": about.schema or None,
        "profile": about.profile or None,
    }
    return trimmed({"tags": pairs(tags), "dataset": trimmed(dataset)})

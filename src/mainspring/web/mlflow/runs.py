"""Runs as MLflow sees them: create, describe, find, delete."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from mainspring.experiments import finding, groups, metrics, runs
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.experiments import VIEWS, artifact_root, id_of, known, tags_of
from mainspring.web.mlflow.filters import Term, parse, parse_order, refused
from mainspring.web.mlflow.messages import (
    Fields,
    metric_value,
    milliseconds,
    page_of,
    pairs,
    trimmed,
)
from mainspring.workspace.opening import Workspace

NAME_TAG = "mlflow.runName"
_USER_TAG = "mlflow.user"
_PARENT_TAG = "mlflow.parentRunId"
_STATUSES = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.RUNNING,
    "FINISHED": RunStatus.FINISHED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CANCELLED,
}
_SHOWN = {ours: theirs for theirs, ours in _STATUSES.items() if theirs != "SCHEDULED"}
_SHOWN[RunStatus.CRASHED] = "FAILED"
_ATTRIBUTES = {
    "run_id": "id",
    "run_name": "name",
    "run name": "name",
    "Run name": "name",
    "status": "status",
    "start_time": "started",
    "created": "started",
    "Created": "started",
    "end_time": "ended",
}
_ADJECTIVES = ("bold", "calm", "clear", "deft", "keen", "mild", "neat", "quick", "steady", "warm")
_NOUNS = ("brook", "cliff", "dune", "field", "grove", "heath", "lake", "peak", "reed", "stone")


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a run in an experiment."""
    number = id_of(asked.text_or("experiment_id", default="0"))
    tags = tags_of(asked)
    name = asked.text_or("run_name") or tags.get(NAME_TAG) or _random_name()
    tags[NAME_TAG] = name
    if user := asked.text_or("user_id"):
        tags.setdefault(_USER_TAG, user)
    started = asked.seconds("start_time", ws.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        groups.ensure_default(tx, ws.clock.now())
        group = groups.check_active(known(tx, number))
        run = Run(
            id=new_id("run"),
            experiment=group.key,
            name=name,
            status=RunStatus.RUNNING,
            started=started,
            tags=tags,
        )
        runs.create(tx, run)
        return {"run": message(tx, run.id)}

    return ws.write(Permission.LOG, work)


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one run, deleted or not."""
    run = run_id(asked)
    return ws.read(Permission.READ, lambda tx: {"run": message(tx, run)})


def update(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set the status, end or name of a run."""
    run = run_id(asked)
    status = asked.choice("status", list(_STATUSES))
    name = asked.text_or("run_name")
    ended = asked.seconds("end_time", ws.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        active(tx, run)
        runs.restate(tx, run, status=_STATUSES.get(status), ended=ended, name=name or None)
        if name:
            runs.set_tags(tx, run, {NAME_TAG: name})
        return {"run_info": message(tx, run)["info"]}

    return ws.write(Permission.LOG, work)


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return runs by what was logged for them."""
    limit, offset = asked.limit(1000, 50_000), asked.offset()
    view = asked.choice("run_view_type", VIEWS, "ACTIVE_ONLY")
    numbers = [id_of(text) for text in asked.texts("experiment_ids")]
    conditions = [_condition(term) for term in parse(asked.text_or("filter"))]
    orders = [_order(text) for text in asked.texts("order_by")]

    def work(tx: Tx) -> dict[str, Any]:
        wanted = set(numbers)
        ids = finding.find(
            tx,
            experiments=[one.key for one in groups.listed(tx) if one.id in wanted],
            deleted=None if view == "ALL" else view == "DELETED_ONLY",
            conditions=conditions,
            orders=orders,
            limit=limit + 1,
            offset=offset,
        )
        found = page_of("runs", ids, offset, limit)
        if ids:
            found["runs"] = _messages(tx, found["runs"])
        return found

    return ws.read(Permission.READ, work)


def delete(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Hide a run."""
    run = run_id(asked)

    def work(tx: Tx) -> None:
        found(tx, run)
        runs.hide(tx, run, ws.clock.now())

    ws.write(Permission.LOG, work)
    return {}


def restore(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Show a run again."""
    run = run_id(asked)

    def work(tx: Tx) -> None:
        found(tx, run)
        runs.show(tx, run)

    ws.write(Permission.LOG, work)
    return {}


# ---------------------------------------------------------------- for the other subjects


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


def message(tx: Tx, run: str) -> dict[str, Any]:
    """Return a run as MLflow writes it."""
    found(tx, run)
    return _messages(tx, [run])[0]


def artifact_uri(number: int, run: str) -> str:
    """Return where a run's artifacts are, in MLflow's terms."""
    return f"{artifact_root(number)}/{run}/artifacts"


# ---------------------------------------------------------------- parts


def _messages(tx: Tx, ids: Sequence[str]) -> list[dict[str, Any]]:
    several = runs.several(tx, ids)
    gone = runs.hidden(tx, ids)
    of = groups.by_keys(tx, sorted({one.experiment for one in several}))
    latest: dict[str, list[metrics.Point]] = {}
    for start in range(0, len(ids), 500):  # a database takes a bounded number of variables
        latest |= metrics.latest_points(tx, ids[start : start + 500])
    return [
        {
            "info": _info(one, of[one.experiment].id, deleted=one.id in gone),
            "data": _data(one, latest[one.id]),
            "inputs": {},
            "outputs": {},
        }
        for one in several
    ]


def _info(one: Run, number: int, *, deleted: bool) -> dict[str, Any]:
    return trimmed(
        {
            "run_uuid": one.id,
            "run_id": one.id,
            "run_name": one.name,
            "experiment_id": str(number),
            "user_id": one.tags.get(_USER_TAG, ""),
            "status": _SHOWN[one.status],
            "start_time": milliseconds(one.started),
            "end_time": None if one.ended is None else milliseconds(one.ended),
            "artifact_uri": artifact_uri(number, one.id),
            "lifecycle_stage": "deleted" if deleted else "active",
        }
    )


def _data(one: Run, points: Sequence[metrics.Point]) -> dict[str, Any]:
    tags = {**one.tags, NAME_TAG: one.name}
    if one.parent is not None:
        tags.setdefault(_PARENT_TAG, one.parent)
    return trimmed(
        {
            "metrics": [metric_message(point) for point in points],
            "params": pairs(one.params),
            "tags": pairs(tags),
        }
    )


def metric_message(point: metrics.Point) -> dict[str, Any]:
    """Return one point of a metric as MLflow writes it."""
    return {
        "key": point.key,
        "value": metric_value(point.value),
        "timestamp": milliseconds(point.time),
        "step": point.step,
    }


def _condition(term: Term) -> finding.Condition:
    if term.entity in ("param", "tag") and isinstance(term.value, int | float):
        raise refused(f"{term.key} is a {term.entity}, and is compared with a quoted string")
    if term.entity == "metric":
        return finding.Condition("metric", term.key, term.op, term.value)
    if term.entity == "param":
        return finding.Condition("param", term.key, term.op, term.value)
    if term.entity == "tag":
        return finding.Condition("tag", term.key, term.op, term.value)
    if term.entity == "attribute" and term.key == "user_id":
        return finding.Condition("tag", _USER_TAG, term.op, term.value)
    key = _attribute(term.entity, term.key)
    value = term.value
    if key == "status":
        value = _status(value)
    if key in ("started", "ended") and isinstance(value, int | float):
        value = value / 1000
    return finding.Condition("run", key, term.op, value)


def _status(value: str | float | list[str] | None) -> str | float | list[str] | None:
    if isinstance(value, str):
        return str(_STATUSES.get(value.upper(), value))
    if isinstance(value, list):
        return [str(_STATUSES.get(one.upper(), one)) for one in value]
    return value


def _order(text: str) -> finding.Order:
    order = parse_order(text)
    if order.entity in ("metric", "param", "tag"):
        kind: finding.Kind = "metric" if order.entity == "metric" else "param"
        kind = "tag" if order.entity == "tag" else kind
        # MLflow orders params as texts, whatever they read as.
        return finding.Order(kind, order.key, order.ascending, textual=True)
    if order.entity == "attribute" and order.key == "user_id":
        return finding.Order("tag", _USER_TAG, order.ascending, textual=True)
    return finding.Order("run", _attribute(order.entity, order.key), order.ascending)


def _attribute(entity: str, key: str) -> str:
    if entity != "attribute":
        raise refused(f"Runs have no {entity}s here")
    if key not in _ATTRIBUTES:
        raise BadInputError(
            f"Invalid attribute key '{key[:80]}' specified. Valid keys are"
            f" {sorted({*_ATTRIBUTES, 'user_id'})}",
            field="filter",
        )
    return _ATTRIBUTES[key]


def _random_name() -> str:
    parts = (secrets.choice(_ADJECTIVES), secrets.choice(_NOUNS), str(secrets.randbelow(1000)))
    return "-".join(parts)

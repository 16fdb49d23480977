"""Runs as MLflow sees them: create, describe, find, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.experiments import finding, groups, runs
from mainspring.experiments.exact import plain_name
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.experiments import VIEWS, id_of, known, tags_of
from mainspring.web.mlflow.filters import Term, parse, parse_order, refused
from mainspring.web.mlflow.messages import Fields, page_of
from mainspring.web.mlflow.names import random_name
from mainspring.web.mlflow.shown import (
    NAME_TAG,
    NOBODY,
    SCHEDULED_TAG,
    SHOWN,
    STATUSES,
    USER_TAG,
    active,
    found,
    message,
    messages,
    run_id,
)
from mainspring.workspace.opening import Workspace

_ATTRIBUTES = {
    "run_id": "id",
    "run_name": "name",
    "run name": "name",
    "Run name": "name",
    "Run Name": "name",
    "status": "status",
    "start_time": "started",
    "created": "started",
    "Created": "started",
    "end_time": "ended",
}


_DATASET_KEYS = frozenset({"name", "digest", "context"})


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a run in an experiment."""
    number = id_of(asked.text_or("experiment_id", default="0"))
    tags = tags_of(asked)
    name, tagged = asked.text_or("run_name"), tags.get(NAME_TAG)
    if name and tagged and name != tagged:
        raise BadInputError(
            f"Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different"
            f" values (run_name='{name[:100]}', mlflow.runName='{tagged[:100]}').",
            field="run_name",
        )
    name = plain_name(name or tagged or random_name(), "run_name")
    tags[NAME_TAG] = name
    user = asked.text_or("user_id", default=NOBODY)
    if user != NOBODY:
        tags.setdefault(USER_TAG, user)
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
    status = asked.choice("status", list(STATUSES))
    name = asked.text_or("run_name")
    name = plain_name(name, "run_name") if name else ""
    ended = asked.seconds("end_time", ws.clock.now())

    def work(tx: Tx) -> dict[str, Any]:
        before = active(tx, run)
        runs.restate(tx, run, status=STATUSES.get(status), ended=ended, name=name or None)
        if name:
            runs.set_tags(tx, run, {NAME_TAG: name})
        if status == "SCHEDULED":
            runs.set_tags(tx, run, {SCHEDULED_TAG: "true"})
        elif status and SCHEDULED_TAG in before.tags:
            runs.set_tags(tx, run, {SCHEDULED_TAG: None})
        return {"run_info": message(tx, run)["info"]}

    return ws.write(Permission.LOG, work)


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return runs by what was logged for them."""
    limit, offset = asked.limit(1000, 50_000), asked.offset()
    view = asked.choice("run_view_type", VIEWS, "ACTIVE_ONLY")
    numbers = [id_of(text) for text in asked.texts("experiment_ids")]
    conditions = _conditions(parse(asked.text_or("filter")))
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
            found["runs"] = messages(tx, found["runs"])
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


# ---------------------------------------------------------------- parts


def _conditions(terms: Sequence[Term]) -> list[finding.Condition]:
    return [one for term in terms for one in _of_term(term)]


def _of_term(term: Term) -> list[finding.Condition]:
    if term.entity in ("metric", "param", "tag", "dataset"):
        _check_key(term)
        kind: finding.Kind = term.entity  # type: ignore[assignment]
        return [finding.Condition(kind, term.key, term.op, term.value)]
    if term.key == "user_id":
        return [finding.Condition("tag", USER_TAG, term.op, term.value)]
    key = _attribute(term.key)
    if key == "status":
        return _of_status(term)
    value = term.value
    if key in ("started", "ended") and isinstance(value, int | float):
        value = value / 1000
    return [finding.Condition("run", key, term.op, value)]


def _check_key(term: Term) -> None:
    if term.entity == "dataset" and term.key not in _DATASET_KEYS:
        raise BadInputError(
            f"Invalid dataset key '{term.key[:80]}' specified. Valid keys are"
            f" '{sorted(_DATASET_KEYS)}'",
            field="filter",
        )
    if term.entity in ("param", "tag") and isinstance(term.value, int | float):
        raise refused(f"{term.key} is a {term.entity}, and is compared with a quoted string")
    if term.entity in ("metric", "dataset") and term.op in ("null", "not null"):
        raise BadInputError(
            "IS NULL / IS NOT NULL is only supported for tags and params, not for"
            f" '{term.entity}' '{term.key[:80]}'",
            field="filter",
        )


def _of_status(term: Term) -> list[finding.Condition]:
    """Return the conditions of a comparison with MLflow's names of statuses."""
    ours = [str(status) for status, name in SHOWN.items() if term.holds(name)]
    # Of no status at all nothing holds.
    found = [finding.Condition("run", "status", "in", ours or ["none"])]
    running, waiting = term.holds("RUNNING"), term.holds("SCHEDULED")
    if running != waiting and len(ours) == running:  # one of the two alone is asked for
        found = [finding.Condition("run", "status", "in", [str(RunStatus.RUNNING)])]
        found.append(finding.Condition("tag", SCHEDULED_TAG, "not null" if waiting else "null"))
    return found


def _order(text: str) -> finding.Order:
    order = parse_order(text)
    if order.entity in ("metric", "param", "tag"):
        kind: finding.Kind = order.entity  # type: ignore[assignment]
        # MLflow orders params as texts, whatever they read as.
        return finding.Order(kind, order.key, order.ascending, textual=True)
    if order.entity == "dataset":
        raise BadInputError("Runs are not ordered by their datasets.", field="order_by")
    if order.key == "user_id":
        return finding.Order("tag", USER_TAG, order.ascending, textual=True)
    return finding.Order("run", _attribute(order.key), order.ascending)


def _attribute(key: str) -> str:
    if key not in _ATTRIBUTES:
        raise BadInputError(
            f"Invalid attribute key '{key[:80]}' specified. Valid keys are"
            f" {sorted({*_ATTRIBUTES, 'user_id'})}",
            field="filter",
        )
    return _ATTRIBUTES[key]

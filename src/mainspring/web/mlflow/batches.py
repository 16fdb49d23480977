"""Params, metrics and tags of runs: one at a time, and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.experiments import logged, metrics, runs
from mainspring.experiments.exact import plain_name
from mainspring.experiments.logged import Measured
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.messages import Fields, missing, wrong
from mainspring.web.mlflow.names import check_key
from mainspring.web.mlflow.shown import NAME_TAG, active, found, run_id, writable
from mainspring.workspace.opening import Workspace

MOST_BYTES = 1_000_000  #: of a batch
_MOST = {"metrics": 1000, "params": 100, "tags": 100}
_MOST_IN_ALL = 1000
_PARAM_LENGTH, _TAG_LENGTH = 6000, 8000


class _Batch(msgspec.Struct):
    """What one request logs."""

    points: list[metrics.Point] = []
    measured: list[Measured] = []  #: of logged models; the same values count for the run too
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


def batch(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Log many at once, all of them or none."""
    run = run_id(asked)
    several = {name: asked.several(name) for name in _MOST}
    for name, most in _MOST.items():
        _bounded(name, most, len(several[name]))
    _bounded("metrics, params, and tags", _MOST_IN_ALL, sum(map(len, several.values())))
    told = _Batch(params=_params(several["params"], within=True))
    if not all(one.given("key") and one.given("timestamp") for one in several["metrics"]):
        raise wrong("metrics", asked.raw("metrics"))
    for place, one in enumerate(several["metrics"]):
        _add_point(told, run, one, f"metrics[{place}]")
    for place, one in enumerate(several["tags"]):
        key, value = _tag(one, f"tags[{place}].")
        told.tags[key] = value
    _write(ws, run, told)
    return {}


def metric(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Log one point of a metric."""
    run, told = run_id(asked), _Batch()
    _add_point(told, run, asked, "")
    _write(ws, run, told)
    return {}


def param(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Log one param."""
    _write(ws, run_id(asked), _Batch(params=_params([asked], within=False)))
    return {}


def tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set one tag."""
    run = run_id(asked)
    key, value = _tag(asked, "")
    _write(ws, run, _Batch(tags={key: value}))
    return {}


def delete_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take one tag away."""
    run, key = run_id(asked), asked.text("key")

    def work(tx: Tx) -> None:
        if key not in active(tx, run).tags:
            raise NotFoundError(f"No tag with name: {key[:250]} in run with id {run}")
        runs.set_tags(tx, run, {key: None})

    ws.write(Permission.LOG, work)
    return {}


# ---------------------------------------------------------------- parts


def _write(ws: Workspace, run: str, told: _Batch) -> None:
    name = told.tags.get(NAME_TAG)
    if name:
        name = told.tags[NAME_TAG] = plain_name(name, NAME_TAG)

    def work(tx: Tx) -> None:
        writable(tx, run)
        known = found(tx, run).params if told.params else {}
        for key, value in told.params.items():
            if known.get(key, value) != value:
                raise ConflictError(
                    f"Changing param values is not allowed. Param with key='{key}' was already"
                    f" logged with value='{known[key]}' for run ID='{run}'. Attempted logging"
                    f" new value '{value}'.",
                    field=key,
                )
        if told.params:
            runs.set_params(tx, run, told.params)
        if told.points:
            metrics.log_once(tx, run, told.points)
        if told.measured:
            logged.measure(tx, told.measured)
        if told.tags:
            runs.set_tags(tx, run, dict(told.tags))
        if name:
            runs.restate(tx, run, name=name)

    ws.write(Permission.LOG, work)


def _add_point(to: _Batch, run: str, asked: Fields, place: str) -> None:
    inside = f"{place}." if place else ""
    key = check_key(asked.text("key"), f"{inside}name", "Metric name")
    if not asked.given("timestamp"):
        raise missing(f"{inside}timestamp")
    at = asked.seconds("timestamp", 0.0)
    if at < 0:
        raise BadInputError(
            f"Invalid value {round(at * 1000)} for parameter '{inside}timestamp' supplied: metric"
            f" '{key}'. Timestamp must be a nonnegative long (64-bit integer) ",
            field="timestamp",
        )
    point = metrics.Point(
        key=key, value=asked.number("value"), step=asked.whole("step", 0), time=at
    )
    to.points.append(point)
    model = asked.text_or("model_id")
    name, digest = asked.text_or("dataset_name"), asked.text_or("dataset_digest")
    if bool(name) != bool(digest):
        raise BadInputError(
            "Both dataset_name and dataset_digest must be provided if one is provided",
            field="dataset_digest" if name else "dataset_name",
        )
    if model:
        to.measured.append(
            Measured(
                model=model,
                run=run,
                key=key,
                value=point.value,
                step=point.step,
                time=at,
                dataset_name=name or None,
                dataset_digest=digest or None,
            )
        )


def _params(several: Sequence[Fields], *, within: bool) -> dict[str, str]:
    params: dict[str, str] = {}
    twice: list[str] = []
    for place, one in enumerate(several):
        inside = f"params[{place}]." if within else ""
        key = check_key(one.text("key"), f"{inside}key", "Param key")
        value = one.text_or("value")
        _short("Param value", value, _PARAM_LENGTH)
        if key in params:
            twice.append(key)
        params[key] = value
    if twice:
        raise BadInputError(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the"
            " request contains only one param value per param key.",
            field="params",
        )
    return params


def _tag(asked: Fields, inside: str) -> tuple[str, str]:
    key = check_key(asked.text("key"), f"{inside}key", f"{inside}key")
    value = asked.text_or("value")
    _short(f"{inside}value", value, _TAG_LENGTH)
    return key, value


def _short(what: str, value: str, most: int) -> None:
    if len(value) > most:
        raise BadInputError(
            f"'{what}' exceeds the maximum length of {most} characters", field="value"
        )


def _bounded(what: str, most: int, count: int) -> None:
    if count > most:
        raise BadInputError(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}."
            f" Please split up {what} across multiple requests and try again.",
            field=what.partition(",")[0],
        )

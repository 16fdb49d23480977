"""Params, metrics and tags of runs: one at a time, and in batches."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

from mainspring.experiments import metrics, runs
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError, TooLargeError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.messages import Fields, token
from mainspring.web.mlflow.runs import NAME_TAG, active, found, metric_message, run_id
from mainspring.workspace.opening import Workspace

_KEY = re.compile(r"[/\w.\- :]{1,250}")
_MOST = {"metrics": 1000, "params": 100, "tags": 100}
_MOST_IN_ALL = 1000
_PARAM_LENGTH = 6000


def batch(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Log many at once, all of them or none."""
    run = run_id(asked)
    several = {name: asked.several(name) for name in _MOST}
    for name, most in _MOST.items():
        if len(several[name]) > most:
            raise BadInputError(
                f"A batch logging request can contain at most {most} {name}. Got"
                f" {len(several[name])} {name}. Please split up {name} across multiple requests"
                " and try again.",
                field=name,
            )
    if sum(map(len, several.values())) > _MOST_IN_ALL:
        raise BadInputError(
            f"A batch logging request can contain at most {_MOST_IN_ALL} entities in all."
        )
    points = [_point(one, ws.clock.now()) for one in several["metrics"]]
    params = _params(several["params"])
    tags = {_key(one): one.text_or("value") for one in several["tags"]}
    _write(ws, run, points, params, tags)
    return {}


def metric(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Log one point of a metric."""
    _write(ws, run_id(asked), [_point(asked, ws.clock.now())], {}, {})
    return {}


def param(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Log one param."""
    _write(ws, run_id(asked), [], _params([asked]), {})
    return {}


def tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set one tag."""
    _write(ws, run_id(asked), [], {}, {_key(asked): asked.text_or("value")})
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


def history(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the points of one metric, in the order in which they were logged."""
    run, key = run_id(asked), asked.text("metric_key")
    limit, after = asked.limit(25_000, 25_000), asked.offset()

    def work(tx: Tx) -> dict[str, Any]:
        found(tx, run)
        points, more = metrics.history(tx, run, key, after=after, limit=limit)
        answer: dict[str, Any] = {}
        if points:
            answer["metrics"] = [metric_message(one) for one in points]
        if more is not None:  # here the token carries the number of the last point
            answer["next_page_token"] = token(more)
        return answer

    return ws.read(Permission.READ, work)


# ---------------------------------------------------------------- parts


def _write(
    ws: Workspace,
    run: str,
    points: Sequence[metrics.Point],
    params: dict[str, str],
    tags: dict[str, str],
) -> None:
    def work(tx: Tx) -> None:
        known = active(tx, run).params
        for key, value in params.items():
            if known.get(key, value) != value:
                raise ConflictError(
                    f"Changing param values is not allowed. Param with key='{key}' was already"
                    f" logged with value='{known[key]}' for run ID='{run}'. Attempted logging"
                    f" new value '{value}'.",
                    field=key,
                )
        runs.set_params(tx, run, params)
        metrics.log_once(tx, run, points)
        runs.set_tags(tx, run, dict(tags))
        if tags.get(NAME_TAG):
            runs.restate(tx, run, name=tags[NAME_TAG])

    ws.write(Permission.LOG, work)


def _point(asked: Fields, now: float) -> metrics.Point:
    return metrics.Point(
        key=_key(asked),
        value=asked.number("value"),
        step=asked.whole("step", 0),
        time=asked.seconds("timestamp", now),
    )


def _params(several: Sequence[Fields]) -> dict[str, str]:
    params: dict[str, str] = {}
    twice: list[str] = []
    for one in several:
        key, value = _key(one), one.text_or("value")
        if len(value) > _PARAM_LENGTH:
            raise TooLargeError(
                f"Param value of {key} exceeds the maximum length of {_PARAM_LENGTH} characters.",
                field="value",
            )
        if key in params:
            twice.append(key)
        params[key] = value
    if twice:
        raise BadInputError(
            f"Duplicate parameter keys have been submitted: {sorted(twice)}. Please ensure the"
            " request contains only one param value per param key.",
            field="params",
        )
    return params


def _key(asked: Fields) -> str:
    key = asked.text("key")
    inside = posixpath.normpath(key) == key and key not in (".", "..")
    if not _KEY.fullmatch(key) or not inside or key.startswith(("../", "/")):
        raise BadInputError(
            f"Invalid value {key[:100]!r} for parameter 'key' supplied: Names may only contain"
            " alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colons(:)"
            " and slashes (/), and are paths in their plainest form of at most 250 characters.",
            field="key",
        )
    return key

"""The points of metrics: of one run page by page, and of several as MLflow's pages draw them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mainspring.experiments import metrics
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.messages import Fields, missing, token
from mainspring.web.mlflow.shown import found, metric_message, run_id
from mainspring.workspace.opening import Workspace

_MOST = 25_000  #: points of one answer
_MOST_RUNS = 100
_DRAWN = 320  #: points of one run in a drawing, unless another number is asked for
_MOST_DRAWN = 2500
_PAGE = 100_000


def history(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the points of one metric, in the order in which they were logged."""
    run, key = run_id(asked), asked.text("metric_key")
    limit, after = asked.limit(_MOST, _MOST), asked.offset()

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


def bulk(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the points of one metric of several runs, by run and then by time."""
    runs = asked.texts("run_id")
    if not runs:
        raise BadInputError(
            "GetMetricHistoryBulk request must specify at least one run_id.", field="run_id"
        )
    if len(runs) > _MOST_RUNS:
        raise BadInputError(
            f"GetMetricHistoryBulk request cannot specify more than {_MOST_RUNS} run_ids."
            f" Received {len(runs)} run_ids.",
            field="run_id",
        )
    key = asked.text_or("metric_key")
    if not key:
        raise BadInputError(
            "GetMetricHistoryBulk request must specify a metric_key.", field="metric_key"
        )
    limit = min(asked.whole("max_results", _MOST), _MOST)

    def work(tx: Tx) -> dict[str, Any]:
        several: list[dict[str, Any]] = []
        for run in sorted(runs):
            found(tx, run)
            if len(several) < limit:
                points, _ = metrics.history(tx, run, key, limit=_MOST)
                several += [{**metric_message(one), "run_id": run} for one in _in_time(points)]
        return {"metrics": several[:limit]}

    return ws.read(Permission.READ, work)


def interval(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return points of one metric of several runs, few enough to be drawn, evenly chosen."""
    runs = asked.texts("run_ids")
    if not runs:
        raise missing("run_ids")
    if len(runs) > _MOST_RUNS:
        raise BadInputError(
            f"GetMetricHistoryBulkInterval request must specify at most {_MOST_RUNS} run_ids."
            f" Received {len(runs)} run_ids.",
            field="run_ids",
        )
    key, most = asked.text("metric_key"), asked.whole("max_results", _DRAWN)
    if not 1 <= most <= _MOST_DRAWN:
        raise BadInputError(
            f"max_results must be between 1 and {_MOST_DRAWN}.", field="max_results"
        )
    first, last = _steps(asked)

    def work(tx: Tx) -> dict[str, Any]:
        several: list[dict[str, Any]] = []
        for run in sorted(runs):
            found(tx, run)
            points = sorted(
                (one for one in _all(tx, run, key) if first <= one.step <= last),
                key=lambda one: (one.step, *_moment(one)),
            )
            chosen = [points[place] for place in _spread(len(points), most)]
            several += [{**metric_message(one), "run_id": run} for one in chosen]
        return {"metrics": several} if several else {}

    return ws.read(Permission.READ, work)


def _steps(asked: Fields) -> tuple[int, int]:
    if asked.given("start_step") != asked.given("end_step"):
        raise BadInputError(
            "If either start step or end step are specified, both must be specified.",
            field="end_step" if asked.given("start_step") else "start_step",
        )
    first, last = asked.whole("start_step", -(2**63)), asked.whole("end_step", 2**63 - 1)
    if first > last:
        raise BadInputError(
            f"end_step must be greater than start_step. Found start_step={first} and"
            f" end_step={last}.",
            field="end_step",
        )
    return first, last


def _all(tx: Tx, run: str, key: str) -> list[metrics.Point]:
    several, after = metrics.history(tx, run, key, limit=_PAGE)
    while after is not None:
        more, after = metrics.history(tx, run, key, after=after, limit=_PAGE)
        several += more
    return several


def _in_time(points: Sequence[metrics.Point]) -> list[metrics.Point]:
    return sorted(points, key=lambda one: (one.time, one.step, *_moment(one)))


def _moment(one: metrics.Point) -> tuple[float, bool, float]:
    nan = math.isnan(one.value)  # compares with nothing
    return one.time, nan, 0.0 if nan else one.value


def _spread(count: int, most: int) -> list[int]:
    """Return evenly spread places, the first and the last among them; of one, the last.

    >>> _spread(10, 4), _spread(3, 4), _spread(3, 1)
    ([0, 3, 6, 9], [0, 1, 2], [2])
    """
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    step = (count - 1) / (most - 1)
    return sorted({round(n * step) for n in range(most)})

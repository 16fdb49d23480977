"""Keep metric points, and the latest value of each metric beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from mainspring.experiments.exact import exact_float, exact_int, exact_key
from mainspring.experiments.tables import metric_points, metrics
from mainspring.ground.errors import BadInputError, NotExactError
from mainspring.ground.ports import Tx


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one metric."""

    key: str
    value: float
    step: int
    time: float  #: UTC seconds


def check_point(key: str, value: object, step: object, time: object) -> Point:
    """Return a point whose parts can all be kept exactly.

    Raises:
        BadInputError: naming the part that cannot.
    """
    key = exact_key(key, "metric")
    at = exact_float(time, "time")
    if not math.isfinite(at):
        raise NotExactError(f"The time of {key} must be finite, found {at}.", field="time")
    return Point(
        key=key, value=exact_float(value, key), step=exact_int(step, f"step of {key}"), time=at
    )


def log(
    tx: Tx, run: str, values: Mapping[str, object], step: int | None = None, *, at: float
) -> list[Point]:
    """Log one value for each of several metrics.

    Without ``step`` each metric goes on by one from its own latest step, from 0.

    Raises:
        BadInputError: if a value is no number or cannot be kept exactly.
    """
    latest = _latest(tx, run, list(values))
    points = []
    for key, value in values.items():
        if step is None:
            before = latest.get(key)
            number = 0 if before is None else before.step + 1
        else:
            number = step
        points.append(check_point(key, value, number, at))
    return log_points(tx, run, points)


def log_points(tx: Tx, run: str, points: Sequence[Point]) -> list[Point]:
    """Append points and move the latest values: the highest step, then the last logged."""
    if not points:
        return []
    checked = [check_point(p.key, p.value, p.step, p.time) for p in points]
    rows = [
        {"run": run, "key": p.key, "step": p.step, "time": p.time, "value": to_cell(p.value)}
        for p in checked
    ]
    tx.run(insert(metric_points), rows)
    newest: dict[str, Point] = {}
    for point in checked:
        if point.key not in newest or point.step >= newest[point.key].step:
            newest[point.key] = point
    known = _latest(tx, run, list(newest))
    fresh = []
    for key, point in newest.items():
        cells = {"step": point.step, "time": point.time, "value": to_cell(point.value)}
        if key not in known:
            fresh.append({"run": run, "key": key, **cells})
        elif point.step >= known[key].step:
            here = (metrics.c.run == run) & (metrics.c.key == key)
            tx.run(update(metrics).where(here).values(**cells))
    if fresh:
        tx.run(insert(metrics), fresh)
    return checked


def log_gathered(tx: Tx, run: str, gathered: Sequence[Sequence[Any]]) -> list[Point]:
    """Log what a step gathered: [key, value, step or None, time] each, in few statements.

    A value may be the name of a float that JSON cannot hold, such as ``"nan"``. Without a step
    a metric goes on by one from its own latest step, as in ``log``.
    """
    latest = {p.key: p.step for p in _latest(tx, run, [str(one[0]) for one in gathered]).values()}
    points = []
    for key, value, step, at in gathered:
        number = latest.get(key, -1) + 1 if step is None else step
        points.append(check_point(key, float(value), number, at))
        latest[key] = max(number, latest.get(key, number))
    return log_points(tx, run, points)


def log_once(tx: Tx, run: str, points: Sequence[Point]) -> None:
    """Log points that may come twice and in any order; one that is there already stays one.

    The latest value is that of the highest step, then of the latest time, then the highest.
    """
    checked = {
        (p.key, p.step, p.time, to_cell(p.value)): check_point(p.key, p.value, p.step, p.time)
        for p in points
    }
    latest = _latest(tx, run, list({p.key for p in checked.values()}))
    fresh = [
        point
        for point in checked.values()
        if (point.key not in latest or _rank(point)[:2] > _rank(latest[point.key])[:2])
        or not _is_there(tx, run, point)
    ]
    rows = [
        {"run": run, "key": p.key, "step": p.step, "time": p.time, "value": to_cell(p.value)}
        for p in fresh
    ]
    if rows:
        tx.run(insert(metric_points), rows)
    newest: dict[str, Point] = {}
    for point in fresh:
        if point.key not in newest or _rank(point) > _rank(newest[point.key]):
            newest[point.key] = point
    first = [
        {"run": run, "key": key, "step": p.step, "time": p.time, "value": to_cell(p.value)}
        for key, p in newest.items()
        if key not in latest
    ]
    if first:
        tx.run(insert(metrics), first)
    for key, point in newest.items():
        cells = {"step": point.step, "time": point.time, "value": to_cell(point.value)}
        if key in latest and _rank(point) > _rank(latest[key]):
            here = (metrics.c.run == run) & (metrics.c.key == key)
            tx.run(update(metrics).where(here).values(**cells))


def _rank(point: Point) -> tuple[int, float, bool, float]:
    nan = math.isnan(point.value)
    return point.step, point.time, not nan, 0.0 if nan else point.value


def _is_there(tx: Tx, run: str, point: Point) -> bool:
    columns = metric_points.c
    value = to_cell(point.value)
    same = columns.value.is_(None) if value is None else columns.value == value
    here = (columns.run == run) & (columns.key == point.key) & (columns.step == point.step)
    statement = select(columns.id).where(here & (columns.time == point.time) & same)
    return tx.one(statement.limit(1)) is not None


def latest_points(tx: Tx, ids: Sequence[str]) -> dict[str, list[Point]]:
    """Return the latest point of every metric, by run."""
    out: dict[str, list[Point]] = {run: [] for run in ids}
    statement = select(metrics).where(metrics.c.run.in_(ids))
    for row in tx.all(statement.order_by(metrics.c.run, metrics.c.key)):
        value = from_cell(row.value)
        out[row.run].append(Point(key=row.key, value=value, step=row.step, time=row.time))
    return out


def history(
    tx: Tx, run: str, key: str, *, after: int = 0, limit: int = 100_000
) -> tuple[list[Point], int | None]:
    """Return the points of one metric in the order they were logged, and where to go on.

    The second value is None at the end; else hand it in as ``after`` for the next page.

    Raises:
        BadInputError: if ``limit`` is not 1 to 1,000,000.
    """
    if not 1 <= limit <= 1_000_000:
        raise BadInputError(f"limit must be 1 to 1,000,000, found {limit}.", field="limit")
    columns = metric_points.c
    found = tx.all(
        select(columns.id, columns.step, columns.time, columns.value)
        .where((columns.run == run) & (columns.key == key) & (columns.id > after))
        .order_by(columns.id)
        .limit(limit + 1)
    )
    page = found[:limit]
    points = [
        Point(key=key, value=from_cell(row.value), step=row.step, time=row.time) for row in page
    ]
    return points, (page[-1].id if len(found) > limit else None)


def latest_of(tx: Tx, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the latest value of every metric, by run and key."""
    out: dict[str, dict[str, float]] = {run: {} for run in ids}
    statement = select(metrics.c.run, metrics.c.key, metrics.c.value)
    statement = statement.where(metrics.c.run.in_(ids)).order_by(metrics.c.run, metrics.c.key)
    for row in tx.all(statement):
        out[row.run][row.key] = from_cell(row.value)
    return out


def to_cell(value: float) -> float | None:
    """Return how a value is kept: NaN as NULL, all else as it is."""
    return None if math.isnan(value) else value


def from_cell(value: float | None) -> float:
    """Return the value that a cell keeps."""
    return math.nan if value is None else float(value)


def _latest(tx: Tx, run: str, keys: Sequence[str]) -> dict[str, Point]:
    if not keys:
        return {}
    found: dict[str, Point] = {}
    for start in range(0, len(keys), 500):  # SQLite takes a bounded number of variables
        part = list(keys[start : start + 500])
        here = (metrics.c.run == run) & metrics.c.key.in_(part)
        for row in tx.all(select(metrics).where(here)):
            found[row.key] = Point(
                key=row.key, value=from_cell(row.value), step=row.step, time=row.time
            )
    return found

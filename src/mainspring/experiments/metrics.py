"""Keep metric points, and the latest value of each metric beside them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import bindparam, insert, select, update

from mainspring.experiments import histories
from mainspring.experiments.chunks import Ints, Series
from mainspring.experiments.curves import thin
from mainspring.experiments.exact import INT64, exact_float, exact_int, exact_key, exact_time
from mainspring.experiments.latest import from_cell, to_cell
from mainspring.experiments.tables import metric_points, metrics
from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Tx

# Made once: a statement takes longer to make than to run.
_LATEST = select(metrics)
_MOVE = update(metrics).where(
    metrics.c.run == bindparam("of_run"), metrics.c.key == bindparam("of_key")
)


class Point(msgspec.Struct, frozen=True, gc=False):
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
    at = exact_time(time, f"time of {key}")
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
    named = [(exact_key(key, "metric"), value) for key, value in values.items()]
    latest = _latest(tx, run, [key for key, _ in named])
    points = []
    for key, value in named:
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
    if len(checked) >= histories.LONG_TAIL:
        gathered: dict[tuple[str, str], Gathered] = {}
        for p in checked:
            gathered.setdefault((run, p.key), Gathered()).add(p.step, p.time, p.value)
        log_many(tx, gathered)
        return checked
    rows = [
        {"run": run, "key": p.key, "step": p.step, "time": p.time, "value": to_cell(p.value)}
        for p in checked
    ]
    tx.run(insert(metric_points), rows)
    newest: dict[tuple[str, str], Point] = {}
    for point in checked:
        of = (run, point.key)
        if of not in newest or point.step >= newest[of].step:
            newest[of] = point
    known = _latest(tx, run, [key for _, key in newest])
    _move_latest(tx, newest, {(run, key): point for key, point in known.items()})
    return checked


class Gathered:
    """Points of one metric as they were logged, a list a column; a step may be None."""

    __slots__ = ("steps", "times", "values")

    def __init__(self) -> None:
        self.steps: list[int | None] = []
        self.times: list[float] = []
        self.values: list[float] = []

    def add(self, step: int | None, time: float, value: float) -> None:
        """Take one point more."""
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)


def log_many(
    tx: Tx, gathered: Mapping[tuple[str, str], Gathered], fresh: Collection[str] = ()
) -> None:
    """Append points of many metrics of many runs at once; they must be checked.

    A point without a step goes on by one from the highest before it. ``fresh`` are runs that
    this transaction made.
    """
    keys: dict[str, list[str]] = {}
    for run, key in gathered:
        if run not in fresh:
            keys.setdefault(run, []).append(key)
    known = {run: _latest(tx, run, some) for run, some in keys.items()}
    added: dict[tuple[str, str], Series] = {}
    newest: dict[tuple[str, str], Point] = {}
    for (run, key), points in gathered.items():
        before = known.get(run, {}).get(key)
        steps = _steps(points.steps, None if before is None else before.step)
        added[run, key] = Series(steps, np.array(points.times), np.array(points.values))
        last = len(steps) - 1 - int(steps[::-1].argmax())
        newest[run, key] = Point(
            key=key, value=points.values[last], step=int(steps[last]), time=points.times[last]
        )
    histories.add(tx, added, fresh)
    before_all = {(run, key): p for run, of in known.items() for key, p in of.items()}
    _move_latest(tx, newest, before_all)


def log_gathered(tx: Tx, run: str, gathered: Sequence[Sequence[Any]]) -> list[Point]:
    """Log what a step gathered: [key, value, step or None, time] each, in few statements.

    A value may be the name of a float that JSON cannot hold, such as ``"nan"``. Without a step
    a metric goes on by one from its own latest step, as in ``log``.
    """
    keys = [exact_key(one[0], "metric") for one in gathered]
    latest = {p.key: p.step for p in _latest(tx, run, keys).values()}
    points = []
    for key, (_, value, step, at) in zip(keys, gathered, strict=True):
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
    moved = [
        {
            "of_run": run,
            "of_key": key,
            "step": point.step,
            "time": point.time,
            "value": to_cell(point.value),
        }
        for key, point in newest.items()
        if key in latest and _rank(point) > _rank(latest[key])
    ]
    if moved:
        tx.run(_MOVE, moved)


def _rank(point: Point) -> tuple[int, float, bool, float]:
    nan = math.isnan(point.value)
    return point.step, point.time, not nan, 0.0 if nan else point.value


def _is_there(tx: Tx, run: str, point: Point) -> bool:
    packed = histories.holds(tx, run, point.key, point.step)
    same_moment = (packed.steps == point.step) & (packed.times == point.time)
    of_then = packed.values[same_moment]
    if (np.isnan(of_then) if math.isnan(point.value) else of_then == point.value).any():
        return True
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

    ``after`` is how many points were seen already; a point keeps its place for good. The second
    value is None at the end; else hand it in as ``after`` for the next page.

    Raises:
        BadInputError: if ``limit`` is not 1 to 1,000,000.
    """
    if not 1 <= limit <= 1_000_000:
        raise BadInputError(f"limit must be 1 to 1,000,000, found {limit}.", field="limit")
    found = histories.series(tx, run, key, after, limit + 1)
    page = found.cut(0, limit)
    return points_of(key, page), (after + limit if len(found) > limit else None)


def points_of(key: str, series: Series) -> list[Point]:
    """Return a series as points."""
    columns = (series.values.tolist(), series.steps.tolist(), series.times.tolist())
    return list(map(Point, repeat(key), *columns))


def curve(tx: Tx, run: str, key: str, *, points: int = 1_000) -> Series:
    """Return one metric's history with at most so many points; see ``curves.thin``.

    Raises:
        BadInputError: if ``points`` is not 5 to 1,000,000.
    """
    return curves(tx, [(run, key)], points=points)[run, key]


def curves(
    tx: Tx, pairs: Sequence[tuple[str, str]], *, points: int = 1_000
) -> dict[tuple[str, str], Series]:
    """Return the thinned histories of several (run, key); empty where there are none.

    Raises:
        BadInputError: if ``points`` is not 5 to 1,000,000.
    """
    if not 5 <= points <= 1_000_000:
        raise BadInputError(f"points must be 5 to 1,000,000, found {points}.", field="points")
    return {of: thin(found, points) for of, found in histories.several(tx, pairs).items()}


def _latest(tx: Tx, run: str, keys: Sequence[str]) -> dict[str, Point]:
    if not keys:
        return {}
    found: dict[str, Point] = {}
    for start in range(0, len(keys), 500):  # SQLite takes a bounded number of variables
        part = list(keys[start : start + 500])
        # One value asks for one key, and the shorter statement is made in half the time.
        of_keys = metrics.c.key == part[0] if len(part) == 1 else metrics.c.key.in_(part)
        for row in tx.all(_LATEST.where(metrics.c.run == run, of_keys)):
            found[row.key] = Point(
                key=row.key, value=from_cell(row.value), step=row.step, time=row.time
            )
    return found


def _move_latest(
    tx: Tx,
    newest: Mapping[tuple[str, str], Point],
    known: Mapping[tuple[str, str], Point],
) -> None:
    """Move the latest values: a higher step counts more, and of equal ones the last logged."""
    fresh, moved = [], []
    for (run, key), point in newest.items():
        before = known.get((run, key))
        row = {"step": point.step, "time": point.time, "value": to_cell(point.value)}
        if before is None:
            fresh.append({"run": run, "key": key, **row})
        elif point.step >= before.step:
            moved.append({"of_run": run, "of_key": key, **row})
    if fresh:
        tx.run(insert(metrics), fresh)
    if moved:
        tx.run(_MOVE, moved)  # sets the columns that the rows name


def _steps(given: list[int | None], highest: int | None) -> Ints:
    """Return steps with those that are missing filled in: one above the highest before each."""
    if None not in given:
        return np.array(given, np.int64)
    found: list[int] = []
    for step in given:
        number = step
        if number is None:
            number = 0 if highest is None else min(highest + 1, INT64 - 1)
        highest = number if highest is None else max(highest, number)
        found.append(number)
    return np.array(found, np.int64)

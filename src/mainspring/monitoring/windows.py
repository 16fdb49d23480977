"""Cut event time into windows, and keep what was found in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, func, select, update

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Finding, MonitorPolicy, Window
from mainspring.ground.ports import Tx
from mainspring.monitoring import news
from mainspring.monitoring.findings import replaced
from mainspring.monitoring.tables import insert_once, monitors, start_monitor, windows

#: The subject of what is found of a window itself.
WINDOW = "window"
#: Windows handed out at once; a monitor that fell behind goes on with the next call.
MOST_DUE = 1000


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """How far the monitor of one endpoint is."""

    endpoint: str
    judged_until: float | None = None  #: event time up to which windows are cut
    empty: int = 0  #: windows passed over because nothing was asked in them
    late: int = 0  #: rows that came after their window had been judged; in no window


def due(
    policy: MonitorPolicy,
    watermark: float | None,
    last_end: float | None,
    oldest: float | None = None,
) -> list[tuple[float, float]]:
    """Return the windows (start, end) that are over and not yet judged, oldest first.

    A window holds ``start <= time < end`` and is over when ``watermark``, the newest event
    time seen, has passed its end by the grace. Ends are multiples of ``window_s`` since 1970.
    Windows follow each other without gap or overlap; if the window length was changed, the
    first one is shorter and ends at the next multiple.

    ``oldest`` is the event time of the oldest row not yet judged, where that is known: windows
    before it are empty and passed over. Without it and without ``last_end``, only the newest
    window that is over is due. At most :data:`MOST_DUE` are returned at once.

    Raises:
        BadInputError: if the policy's window is not longer than 0.

    >>> due(MonitorPolicy(window_s=10.0), watermark=35.0, last_end=10.0)
    [(10.0, 20.0), (20.0, 30.0)]
    """
    length = policy.window_s
    if not (length > 0 and math.isfinite(length)):
        raise BadInputError(f"window_s must be above 0, found {length}.", field="window_s")
    if watermark is None:
        return []
    over = math.floor((watermark - policy.grace_s) / length)
    start = last_end
    if oldest is not None:
        first = math.floor(oldest / length) * length
        start = first if start is None else max(start, first)
    if start is None:
        start = (over - 1) * length
    found: list[tuple[float, float]] = []
    number = math.floor(start / length) + 1
    if number * length <= start:  # a quotient rounded down would give a window without length
        number += 1
    while number <= over and len(found) < MOST_DUE:
        found.append((start, number * length))
        start, number = number * length, number + 1
    return found


def due_by_count(
    rows: int, times: Sequence[float], last_end: float | None
) -> tuple[float, float] | None:
    """Return the window (start, end) of the next ``rows`` rows; None if there are not so many.

    ``times`` are the event times of the rows not yet judged that the watermark has passed by
    the grace, ascending. A window ends right behind its last row, and rows of the very same
    time stay together: it may hold more rows than asked for, never fewer.

    Raises:
        BadInputError: if a window is to hold less than one row.

    >>> due_by_count(2, [1.5, 5.0, 5.0, 9.0], None) == (1.0, math.nextafter(5.0, 9.0))
    True
    """
    if rows < 1:
        raise BadInputError(f"window_rows must be 1 or more, found {rows}.", field="window_rows")
    if len(times) < rows:
        return None
    start = math.floor(times[0]) if last_end is None else last_end
    return float(start), math.nextafter(float(times[rows - 1]), math.inf)


def window_id(endpoint: str, start: float, side: int | None = None) -> str:
    """Return the one id of an endpoint's window, or of the part that one version answered.

    >>> window_id("delays", 86400.0), window_id("delays", 86400.0, side=3)
    ('delays:86400', 'delays:86400/3')
    """
    part = "" if side is None else f"/{side}"
    return f"{endpoint}:{int(start) if float(start).is_integer() else repr(start)}{part}"


def not_judged(endpoint: str, span: tuple[float, float], rows: int, why: str) -> Window:
    """Return the record of a window that could not be judged, which says why.

    It takes its place among the others, so that its time is not missing without a word, and is
    judged when somebody asks for it again.
    """
    found = Finding(
        monitor="traffic",
        subject=WINDOW,
        value=None,
        rows=rows,
        verdict="not judged",
        why=f"Not judged: {why}",
    )
    return Window(
        id=window_id(endpoint, span[0]),
        endpoint=endpoint,
        start=span[0],
        end=span[1],
        rows=rows,
        version=None,
        traffic={"rows": rows},
        found=[found],
    )


def was_judged(window: Window) -> bool:
    """Return whether a window's inputs were judged."""
    return not any(one.subject == WINDOW and one.verdict == "not judged" for one in window.found)


def is_mature(policy: MonitorPolicy, end: float, watermark: float) -> bool:
    """Return whether a window's labels have had the time they need to arrive.

    Judged earlier, a window would be judged on the labels that come fast, which are not the
    usual ones.
    """
    return watermark >= end + policy.label_delay_s


def save(tx: Tx, window: Window) -> bool:
    """Keep a window; return False, and change nothing, if it is kept already."""
    if tx.run(insert_once(windows, tx.dialect, _row(window))) == 0:
        return False
    _note(tx, window)
    return True


def replace(tx: Tx, window: Window) -> None:
    """Keep a window that was judged again; what its labels said stays."""
    row = _row(window)
    kept = {key: row[key] for key in row if key not in ("id", "performance", "labelled")}
    if tx.run(update(windows).where(windows.c.id == window.id).values(**kept)) == 0:
        save(tx, window)
    else:
        _note(tx, window)


def _note(tx: Tx, window: Window) -> None:
    # Rules are about the endpoint; what one version answered of a window is no window of it.
    if window.side is None:
        news.note(tx, window.endpoint, window.id)


def _row(window: Window) -> dict[str, Any]:
    return {
        "id": window.id,
        "endpoint": window.endpoint,
        "starts": window.start,
        "ends": window.end,
        "row_count": window.rows,
        "version": window.version,
        "drift": canonical(window.drift).decode(),
        "quality": canonical(window.quality).decode(),
        "traffic": canonical(window.traffic).decode(),
        "performance": _text(window.performance),
        "labelled": window.labelled,
        "found": canonical(window.found).decode(),
        "side": window.side,
    }


def update_performance(tx: Tx, window: str, performance: dict[str, Any], labelled: int) -> None:
    """Keep what a window's labels said; labels that came later still may replace it.

    Raises:
        NotFoundError: if there is no such window.
    """
    change = update(windows).where(windows.c.id == window).returning(windows.c.endpoint)
    row = tx.one(change.values(performance=_text(performance), labelled=labelled))
    if row is None:
        raise NotFoundError(f"There is no window {window!r}.", field="window")
    news.note(tx, row.endpoint, window)


def update_found(tx: Tx, window: str, found: Sequence[Finding]) -> None:
    """Keep what monitors found; what they found of the same subjects before is replaced.

    Raises:
        NotFoundError: if there is no such window.
    """
    kept = get(tx, window)
    text = canonical(replaced(kept.found, found)).decode()
    tx.run(update(windows).where(windows.c.id == window).values(found=text))
    _note(tx, kept)


def before(
    tx: Tx, endpoint: str, start: float, limit: int, version: int | None = None
) -> list[Window]:
    """Return the windows of an endpoint that began before ``start``, newest first.

    ``version`` asks for those of one version, parts of windows too.
    """
    question = _of(endpoint, version).where(windows.c.starts < start)
    return [_window(row) for row in tx.all(question.order_by(windows.c.ends.desc()).limit(limit))]


def get(tx: Tx, window: str) -> Window:
    """Return one window.

    Raises:
        NotFoundError: if there is none by that id.
    """
    row = tx.one(select(windows).where(windows.c.id == window))
    if row is None:
        raise NotFoundError(f"There is no window {window!r}.", field="window")
    return _window(row)


def latest(tx: Tx, endpoint: str) -> Window | None:
    """Return the newest window of an endpoint, or None."""
    found = list_windows(tx, endpoint, limit=1)
    return found[0] if found else None


def list_windows(
    tx: Tx, endpoint: str, limit: int = 100, version: int | None = None
) -> list[Window]:
    """Return the windows of an endpoint, newest first.

    Each is judged as what the version is that answered most of it. ``version`` asks for those
    of one version instead: whole windows, and the parts of windows that it answered.
    """
    question = _of(endpoint, version)
    return [_window(row) for row in tx.all(question.order_by(windows.c.ends.desc()).limit(limit))]


def _of(endpoint: str, version: int | None) -> Select[Any]:
    question = select(windows).where(windows.c.endpoint == endpoint)
    if version is None:
        return question.where(windows.c.side.is_(None))
    return question.where(windows.c.version == version)


def watched(tx: Tx) -> list[str]:
    """Return the names of everything that windows are kept of."""
    question = select(windows.c.endpoint).distinct().order_by(windows.c.endpoint)
    return [str(row.endpoint) for row in tx.all(question)]


def count(tx: Tx, endpoint: str) -> int:
    """Return how many windows of an endpoint were judged."""
    question = select(func.count().label("n")).select_from(windows)
    row = tx.one(question.where(windows.c.endpoint == endpoint, windows.c.side.is_(None)))
    return 0 if row is None else int(row.n)


def awaiting_labels(
    tx: Tx, endpoint: str, policy: MonitorPolicy, watermark: float, limit: int = 100
) -> list[Window]:
    """Return the windows whose labels are mature and not yet judged, oldest first."""
    question = (
        select(windows)
        .where(
            windows.c.endpoint == endpoint,
            windows.c.performance.is_(None),
            windows.c.ends <= watermark - policy.label_delay_s,
        )
        .order_by(windows.c.ends)
        .limit(limit)
    )
    return [_window(row) for row in tx.all(question)]


def any_labelled(tx: Tx, endpoint: str) -> bool:
    """Return whether any window of an endpoint was judged on its labels."""
    question = select(windows.c.id).where(
        windows.c.endpoint == endpoint, windows.c.performance.is_not(None)
    )
    return tx.one(question.limit(1)) is not None


def monitor(tx: Tx, endpoint: str) -> Monitor:
    """Return how far the monitor of an endpoint is."""
    row = tx.one(select(monitors).where(monitors.c.endpoint == endpoint))
    if row is None:
        return Monitor(endpoint=endpoint)
    return Monitor(
        endpoint=endpoint, judged_until=row.judged_until, empty=row.empty, late=row.late
    )


def advance(tx: Tx, endpoint: str, judged_until: float, empty: int = 0, late: int = 0) -> Monitor:
    """Move a monitor on, never back, and add to what it passed over.

    The rule for empty windows: a window without a row is not stored and raises nothing; the
    monitor moves past it and counts it here. Rows that come for a window already judged belong
    to no window and are counted as late.
    """
    tx.run(start_monitor(tx.dialect, endpoint))
    known = monitor(tx, endpoint).judged_until
    furthest = judged_until if known is None else max(known, judged_until)
    tx.run(
        update(monitors)
        .where(monitors.c.endpoint == endpoint)
        .values(judged_until=furthest, empty=monitors.c.empty + empty, late=monitors.c.late + late)
    )
    return monitor(tx, endpoint)


def count_late(tx: Tx, endpoint: str, late: int) -> None:
    """Add to the rows that came after their window had been judged."""
    tx.run(start_monitor(tx.dialect, endpoint))
    mine = monitors.c.endpoint == endpoint
    tx.run(update(monitors).where(mine).values(late=monitors.c.late + late))


def _text(performance: dict[str, Any] | None) -> str | None:
    return None if performance is None else canonical(performance).decode()


def _window(row: Any) -> Window:
    return Window(
        id=row.id,
        endpoint=row.endpoint,
        start=row.starts,
        end=row.ends,
        rows=row.row_count,
        version=row.version,
        drift=msgspec.json.decode(row.drift),
        quality=msgspec.json.decode(row.quality),
        traffic=msgspec.json.decode(row.traffic),
        performance=None if row.performance is None else msgspec.json.decode(row.performance),
        labelled=row.labelled,
        found=msgspec.json.decode(row.found, type=list[Finding]),
        side=row.side,
    )

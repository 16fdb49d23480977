"""Judge windows again when late labels come: which ones, and what may still be alarmed about.

The newest judged windows stay open for late labels; older ones keep what was said of them. So
the work that a label can cause is bounded, however late it comes. What a window said before is
never said twice: nothing is alarmed on that was an alarm of this window already, or that an
alarm of this or a later window has told, whether that one is open or has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl
from sqlalchemy import select, update

from mainspring.ground.objects import Alarm, Window
from mainspring.ground.ports import Tx
from mainspring.monitoring.tables import alarms, monitors, start_monitor, windows
from mainspring.monitoring.windows import get

#: Batches that one look takes up at most; the next look goes on from there.
MOST_BATCHES = 500

Subjects = set[tuple[str, str]]


def cursor(tx: Tx, endpoint: str) -> int:
    """Return the newest label batch that was looked through for late labels, 0 at first."""
    row = tx.one(select(monitors.c.relabelled).where(monitors.c.endpoint == endpoint))
    return 0 if row is None or row.relabelled is None else int(row.relabelled)


def advance(tx: Tx, endpoint: str, batch: int) -> None:
    """Move on the cursor, never back."""
    tx.run(start_monitor(tx.dialect, endpoint))
    furthest = max(cursor(tx, endpoint), batch)
    tx.run(update(monitors).where(monitors.c.endpoint == endpoint).values(relabelled=furthest))


def learnt_delay(tx: Tx, endpoint: str) -> float | None:
    """Return the label delay that was learnt for an endpoint, in seconds, if one was."""
    row = tx.one(select(monitors.c.label_delay).where(monitors.c.endpoint == endpoint))
    return None if row is None else row.label_delay


def learn_delay(tx: Tx, endpoint: str, delay: float | None) -> None:
    """Keep a learnt label delay; None leaves what is known."""
    if delay is None:
        return
    tx.run(start_monitor(tx.dialect, endpoint))
    tx.run(update(monitors).where(monitors.c.endpoint == endpoint).values(label_delay=delay))


def opened(tx: Tx, endpoint: str, most: int) -> list[Window]:
    """Return the newest judged windows, at most so many, oldest first: late labels change them.

    What one version of several answered of a window is a window of its own here.
    """
    question = (
        select(windows.c.id)
        .where(windows.c.endpoint == endpoint, windows.c.performance.is_not(None))
        .order_by(windows.c.ends.desc(), windows.c.id)
        .limit(most)
    )
    return [get(tx, row.id) for row in tx.all(question)][::-1]


def touched(judged: Sequence[Window], captured: pl.DataFrame, new: pl.DataFrame) -> list[Window]:
    """Return the windows that hold a row whose label came after they were judged, oldest first.

    ``captured`` are rows with ``_id`` and ``_time``, ``new`` labels with ``_id`` and ``_batch``.
    """
    rows = captured.select(pl.col("_id").cast(pl.String), "_time").join(
        new.select("_id", "_batch"), on="_id", how="inner"
    )
    found = []
    for window in judged:
        seen = int((window.performance or {}).get("batch") or 0)
        inside = (pl.col("_time") >= window.start) & (pl.col("_time") < window.end)
        if rows.filter(inside & (pl.col("_batch") > seen)).height:
            found.append(window)
    return found


def alarmed(window: Window) -> Subjects:
    """Return what a judged window was an alarm about, raised or not."""
    found = {(one.monitor, one.subject) for one in window.found if one.verdict == "alarm"}
    if (window.performance or {}).get("verdict") == "alarm":
        found.add(("performance", "loss"))
    return found


def told_since(tx: Tx, endpoint: str, at: float) -> Subjects:
    """Return what alarms of windows that end at ``at`` or later told, open or ended."""
    question = select(alarms.c.kind, alarms.c.subject).where(
        alarms.c.endpoint == endpoint, alarms.c.raised >= at
    )
    return {(row.kind, row.subject) for row in tx.all(question)}


def unsaid(raised: Sequence[Alarm], said: Collection[tuple[str, str]]) -> list[Alarm]:
    """Return the alarms about what was not said before."""
    return [alarm for alarm in raised if (alarm.kind, alarm.subject) not in said]

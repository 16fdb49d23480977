"""Note which windows were judged, or judged again, for those who put rules to them.

The note is written in the transaction that keeps the window, so that no window is overlooked,
whoever made it, and none is put to rules that was not kept.
"""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select

from mainspring.ground.ports import Tx
from mainspring.monitoring.tables import news


def note(tx: Tx, endpoint: str, window: str) -> None:
    """Note that a window has findings that it did not have before."""
    tx.run(insert(news).values(endpoint=endpoint, window_id=window))


def oldest(tx: Tx) -> dict[str, int]:
    """Return the number of the oldest note of each endpoint that has one."""
    query = select(news.c.endpoint, func.min(news.c.seq).label("seq")).group_by(news.c.endpoint)
    return {row.endpoint: int(row.seq) for row in tx.all(query)}


def waiting(tx: Tx, endpoint: str, limit: int = 100) -> list[tuple[int, str]]:
    """Return (number, window) of an endpoint's notes, oldest first."""
    query = select(news.c.seq, news.c.window_id).where(news.c.endpoint == endpoint)
    rows = tx.all(query.order_by(news.c.seq).limit(limit))
    return [(int(row.seq), str(row.window_id)) for row in rows]


def done(tx: Tx, endpoint: str, last: int) -> None:
    """Forget an endpoint's notes up to a number."""
    tx.run(delete(news).where(news.c.endpoint == endpoint, news.c.seq <= last))

"""What monitors computed, as a table in Python: ``ms.series``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import polars as pl


def series(
    endpoint: str,
    *,
    monitor: str | None = None,
    subject: str | None = None,
    since: str | None = None,
    limit: int = 100,
) -> pl.DataFrame:
    """Return everything that monitors computed of an endpoint: one row a window and subject.

    Columns: monitor, subject, window, start and end (UTC seconds, event time), version, rows,
    value, low, high, baseline, line, radius, smallest, verdict, why. A figure that could not be
    computed has no value, and ``why`` says why. ``since`` is a time, or how long before the end
    of the newest window, such as "7d"; ``limit`` is how many windows at most, newest first.

    Raises:
        NotFoundError: if there is no such endpoint.
        BadInputError: if ``since`` is no time, or there is no home.

    Example::

        drift = ms.series("flights", monitor="drift", since="30d")
        drift.filter(pl.col("verdict") == "alarm")
    """
    import polars as pl

    rows = _rows(endpoint, monitor, subject, since, limit)
    figures = ("value", "low", "high", "baseline", "line", "radius", "smallest", "start", "end")
    schema = {
        **dict.fromkeys(("monitor", "subject", "window"), pl.String),
        **dict.fromkeys(("start", "end"), pl.Float64),
        **dict.fromkeys(("version", "rows"), pl.Int64),
        **dict.fromkeys(figures, pl.Float64),
        **dict.fromkeys(("verdict", "why"), pl.String),
    }
    return pl.DataFrame([{key: row[key] for key in schema} for row in rows], schema=schema)


def _rows(
    endpoint: str, monitor: str | None, subject: str | None, since: str | None, limit: int
) -> list[dict[str, Any]]:
    import msgspec

    from mainspring.workspace.asking import Server
    from mainspring.workspace.found import asked_place
    from mainspring.workspace.views.series import finding_series, rows_of
    from mainspring.workspace.views.series_shapes import FindingSeries

    asked = {"monitor": monitor, "subject": subject, "since": since, "limit": limit}
    with asked_place() as place:
        if isinstance(place, Server):
            query = {key: value for key, value in asked.items() if value is not None}
            path = f"/api/v1/monitor/{quote(endpoint, safe='')}/series"
            found = place.ask("GET", path, query=query)
            return rows_of(msgspec.convert(found, list[FindingSeries]))
        return rows_of(
            finding_series(
                place, endpoint, monitor=monitor, subject=subject, since=since, limit=limit
            )
        )

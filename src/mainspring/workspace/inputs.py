"""Watch data where it goes in: ``ms.monitor_data`` in a step of a pipeline, or in a script.

The rows of each call are one window of a fed monitor, judged before the call returns, so that a
step can stop what would be built on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.objects import Finding, MonitorPolicy, Record, Window
from mainspring.ground.permissions import Permission
from mainspring.workspace.elsewhere import Named, Rows, as_file, columns_of
from mainspring.workspace.feeding.naming import Columns, find

if TYPE_CHECKING:
    import polars as pl

    from mainspring.ground.ports import Tx
    from mainspring.monitoring.watches import Watch
    from mainspring.workspace.opening import Workspace


class Watched(Record, frozen=True, kw_only=True):
    """What a monitor says of the rows of one call.

    ``findings`` are what is alarming, the whole of it is in ``window``; ``why`` says it in
    words, ``said`` what was guessed on the way. ``again``: these rows were judged before, and
    are no second window.
    """

    monitor: str
    verdict: Literal["baseline", "quiet", "alarm", "too few rows", "not judged"]
    rows: int
    why: str
    findings: list[Finding] = []
    window: Window | None = None
    again: bool = False
    said: list[str] = []

    @property
    def alarming(self) -> bool:
        """Return whether something is certain and matters."""
        return self.verdict == "alarm"


def monitor_data(
    name: str,
    rows: Rows,
    *,
    baseline: Rows | None = None,
    policy: MonitorPolicy | None = None,
    batch: str | None = None,
    home: str | Path | None = None,
    **columns: Named,
) -> Watched:
    """Keep rows as a window of a named monitor, judge them at once, and return the verdict.

    The first call makes the monitor: of ``baseline``, or else of its own rows, which are then
    not judged. Later calls compare with that; a newer baseline is given by
    ``mainspring monitor create NAME --baseline FILE``. Inside a step it works in the home of
    the run. The same rows again (a step that is retried) are the same window.

    Args:
        name: of the monitor, to be seen with ``mainspring monitor NAME``.
        rows: a table (polars, pandas, pyarrow, a dictionary of columns), or a file.
        baseline: a table or a file of rows that are as they should be.
        policy: what is alarming, ``ms.Monitor("batch", ...)``; the monitor remembers it.
        batch: your own name of these rows; by default the rows themselves are their name.
        home: where to work; the default as everywhere.
        columns: which column is what, as for :func:`mainspring.create_monitor`. All others
            are inputs, apart from ids and times by their usual names: they differ in every
            batch, and are left out.

    Raises:
        BadInputError: if the rows cannot be used, or ``policy`` does not cut by batch.
        ConflictError: if the name is that of a monitor that cuts windows by time or count.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> rng, home = np.random.default_rng(0), tempfile.mkdtemp()
        >>> monitor_data("orders", {"x": rng.normal(0, 1, 1000)}, home=home).verdict
        'baseline'
        >>> monitor_data("orders", {"x": rng.normal(1, 1, 1000)}, home=home).why
        'drift: x'
    """
    wanted = columns_of(columns)
    if policy is not None and not policy.by_batch:
        raise BadInputError(
            "Rows of a call are a window of their own.",
            field="policy",
            hint='Give policy=ms.Monitor("batch", ...).',
        )
    frame = _table(rows, wanted)
    with _opened(home) as ws:
        watch = _watch(ws, name)
        if watch is None:
            first = frame if baseline is None else _table(baseline, wanted)
            said = _create(ws, name, first, policy, wanted)
            if baseline is None:
                why = "The first rows are what later ones are compared with."
                return Watched(
                    monitor=name, verdict="baseline", rows=frame.height, why=why, said=said
                )
        elif policy is not None and policy != watch.monitor:
            _create(ws, name, None, policy, wanted)
        return _judged(ws, name, frame, batch, wanted)


def _judged(
    ws: Workspace, name: str, frame: pl.DataFrame, batch: str | None, columns: Columns
) -> Watched:
    from mainspring.monitoring import findings, windows
    from mainspring.workspace.catching_up import catch_up
    from mainspring.workspace.feeding import taking
    from mainspring.workspace.feeding.declared import spec_of

    with as_file(frame) as file:
        fed = taking.feed(ws, name, file, batch=batch, columns=columns, name="the rows")
    catch_up(ws, name)

    def look(tx: Tx) -> tuple[Window | None, int]:
        at = fed.first or 0.0
        there = windows.list_windows(tx, name, limit=10_000)
        mine = (one for one in there if one.side is None and one.start <= at < one.end)
        return next(mine, None), spec_of(tx, name).monitor.min_rows

    window, least = ws.read(Permission.READ, look)
    told = Watched(
        monitor=name,
        verdict="not judged",
        rows=fed.rows,
        why="Its window is not over yet.",
        window=window,
        again=fed.again,
        said=fed.said,
    )
    if window is None:
        return told
    found = findings.of_window(window)
    alarming = [one for one in found if one.verdict == "alarm"]
    if alarming:
        why = "; ".join(dict.fromkeys(f"{one.monitor}: {one.subject}" for one in alarming))
        return msgspec.structs.replace(told, verdict="alarm", why=why, findings=alarming)
    if not windows.was_judged(window):
        why = next(one.why for one in found if one.subject == "window")
        return msgspec.structs.replace(told, why=why)
    if window.rows < least:
        why = f"{window.rows:,} rows are too few to be sure of anything: {least:,} are needed."
        return msgspec.structs.replace(told, verdict="too few rows", why=why)
    return msgspec.structs.replace(told, verdict="quiet", why="Nothing is alarming.")


def _watch(ws: Workspace, name: str) -> Watch | None:
    """Return the monitor by that name, if there is one; it must cut by batch."""
    from mainspring.monitoring import watches

    found = ws.read(Permission.READ, lambda tx: watches.find(tx, name))
    if found is not None and not found.monitor.by_batch:
        raise ConflictError(
            f"Monitor {name} cuts windows by time or count: rows of a call are no window there.",
            field="name",
            hint="Name another, or feed it with ms.feed.",
        )
    return found


def _create(
    ws: Workspace,
    name: str,
    frame: pl.DataFrame | None,
    policy: MonitorPolicy | None,
    columns: Columns,
) -> list[str]:
    from mainspring.workspace.feeding import declared

    policy = policy or MonitorPolicy(by_batch=True)
    made = declared.create(
        ws, name, baseline=frame, policy=policy, columns=columns, called="the baseline"
    )
    return made.said


def _table(rows: Rows, given: Columns) -> pl.DataFrame:
    """Return rows as a table, without a column of ids that was not named.

    Labels do not come later by an id that nobody named, and rows of the same one would be one.
    """
    from mainspring.workspace.feeding import reading

    if isinstance(rows, str | Path):
        frame = reading.whole(Path(rows).expanduser())
    else:
        from mainspring.experiments.tabular import frame_of

        frame = frame_of(rows, "rows")
    found, _ = find(frame.columns, given)
    return frame.drop(found.id) if found.id is not None and given.id is None else frame


def _opened(home: str | Path | None) -> Any:
    from contextlib import closing

    from mainspring.ground.settings import load
    from mainspring.workspace.opening import open_workspace

    settings = load({"home": None if home is None else str(home)})
    if settings.url and home is None:
        raise BadInputError(
            "ms.monitor_data judges in a home, and MAINSPRING_URL names a server.",
            field="url",
            hint="Give home=, or feed a monitor of the server with ms.feed.",
        )
    return closing(open_workspace(settings))

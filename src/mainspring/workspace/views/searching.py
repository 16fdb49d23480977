"""Search runs for whoever asks: the command line, HTTP, the pages and Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mainspring.experiments import columns as of_runs
from mainspring.experiments import finding, groups, metrics
from mainspring.experiments.chunks import Series
from mainspring.experiments.comparison import Curve, to_json
from mainspring.experiments.expressions import NUMBERS, TEXTS, And, Condition, Expression, column
from mainspring.experiments.filters import parse, parse_columns, parse_orders
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.shapes import (
    ColumnCount,
    Curves,
    FoundPage,
    FoundRun,
    RunColumns,
    RunPage,
)

_LOOKED_AT = 200  #: of the newest runs, to know which columns there are


def run_page(
    ws: Workspace,
    *,
    experiment: str | None = None,
    status: str | None = None,
    filter: str = "",  # noqa: A002  as it is called everywhere
    order: str = "",
    columns: str | None = None,
    deleted: bool = False,
    count: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> RunPage:
    """Return the runs that meet a filter, a page at a time, newest first or as ordered.

    Args:
        ws: The workspace.
        experiment: Only of the experiment of this name.
        status: Only those that are so far. Running are all that have not ended; of pipelines'
            runs some of them are waiting or interrupted.
        filter: What must hold, in our filter language.
        order: Names parted by commas, a minus in front for falling.
        columns: Only these, parted by commas; None is all.
        deleted: Deleted runs alone, instead of those that are not.
        count: Say how many there are, exactly up to 10,000.
        limit: How many at most, 1 to 1,000.
        cursor: Where the page before ended.

    Raises:
        BadInputError: naming what is wrong in the filter, order, columns, cursor or limit.
    """
    if not 1 <= limit <= 1_000:
        raise BadInputError(f"limit must be 1 to 1,000, found {limit}.", field="limit")
    search = finding.Search(
        expression=_expression(ws, filter, status),
        orders=tuple(parse_orders(order)),
        experiments=None if experiment is None else (groups.key_of_name(experiment),),
        deleted=deleted,
    )
    shown = None if columns is None else parse_columns(columns)

    def work(tx: Tx) -> RunPage:
        wanted = halts.settled(ws, tx, search)
        found = finding.page(tx, wanted, limit=limit, cursor=cursor)
        total = finding.count(tx, wanted) if count else None
        most = finding.MOST_COUNTED
        return RunPage(
            runs=halts.seen(ws, tx, of_runs.load(tx, found.ids, shown)),
            cursor=found.cursor,
            total=None if total is None else min(total, most),
            more=total is not None and total > most,
        )

    return caught_up(ws).read(Permission.READ, work)


def columns_of(
    ws: Workspace,
    experiment: str | None = None,
    filter: str = "",  # noqa: A002
    prefix: str = "",
    limit: int = 1000,
) -> RunColumns:
    """Return which columns the newest 200 runs that meet a filter have.

    Raises:
        BadInputError: naming what is wrong in the filter.
    """
    search = finding.Search(
        expression=parse(filter, now=ws.clock.now()),
        experiments=None if experiment is None else (groups.key_of_name(experiment),),
    )

    def work(tx: Tx) -> of_runs.Known:
        ids = finding.page(tx, halts.settled(ws, tx, search), limit=_LOOKED_AT).ids
        return of_runs.known(tx, ids, prefix=prefix, limit=limit)

    found = caught_up(ws).read(Permission.READ, work)
    named = {
        kind: [
            ColumnCount(column=column(kind, one.key), key=one.key, runs=one.runs)
            for one in getattr(found, f"{kind}s")
        ]
        for kind in ("metric", "param", "tag")
    }
    return RunColumns(
        attributes=[name for name in (*TEXTS, *NUMBERS) if name.startswith(prefix)],
        metrics=named["metric"],
        params=named["param"],
        tags=named["tag"],
        looked_at=found.looked_at,
    )


def curves_of(ws: Workspace, pairs: Sequence[tuple[str, str]], points: int = 500) -> Curves:
    """Return metrics of runs over their steps, of at most so many points each.

    Raises:
        NotFoundError: if one of the runs is not there.
    """

    def work(tx: Tx) -> Curves:
        ids = list(dict.fromkeys(run for run, _ in pairs))
        there = {run.id for run in of_runs.load(tx, ids, columns=())}
        for run in ids:
            if run not in there:
                raise NotFoundError(f"There is no run {run[:80]!r}.", field="run")
        found = metrics.curves(tx, pairs, points=points)
        return Curves(curves=[_curve(run, key, found[run, key]) for run, key in pairs])

    return caught_up(ws).read(Permission.READ, work)


def _curve(run: str, key: str, found: Series) -> Curve:
    values = found.values.tolist()
    return Curve(
        run=run,
        key=key,
        steps=found.steps.tolist(),
        times=found.times.tolist(),
        values=[to_json(value) for value in values],
    )


def exact_page(page: RunPage) -> FoundPage:
    """Return a page as JSON can hold it: NaN and the infinities by their names."""
    found = []
    for run in page.runs:
        cells: dict[str, Any] = {name: getattr(run, name) for name in run.__struct_fields__}
        if not all(map(math.isfinite, run.metrics.values())):
            cells["metrics"] = {key: to_json(value) for key, value in run.metrics.items()}
        found.append(FoundRun(**cells))
    return FoundPage(runs=found, cursor=page.cursor, total=page.total, more=page.more)


def _expression(ws: Workspace, text: str, status: str | None) -> Expression:
    found = parse(text, now=ws.clock.now())
    if status is None:
        return found
    return And((Condition("run", "status", "=", halts.check_word(status)), found))

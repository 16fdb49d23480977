"""Gather a table of runs: those that a filter finds, with the columns shown and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mainspring.experiments import columns, filters, finding, groups, kinship, metrics
from mainspring.experiments.columns import Known
from mainspring.experiments.expressions import And, Condition, Expression, Kind
from mainspring.experiments.reserved import GROUP, USER
from mainspring.ground.objects import Record, Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up

#: Children of a run that are shown below it; a link leads to all of them.
MOST_CHILDREN = 100
_SPARK = 40  # points of a small curve
_DEEPEST = 6  # children of children
#: Chosen columns that always come along: who started a run, and in which group.
ALONG: tuple[tuple[Kind, str], ...] = (("tag", USER), ("tag", GROUP))

Column = tuple[Kind, str]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are wanted, and how."""

    filter: str = ""
    order: str = ""
    experiment: str | None = None
    status: str | None = None
    deleted: bool = False
    folded: bool = False  #: only runs that are nobody's child, the children of ``opened`` below
    opened: frozenset[str] = frozenset()
    columns: Sequence[str] | None = None  #: as a filter names them; None chooses
    spark: str | None = None  #: a metric whose curve is shown small
    limit: int = 50
    cursor: str | None = None
    counted: bool = True  #: whether to say how many there are


class TableRow(Record, frozen=True, kw_only=True):
    """A run in the table."""

    run: Run  #: with the columns shown alone
    depth: int = 0  #: 1 is a child, 2 a child's child
    children: int = 0
    opened: bool = False
    more_children: int = 0  #: not shown, after the last of these rows


class RunTable(Record, frozen=True, kw_only=True):
    """A page of the table."""

    rows: list[TableRow]
    columns: list[Column]
    known: Known  #: which columns these runs have
    cursor: str | None
    total: int | None  #: how many runs meet the filter
    capped: bool  #: whether there are more than total says
    sparks: dict[str, list[float]]
    experiments: list[groups.Experiment]  #: those that are not deleted, by name


#: Chooses columns for runs, of what they have and how the params of some of them differ.
Choose = Callable[[Known, Sequence[Run], groups.Experiment | None], list[Column]]


def run_table(ws: Workspace, wanted: Wanted, choose: Choose) -> RunTable:
    """Return a page of the table, in one view of the data.

    Raises:
        BadInputError: naming what of the filter, order, columns or cursor cannot be read.
    """
    expression = _expression(wanted, ws.clock.now())
    search = finding.Search(
        expression,
        tuple(filters.parse_orders(wanted.order)),
        None if wanted.experiment is None else (wanted.experiment,),
        wanted.deleted,
    )
    named = None
    if wanted.columns is not None:
        named = [one for text in wanted.columns for one in filters.parse_columns(text)]

    def work(tx: Tx) -> RunTable:
        asked = halts.settled(ws, tx, search)
        found = finding.page(tx, asked, limit=wanted.limit, cursor=wanted.cursor)
        tree = _tree(tx, found.ids, wanted)
        ids = list(dict.fromkeys(run for run, *_ in tree))
        known = columns.known(tx, ids)
        every = groups.listed(tx)
        here = next((one for one in every if one.key == wanted.experiment), None)
        shown = named if named is not None else _chosen(tx, ids, known, here, choose)
        rows = halts.seen(ws, tx, columns.load(tx, ids, [*shown, *ALONG]))
        loaded = {run.id: run for run in rows}
        total = finding.count(tx, asked) if wanted.counted else None
        return RunTable(
            rows=[
                TableRow(
                    run=loaded[run],
                    depth=depth,
                    children=number,
                    opened=run in wanted.opened,
                    more_children=more,
                )
                for run, depth, number, more in tree
                if run in loaded
            ],
            columns=list(dict.fromkeys(shown)),
            known=known,
            cursor=found.cursor,
            total=None if total is None else min(total, finding.MOST_COUNTED),
            capped=total is not None and total > finding.MOST_COUNTED,
            sparks=_sparks(tx, ids, wanted.spark),
            experiments=sorted(
                (one for one in every if one.deleted is None), key=lambda one: one.name.lower()
            ),
        )

    return caught_up(ws).read(Permission.READ, work)


def found_ids(ws: Workspace, wanted: Wanted) -> tuple[list[str], bool]:
    """Return the ids that a filter finds, and whether there are more.

    Raises:
        BadInputError: naming what of the filter or order cannot be read.
    """
    search = finding.Search(
        _expression(wanted, ws.clock.now()),
        tuple(filters.parse_orders(wanted.order)),
        None if wanted.experiment is None else (wanted.experiment,),
        wanted.deleted,
    )
    found = caught_up(ws).read(
        Permission.READ,
        lambda tx: finding.page(tx, halts.settled(ws, tx, search), limit=wanted.limit),
    )
    return found.ids, found.cursor is not None


def _expression(wanted: Wanted, now: float) -> Expression:
    parts: list[Expression] = [filters.parse(wanted.filter, now=now)]
    if wanted.status is not None:
        parts.append(Condition("run", "status", "=", wanted.status))
    if wanted.folded:
        parts.append(Condition("run", "parent", "null"))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _chosen(
    tx: Tx,
    ids: Sequence[str],
    known: Known,
    here: groups.Experiment | None,
    choose: Choose,
) -> list[Column]:
    params: list[Column] = [("param", one.key) for one in known.params[:24]]
    return choose(known, columns.load(tx, ids, params), here)


def _tree(tx: Tx, ids: Sequence[str], wanted: Wanted) -> list[tuple[str, int, int, int]]:
    """Return runs with their depth, number of children and, after the last, children left out."""
    found: list[tuple[str, int, int, int]] = []

    def add(some: Sequence[str], depth: int, left_out: int) -> None:
        counts = kinship.child_counts(tx, some)
        for place, run in enumerate(some):
            last = place == len(some) - 1
            number = counts.get(run, 0)
            found.append((run, depth, number, left_out if last else 0))
            if wanted.folded and number and run in wanted.opened and depth < _DEEPEST:
                inner = kinship.children(tx, run, MOST_CHILDREN)
                add(inner, depth + 1, number - len(inner))

    add(ids, 0, 0)
    return found


def _sparks(tx: Tx, ids: Sequence[str], key: str | None) -> dict[str, list[float]]:
    if key is None:
        return {}
    found = metrics.curves(tx, [(run, key) for run in ids], points=_SPARK)
    return {run: series.values.tolist() for (run, _), series in found.items()}

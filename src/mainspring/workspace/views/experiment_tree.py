"""Gather experiments: what each holds, and one of them as a tree of groups, runs and children."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.experiments import columns, groups, kinship
from mainspring.experiments.kinship import Best, Tally
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Record, Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.run_table import ALONG

MOST_GROUPS = 60
MOST_RUNS = 25  #: of a group, and of the children of a run; a link leads to all of them
_MOST_PARENTS = 40  # whose children come along

#: Reads from an experiment's tags which metric counts: its key, and whether more is better.
Goal = Callable[[groups.Experiment], tuple[str, bool] | None]


class ExperimentRow(Record, frozen=True, kw_only=True):
    """One experiment in the list."""

    experiment: groups.Experiment
    tally: Tally
    best: Best | None


class Node(Record, frozen=True, kw_only=True):
    """A run in the tree, with its newest children."""

    run: Run  #: with the metric that counts, and no other
    children: list[Node] = []
    child_count: int = 0


class Branch(Record, frozen=True, kw_only=True):
    """A group of runs; the one without a name holds those of no group."""

    name: str | None
    tally: Tally
    nodes: list[Node]
    more: bool  #: whether there are runs that are not shown


class Tree(Record, frozen=True, kw_only=True):
    """One experiment."""

    experiment: groups.Experiment
    tally: Tally
    best: Best | None
    branches: list[Branch]
    groups_left_out: int
    metrics: list[str]  #: that its newest runs have: one of them may be declared to count


def experiment_rows(ws: Workspace, goal: Goal) -> list[ExperimentRow]:
    """Return every experiment, deleted ones too, those with the newest runs first."""

    def work(tx: Tx) -> list[ExperimentRow]:
        counted = kinship.tallies(tx)
        return [
            ExperimentRow(
                experiment=one,
                tally=counted.get(one.key, Tally()),
                best=_best(tx, one, goal),
            )
            for one in groups.listed(tx)
        ]

    found = caught_up(ws).read(Permission.READ, work)
    found.sort(key=lambda row: row.tally.newest or row.experiment.created, reverse=True)
    return found


def experiment_tree(ws: Workspace, key: str, goal: Goal) -> Tree:
    """Return one experiment as a tree.

    Raises:
        NotFoundError: if there is none by that key.
    """

    def work(tx: Tx) -> Tree:
        one = groups.by_keys(tx, [key]).get(key)
        if one is None:
            raise NotFoundError(f"There is no experiment {key[:80]!r}.", field="experiment")
        counts = goal(one)
        metric = None if counts is None else counts[0]
        named = kinship.group_tallies(tx, key)
        newest = sorted(named, key=lambda name: named[name].newest or 0.0, reverse=True)
        shown: list[str | None] = [*newest[:MOST_GROUPS], None]
        branches = [
            _branch(tx, key, name, Tally() if name is None else named[name], metric)
            for name in shown
        ]
        ids = [node.run.id for branch in branches for node in branch.nodes][:50]
        return Tree(
            experiment=one,
            tally=kinship.tallies(tx).get(key, Tally()),
            best=_best(tx, one, goal),
            branches=[one for one in branches if one.nodes],
            groups_left_out=max(0, len(newest) - MOST_GROUPS),
            metrics=[column.key for column in columns.known(tx, ids).metrics],
        )

    return caught_up(ws).read(Permission.READ, work)


def _branch(tx: Tx, key: str, name: str | None, tally: Tally, metric: str | None) -> Branch:
    ids = kinship.roots(tx, key, name, MOST_RUNS + 1)
    shown = ids[:MOST_RUNS]
    return Branch(
        name=name, tally=tally, nodes=_nodes(tx, shown, metric), more=len(ids) > MOST_RUNS
    )


def _nodes(tx: Tx, ids: Sequence[str], metric: str | None, depth: int = 0) -> list[Node]:
    wanted = [*ALONG] if metric is None else [*ALONG, ("metric", metric)]
    counts = kinship.child_counts(tx, ids)
    parents = [run for run in ids if counts.get(run)][:_MOST_PARENTS] if depth < 3 else []
    inner = {
        run: _nodes(tx, kinship.children(tx, run, MOST_RUNS), metric, depth + 1) for run in parents
    }
    return [
        Node(run=run, children=inner.get(run.id, []), child_count=counts.get(run.id, 0))
        for run in columns.load(tx, ids, wanted)
    ]


def _best(tx: Tx, one: groups.Experiment, goal: Goal) -> Best | None:
    found = goal(one)
    if found is None or one.deleted is not None:
        return None
    return kinship.best(tx, one.key, found[0], highest=found[1])

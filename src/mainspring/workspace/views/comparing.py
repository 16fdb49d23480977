"""Compare runs for whoever asks: named ones, or those that meet a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.experiments import artifacts, datasets, finding, groups
from mainspring.experiments import columns as of_runs
from mainspring.experiments import compare as comparing
from mainspring.experiments.capture.facts import ENVIRONMENT
from mainspring.experiments.capture.packages import versions
from mainspring.experiments.comparison import Comparison
from mainspring.experiments.expressions import Kind, column
from mainspring.experiments.filters import parse, parse_columns, parse_orders
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace import halts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.views.searching import curves_of

MOST_CURVES = 50
MOST = 300  #: runs in one comparison
_PACKAGES_TAG = "mainspring.packages"


def compare_runs(
    ws: Workspace,
    runs: Sequence[str] | None = None,
    *,
    filter: str = "",  # noqa: A002  as it is called everywhere
    experiment: str | None = None,
    order: str = "",
    limit: int = 100,
    columns: str | None = None,
    by: str | None = None,
    curves: Sequence[str] = (),
    points: int = 500,
) -> Comparison:
    """Return in what runs differ and how their metrics spread.

    Args:
        ws: The workspace.
        runs: Their ids, at most 300; None: those that meet the filter.
        filter: What must hold, in our filter language.
        experiment: Only of the experiment of this name.
        order: Names parted by commas, a minus in front for falling.
        limit: How many found runs at most.
        columns: Only these params, metrics and tags, parted by commas; None is all.
        by: What to group by, such as ``params.C``.
        curves: Metrics whose histories are wanted too; runs times these is at most 50.
        points: Of how many points each, at most.

    Raises:
        BadInputError: naming what is wrong in the filter, order, columns or by.
        NotFoundError: if a run is not there, or fewer than two meet the filter.
    """
    shown = None if columns is None else parse_columns(columns)
    group = None if by is None else _group_by(by)
    search = finding.Search(
        expression=parse(filter, now=ws.clock.now()),
        orders=tuple(parse_orders(order)),
        experiments=None if experiment is None else (groups.key_of_name(experiment),),
    )

    def work(tx: Tx) -> tuple[list[Run], dict[str, str], list[dict[str, str]]]:
        ids = runs if runs is not None else _found(ws, tx, search, limit)
        wanted = shown
        if shown is not None:
            of_code: list[tuple[Kind, str]] = [("tag", t) for t in comparing.OF_CODE.values()]
            wanted = [*shown, *of_code, *([group] if group else [])]
        found = of_runs.load(tx, ids, wanted)
        return found, _environments(tx, found), _data(tx, found)

    found, environments, data = caught_up(ws).read(Permission.READ, work)
    _check_found(found, runs)
    if len(found) * len(curves) > MOST_CURVES:
        raise BadInputError(
            f"At most {MOST_CURVES} curves are shown, found {len(found) * len(curves)}.",
            field="curves",
            hint="Compare fewer runs, or ask for fewer metrics.",
        )
    pairs = [(run.id, key) for key in curves for run in found]
    told = comparing.compare(found)
    packages = _packages(ws, found, environments)
    return msgspec.structs.replace(
        told,
        packages=comparing.rows_of(packages),
        data=comparing.rows_of(data),
        curves=curves_of(ws, pairs, points).curves if pairs else [],
        by=None if group is None else column(*group),
        groups=[] if group is None else comparing.grouped(found, *group),
    )


def _found(ws: Workspace, tx: Tx, search: finding.Search, limit: int) -> Sequence[str]:
    return finding.page(tx, halts.settled(ws, tx, search), limit=limit).ids


def _group_by(text: str) -> tuple[Kind, str]:
    named = parse_columns(text, "by")
    if len(named) != 1:
        raise BadInputError(
            f"Runs are grouped by one thing, such as params.C; found {text[:80]!r}.", field="by"
        )
    return named[0]


def _check_found(found: Sequence[Run], asked: Sequence[str] | None) -> None:
    there = {run.id for run in found}
    for run in asked or ():
        if run not in there:
            raise NotFoundError(f"There is no run {run[:80]!r}.", field="run")
    if len(there) < 2:
        raise NotFoundError(
            f"At least two runs are compared, found {len(there)}.",
            field="runs" if asked is not None else "filter",
            hint="See which there are: mainspring runs",
        )


def _environments(tx: Tx, found: Sequence[Run]) -> dict[str, str]:
    """Return the digest of a file with package versions, by the digest of those versions."""
    told: dict[str, str] = {}
    for run in found:
        packages = run.tags.get(_PACKAGES_TAG)
        if packages is not None and packages not in told:
            try:
                told[packages] = artifacts.get(tx, run.id, ENVIRONMENT).digest
            except NotFoundError:  # written by hand, or the file was removed
                told[packages] = ""
    return told


def _data(tx: Tx, found: Sequence[Run]) -> list[dict[str, str]]:
    """Return the digests of what each run read, by name and what it was for."""
    used = datasets.of_runs(tx, [run.id for run in found])
    several: list[dict[str, str]] = []
    for run in found:
        digests: dict[str, list[str]] = {}
        for use in used[run.id]:
            name = f"{use.dataset.name} ({use.context})" if use.context else use.dataset.name
            digests.setdefault(name, []).append(use.dataset.digest)
        several.append({name: ", ".join(sorted(held)) for name, held in digests.items()})
    return several


def _packages(
    ws: Workspace, found: Sequence[Run], environments: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the package versions of each run; of none, if they are all alike."""
    if len(environments) < 2:
        return []
    known: dict[str, dict[str, str]] = {}
    for packages, digest in environments.items():
        told: Any = msgspec.json.decode(ws.objects.get(digest)) if digest else {}
        known[packages] = _versions(told)
    return [known.get(run.tags.get(_PACKAGES_TAG, ""), {}) for run in found]


def _versions(told: Any) -> dict[str, str]:
    held = told.get("packages") if isinstance(told, dict) else None
    installed = held.get("installed") if isinstance(held, dict) else None
    return versions([str(one) for one in installed]) if isinstance(installed, list) else {}

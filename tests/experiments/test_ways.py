"""A search goes along an index: what SQLite says it will do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from mainspring.backends.sql import open_store
from mainspring.experiments import finding, runs, ways
from mainspring.experiments.filters import parse, parse_orders
from mainspring.experiments.finding import Search
from mainspring.experiments.tables import METADATA
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx


class Watched:
    """A transaction that keeps the plan of every statement that finds runs."""

    dialect = "sqlite"

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.plans: list[str] = []

    def all(self, statement: Any) -> Sequence[Any]:
        told = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        connection = self._tx._connection  # type: ignore[attr-defined]
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {told}").all()
        self.plans.append("; ".join(step[3] for step in steps))
        return self._tx.all(statement)


def plan(folder: Path, text: str, order: str) -> str:
    """Return the plan of the last statement of a search among a few runs."""
    store = open_store(f"sqlite:///{folder}/home/x.db", [METADATA], TurnedClock(1e9), ())
    run = Run(id="a", experiment="e", name="n", status=RunStatus.RUNNING, started=5.0)
    store.write(service("test"), Permission.LOG, lambda tx: runs.create(tx, run))

    def work(tx: Tx) -> str:
        watched: Any = Watched(tx)
        finding.page(watched, Search(parse(text), tuple(parse_orders(order))), limit=1)
        # The first asks how many meet each condition; then comes the one that finds.
        return next(one for one in watched.plans if not one.startswith("SCAN CONSTANT ROW"))

    found = store.read(service("test"), Permission.READ, work)
    store.close()
    return found


@pytest.mark.parametrize(
    ("text", "order", "index"),
    [
        ("", "", "runs_newest"),
        ("metrics.auc > 0.9 and params.C != '1'", "", "runs_newest"),
        ("metrics.auc > 0.9 and params.C != '1'", "-metrics.auc", "metrics_by_value"),
        ("status = 'failed'", "metrics.auc", "metrics_by_value"),
        ("", "params.C", "params_in_order"),
        ("", "-params.C", "params_in_order"),
        ("", "tags.owner", "tags_in_order"),
    ],
)
def test_an_order_is_walked_along_its_index_and_nothing_is_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, order: str, index: str
) -> None:
    monkeypatch.setattr(ways, "FEW", -1)
    found = plan(tmp_path, text, order)
    assert found.startswith(("SEARCH", "SCAN")), found
    assert index in found.partition(";")[0]
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("params.seed = 12", "params_in_order (key=? AND <expr>>? AND <expr><?)"),
        ("params.kind = 'x'", "params_in_order (key=? AND <expr>=? AND <expr>=?)"),
        ("metrics.auc > 0.9", "metrics_by_value (key=? AND value>?)"),
        ("metrics.auc is nan", "metrics_by_value (key=? AND value=?)"),
        ("group = 'sweep'", "tags_in_order (key=? AND <expr>=? AND <expr>=?)"),
        ("parent = 'a'", "runs_of_parent (parent=?)"),
        ("started > 5", "runs_newest (started>?)"),
        ("datasets.digest = 'd1'", "run_datasets"),
    ],
)
def test_a_rare_condition_drives_by_its_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, index: str
) -> None:
    monkeypatch.setattr(ways, "SURELY", 10_000)
    assert index in plan(tmp_path, text, "")

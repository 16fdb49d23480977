"""The steps of a run on every database there is; the rest is tested on one in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store
from mainspring.pipelines import runs
from mainspring.pipelines.tables import METADATA


class EachTx:
    """Every statement in a transaction of its own, so that tests read as plain calls."""

    def __init__(self, store: Store) -> None:
        self.store, self.who = store, service("test")
        self.dialect = store.read(self.who, Permission.READ, lambda tx: tx.dialect)

    def all(self, statement: Any, values: Any = None) -> Sequence[Any]:
        return self.store.read(self.who, Permission.READ, lambda tx: tx.all(statement, values))

    def one(self, statement: Any, values: Any = None) -> Any | None:
        if not statement.is_select:  # an update that returns what it made of the row
            return self.store.write(
                self.who, Permission.WORK, lambda tx: tx.one(statement, values)
            )
        return self.store.read(self.who, Permission.READ, lambda tx: tx.one(statement, values))

    def run(
        self,
        statement: Any,
        rows: Sequence[Mapping[str, Any]] | None = None,
        values: Any = None,
    ) -> int:
        return self.store.write(
            self.who, Permission.WORK, lambda tx: tx.run(statement, rows, values)
        )

    def audit(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("nothing here is audited")

    def now(self) -> float:
        return 0.0

    def lease_now(self) -> float:
        return 0.0


@pytest.fixture
def tx(open_test_store: Callable[..., Store]) -> EachTx:
    return EachTx(open_test_store(METADATA))


PROJECT = """
    import polars as pl

    @step
    def load(rows: int):
        return pl.DataFrame({"a": list(range(rows))})

    @step
    def train(rows, trees: int):
        if trees == 13:
            raise ValueError("no\\0luck")
        return rows.height * trees

    @step
    def report(score):
        return str(score)

    @pipeline
    def main(rows: int = 10, trees: int = 100):
        return report(train(load(rows), trees))
"""


def test_a_run_is_planned_run_reused_explained_broken_and_mended(place) -> None:
    place.write(PROJECT)
    assert set(place.run().values()) == {"done: first time"}
    assert all(told.startswith("reused: reused from run_1") for told in place.run().values())
    told = place.run(trees=120)
    assert told["train"] == "done: param trees: 100 -> 120"
    place.env = {"python": "3.11", "polars": "2.1"}
    assert place.run(trees=120)["load"] == "done: environment: polars 2.0 -> 2.1"
    assert place.value("report") == "1200"
    broken = place.run(trees=13)
    assert broken["train"].startswith("failed: param trees")
    assert broken["report"] == "skipped: skipped because train failed"
    record = runs.get(place.tx, "run_5", "train")
    assert record.error == "Step train failed: ValueError: no\\0luck"
    assert runs.reopen(place.tx, "run_5") == ["train", "report"]
    assert runs.cancelled(place.tx, "run_5", 9.0) == ["train", "report"]
    assert runs.summary(place.tx, "run_5").counts == {"reused": 1, "skipped": 2}
    assert runs.why(place.tx, "run_4", "train")["reused_from"] is None

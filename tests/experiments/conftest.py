from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mainspring.experiments.tables import METADATA
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store

sys.path.insert(0, str(Path(__file__).parent))


class EachTx:
    """Every statement in a transaction of its own, so that tests read as plain calls."""

    def __init__(self, store: Store) -> None:
        self.store, self.who = store, service("test")
        self.dialect = store.read(self.who, Permission.READ, lambda tx: tx.dialect)

    def all(self, statement: Any, values: Any = None) -> Sequence[Any]:
        return self.store.read(self.who, Permission.READ, lambda tx: tx.all(statement, values))

    def one(self, statement: Any, values: Any = None) -> Any | None:
        return self.store.read(self.who, Permission.READ, lambda tx: tx.one(statement, values))

    def run(
        self,
        statement: Any,
        rows: Sequence[Mapping[str, Any]] | None = None,
        values: Any = None,
    ) -> int:
        return self.store.write(
            self.who, Permission.LOG, lambda tx: tx.run(statement, rows, values)
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

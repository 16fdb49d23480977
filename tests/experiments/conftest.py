from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import create_engine

from mainspring.experiments.tables import METADATA
from mainspring.ground.permissions import Principal, owner


class MemoryTx:
    """A transaction on an SQLite database in memory."""

    dialect = "sqlite"

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.audited: list[tuple[str, str]] = []

    @property
    def who(self) -> Principal:
        return owner()

    def all(self, statement: Any) -> Sequence[Any]:
        return list(self.connection.execute(statement).all())

    def one(self, statement: Any) -> Any | None:
        return self.connection.execute(statement).first()

    def run(self, statement: Any, rows: Sequence[Mapping[str, Any]] | None = None) -> int:
        if rows is None:
            return int(self.connection.execute(statement).rowcount)
        return int(self.connection.execute(statement, list(rows)).rowcount)

    def audit(
        self, action: str, subject: str, detail: Mapping[str, Any], reason: str = ""
    ) -> None:
        self.audited.append((action, subject))

    def lease_now(self) -> float:
        return 0.0


@pytest.fixture
def tx() -> Iterator[MemoryTx]:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        yield MemoryTx(connection)
    engine.dispose()

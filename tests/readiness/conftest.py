"""A store of one table space for the registry's tests: SQLite by SQLAlchemy, writers in turn."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from mainspring.ground.objects import Card, CheckResult, Column, GateResult, Signature, Version
from mainspring.ground.permissions import Permission, Principal, owner, service
from mainspring.readiness import tables


class SmallTx:
    """One transaction as the rooms see it; audit rows are kept in a list."""

    def __init__(self, connection: sa.Connection, who: Principal, audited: list[Any]) -> None:
        self._connection, self.who, self._audited = connection, who, audited
        self.dialect = connection.dialect.name

    def all(self, statement: Any) -> Sequence[Any]:
        return self._connection.execute(statement).all()

    def one(self, statement: Any) -> Any | None:
        return self._connection.execute(statement).first()

    def run(self, statement: Any, rows: Sequence[Mapping[str, Any]] | None = None) -> int:
        return self._connection.execute(statement, rows).rowcount

    def audit(
        self, action: str, subject: str, detail: Mapping[str, Any], reason: str = ""
    ) -> None:
        self._audited.append((self.who.name, action, subject, dict(detail), reason))

    def lease_now(self) -> float:
        return 0.0


class SmallStore:
    """Reads and writes one after another; an exception undoes its write, audit included."""

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._lock = threading.Lock()
        self.audited: list[Any] = []
        tables.METADATA.create_all(self.engine)
        with self.engine.begin() as connection:
            for _, ddl in tables.GUARDS:
                for statement in ddl[connection.dialect.name]:
                    connection.execute(sa.text(statement))

    def write(self, who: Principal, permission: Permission, work: Callable[[Any], Any]) -> Any:
        with self._lock, self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(sa.text("PRAGMA foreign_keys=ON"))
                connection.commit()
            audited: list[Any] = []
            with connection.begin():
                result = work(SmallTx(connection, who, audited))
            self.audited.extend(audited)
            return result

    def read(self, who: Principal, permission: Permission, work: Callable[[Any], Any]) -> Any:
        return self.write(who, permission, work)


class Registry:
    """Short words for the tests: every call is one transaction."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def do(self, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        who = service("engine")
        return self.store.write(who, Permission.WORK, lambda tx: function(tx, *given, **named))

    def as_owner(self, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        who = owner("anna")
        return self.store.write(who, Permission.PROMOTE, lambda tx: function(tx, *given, **named))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SmallStore]:
    store = SmallStore(f"sqlite:///{tmp_path / 'small.db'}")
    yield store
    store.engine.dispose()


@pytest.fixture
def reg(store: SmallStore) -> Registry:
    return Registry(store)


SIGNATURE = Signature(
    columns=[Column(name="age", type="float")], kind="binary", target="churned", classes=["0", "1"]
)
CARD = Card(purpose="find who leaves", owner="team", limitations="adults only")


@pytest.fixture
def new_version() -> Callable[..., Version]:
    def make(model: str = "churn", **given: Any) -> Version:
        version = Version(
            model=model,
            number=0,
            run=None,
            package="a" * 64,
            signature=SIGNATURE,
            card=CARD,
            metrics={"auc": 0.8},
            created=1.0,
            by="engine",
        )
        return msgspec.structs.replace(version, **given)

    return make


@pytest.fixture
def gated() -> Callable[..., GateResult]:
    def make(model: str, number: int, passed: bool = True, name: str | None = None) -> GateResult:
        check = CheckResult(name="metric auc", passed=passed, found="auc 0.8", wanted="at least 0")
        return GateResult(
            id=name or f"gate_{model}_{number}_{passed}",
            model=model,
            number=number,
            passed=passed,
            checks=[check],
            at=2.0,
            by="engine",
        )

    return make


@pytest.fixture
def fresh_registry() -> Callable[[Path], Registry]:
    return lambda folder: Registry(SmallStore(f"sqlite:///{folder / 'small.db'}"))

"""The registry over each real database, and short words for its tests."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mainspring.backends.sql import audit
from mainspring.ground.objects import Card, CheckResult, Column, GateResult, Signature, Version
from mainspring.ground.permissions import Permission, owner, service
from mainspring.readiness import tables


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

    @property
    def audited(self) -> list[tuple[Any, ...]]:
        """Every audit row, the oldest first: (who, action, subject, detail, reason)."""
        rows = self.store.read(owner(), Permission.ADMIN, lambda tx: audit.rows(tx, 10_000))
        return [
            (row.who, row.action, row.subject, msgspec.json.decode(row.detail), row.reason)
            for row in reversed(rows)
        ]


@pytest.fixture
def reg(open_test_store: Callable[..., Any]) -> Registry:
    return Registry(open_test_store([tables.METADATA], tables.GUARDS))


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

"""The database itself refuses what the registry would never do."""

import pytest
import sqlalchemy as sa

from mainspring.ground.objects import Decision
from mainspring.readiness import decisions, gate, registry, tables


@pytest.fixture
def two(reg, new_version, gated):
    """Version 1 is champion by a passed gate; version 2 was refused."""
    for passed in (True, False):
        number = reg.do(registry.register, new_version()).number
        reg.do(gate.store_result, gated("churn", number, passed=passed))
    reg.do(registry.promote, "churn", 1, "first", at=3.0)
    return reg


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE aliases SET number = 2 WHERE model = 'churn' AND alias = 'champion'",
        "UPDATE aliases SET alias = 'former' WHERE alias = 'champion'",
        "UPDATE aliases SET model = 'other' WHERE alias = 'champion'",
        "DELETE FROM aliases WHERE alias = 'champion'",
        "DELETE FROM aliases",
        "UPDATE gates SET passed = 1",
        "DELETE FROM gates",
        "DELETE FROM versions WHERE number = 2",
        "UPDATE versions SET package = 'x'",
        "UPDATE alias_history SET reason = 'nicer'",
        "DELETE FROM alias_history",
        "UPDATE overrides SET reason = 'nicer'",
        "UPDATE decisions SET reason = 'nicer'",
    ],
)
def test_the_database_refuses(two, statement, gated):
    two.do(_override_and_decide)
    with pytest.raises(Exception, match="refuses"):
        two.do(lambda tx: tx.run(sa.text(statement)))
    assert two.do(registry.champion, "churn") == 1


def _override_and_decide(tx):
    decisions.override(tx, "churn", 2, "look at it", at=4.0)
    told = Decision(
        id="d1", at=4.0, made=4.0, kind="override", subject="churn/2", reason="why", by="anna"
    )
    decisions.record(tx, told)


def test_a_champion_of_an_ungated_version_cannot_be_inserted(reg, new_version):
    reg.do(registry.register, new_version("fresh"))
    row = {"model": "fresh", "alias": "champion", "number": 1, "moved": 0.0}
    with pytest.raises(Exception, match="passed gate"):
        reg.do(lambda tx: tx.run(sa.insert(tables.aliases).values(row)))
    reg.do(lambda tx: tx.run(sa.insert(tables.aliases).values({**row, "alias": "other"})))
    with pytest.raises(Exception, match="passed gate"):
        reg.do(lambda tx: tx.run(sa.update(tables.aliases).values(alias="champion")))


def test_the_guards_may_be_laid_twice(two, open_test_store):
    open_test_store([tables.METADATA], tables.GUARDS)
    assert two.do(registry.champion, "churn") == 1

"""The database itself refuses what the registry would never do."""

import pytest
import sqlalchemy as sa

from mainspring.ground.objects import Decision
from mainspring.readiness import (
    decisions,
    facts,
    forms,
    gate,
    registry,
    removal,
    tables,
)


@pytest.fixture
def two(reg, new_version, gated):
    """Version 1 is champion by a passed gate; version 2 was refused."""
    for passed in (True, False):
        number = reg.do(registry.register, new_version()).number
        reg.do(gate.store_result, gated("churn", number, passed=passed))
    reg.do(registry.promote, "churn", 1, "first", at=3.0)
    reg.do(registry.set_alias, "churn", "other", 2, "to look at", at=3.0)
    reg.do(registry.register, new_version())
    reg.do(removal.delete_version, "churn", 3, at=3.0)
    reg.do(removal.guard, "churn", ["champion", "production"], at=3.0)
    reg.do(facts.describe_version, "churn", 2, "the other", at=3.0)
    reg.do(forms.trust, "a" * 64, "We made it.", at=3.0)
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
        # number 1 is champion, number 2 has no passed gate, production is guarded
        "INSERT INTO deleted_versions (model, number, at, by) VALUES ('churn', 1, 0, 'x')",
        "INSERT INTO aliases (model, alias, number, moved) VALUES ('churn', 'production', 2, 0)",
        "INSERT INTO aliases (model, alias, number, moved) VALUES ('churn', 'Production', 2, 0)",
        "INSERT INTO aliases (model, alias, number, moved) VALUES ('churn', 'Champion', 2, 0)",
        "UPDATE aliases SET alias = 'production' WHERE number = 2",
        "INSERT INTO version_facts (model, number, description, stage, changed)"
        " VALUES ('churn', 2, '', 'Production', 0)",
        "UPDATE version_facts SET stage = 'Production' WHERE number = 2",
        "UPDATE aliases SET number = 3 WHERE alias = 'other'",
        "DELETE FROM deleted_versions",
        "UPDATE trusted_packages SET reason = 'nicer'",
        "INSERT INTO version_forms (model, number, package, signature, metrics, at, by)"
        " VALUES ('churn', 1, 'x', '{}', '{}', 0, 'x')",
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

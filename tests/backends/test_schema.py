"""Tables and guards are laid out on open, once, and a newer database is refused."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text, update

from mainspring.ground.errors import ConflictError, StoreError
from mainspring.ground.permissions import Permission, owner

WHO = owner()


@pytest.fixture
def open_test_store(database_url: str, open_test_store):
    """Open a database that began empty: how it is laid out is what is tested here."""
    return open_test_store


def tables(*columns: str) -> MetaData:
    meta = MetaData()
    Table(
        "laid", meta, Column("id", Integer, primary_key=True), *(Column(c, Text) for c in columns)
    )
    return meta


def guard(word: str):
    return (
        "laid_guard",
        {
            "sqlite": f"CREATE TRIGGER IF NOT EXISTS laid_guard BEFORE INSERT ON laid"
            f" WHEN NEW.a = '{word}' BEGIN SELECT RAISE(ABORT, 'no {word} here'); END",
            "postgresql": [
                "CREATE OR REPLACE FUNCTION laid_refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
                f" BEGIN IF NEW.a = '{word}' THEN RAISE EXCEPTION 'no {word} here'; END IF;"
                " RETURN NEW; END $$",
                "CREATE TRIGGER laid_guard BEFORE INSERT ON laid"
                " FOR EACH ROW EXECUTE FUNCTION laid_refuse()",
            ],
        },
    )


def put(meta: MetaData, word: str):
    return lambda tx: tx.run(insert(meta.tables["laid"]).values(a=word))


def test_a_new_guard_takes_the_place_of_the_old(open_test_store) -> None:
    meta = tables("a")
    old = open_test_store(meta, [guard("red")])
    with pytest.raises(ConflictError, match="no red here"):
        old.write(WHO, Permission.LOG, put(meta, "red"))
    new = open_test_store(meta, [guard("blue")])
    assert new.write(WHO, Permission.LOG, put(meta, "red")) == 1
    with pytest.raises(ConflictError, match="no blue here"):
        new.write(WHO, Permission.LOG, put(meta, "blue"))


def test_a_database_of_a_newer_release_is_refused(open_test_store) -> None:
    store = open_test_store(tables("a"))
    newer = text("UPDATE schema_version SET version = 99")
    store.write(WHO, Permission.ADMIN, lambda tx: tx.run(newer))
    with pytest.raises(StoreError, match="schema 99"):
        open_test_store(tables("a"))


def test_a_column_without_a_value_for_the_rows_there_are_is_named(open_test_store) -> None:
    open_test_store(tables("a"))
    needed = MetaData()
    Table(
        "laid", needed, Column("id", Integer, primary_key=True), Column("b", Text, nullable=False)
    )
    with pytest.raises(StoreError, match=r"laid\.b is missing, and no value is known"):
        open_test_store(needed)
    open_test_store(tables("a"))


@pytest.mark.parametrize(
    "spoilt", ["DELETE FROM schema_version", "INSERT INTO schema_version VALUES (1, 'x')"]
)
def test_a_database_that_does_not_say_one_version_is_refused(open_test_store, spoilt) -> None:
    store = open_test_store(tables("a"))
    store.write(WHO, Permission.ADMIN, lambda tx: tx.run(text(spoilt)))
    with pytest.raises(StoreError, match="damaged"):
        open_test_store(tables("a"))


def test_a_table_of_another_program_is_left_alone(open_test_store) -> None:
    store = open_test_store(tables("a"))
    for statement in ("ALTER TABLE laid DROP COLUMN a", "DROP TABLE schema_version"):
        store.write(WHO, Permission.ADMIN, lambda tx, one=statement: tx.run(text(one)))
    with pytest.raises(StoreError, match="no release of Mainspring made it"):
        open_test_store(tables("a"))


def test_many_open_a_new_database_at_once(open_test_store) -> None:
    meta, errors = tables("a"), []

    def go() -> None:
        try:
            open_test_store(meta, [guard("red")]).write(WHO, Permission.LOG, put(meta, "x"))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    rows = open_test_store(meta, [guard("red")]).read(
        WHO, Permission.READ, lambda tx: tx.all(select(meta.tables["laid"]))
    )
    assert len(rows) == 6


def test_an_integrity_error_is_a_conflict_on_both(open_test_store) -> None:
    meta = tables("a")
    store = open_test_store(meta)
    laid = meta.tables["laid"]
    store.write(WHO, Permission.LOG, lambda tx: tx.run(insert(laid), [{"id": 1}, {"id": 2}]))
    with pytest.raises(ConflictError, match="refused"):
        store.write(WHO, Permission.LOG, lambda tx: tx.run(insert(laid).values(id=2)))
    change = update(laid).where(laid.c.id == 1).values(id=2)
    with pytest.raises(ConflictError):
        store.write(WHO, Permission.LOG, lambda tx: tx.run(change))

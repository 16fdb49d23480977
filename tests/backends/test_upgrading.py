"""A home of the first release opens with today's code, whole, or stays as it was."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.pool import NullPool

from mainspring.backends.sql import SqlStore, Step, audit, open_store, schema
from mainspring.experiments import artifacts, finding, groups, metrics, runs
from mainspring.experiments.metrics import Point
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import ConflictError, StoreError
from mainspring.ground.identity import sha256
from mainspring.ground.permissions import Permission, owner, service
from mainspring.monitoring import alarms, labels, windows
from mainspring.readiness import decisions, registry, verdicts
from mainspring.scaling.serving import rollouts
from mainspring.workspace import opening, tokens

HOMES = Path(__file__).parent / "homes"
WHO = owner()


def make_old_sqlite(path: Path) -> None:
    """Make the file that the first release left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = sqlite3.connect(path)
    raw.executescript((HOMES / "schema-1-sqlite.sql").read_text())
    raw.execute("PRAGMA journal_mode=WAL")
    raw.close()


def make_old_postgresql(url: str, tmp_path: Path) -> None:
    """Make the first release's tables on a server, and fill them with the same rows."""
    make_old_sqlite(tmp_path / "rows.db")
    source = create_engine(f"sqlite:///{tmp_path}/rows.db", poolclass=NullPool)
    target = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    tables = MetaData()
    with source.connect() as old, target.begin() as new:
        for statement in (HOMES / "schema-1-postgresql.sql").read_text().split("\n;;\n"):
            if statement.strip():
                new.exec_driver_sql(statement.replace("%", "%%"))
        tables.reflect(new)
        order = sorted(tables.sorted_tables, key=lambda t: t.name in ("aliases", "rollouts"))
        for table in order:
            if table.name == "write_marks":
                continue
            found = old.execute(text(f'SELECT * FROM "{table.name}"')).mappings().all()
            rows = [
                {
                    c.name: bool(r[c.name]) if isinstance(c.type, Boolean) else r[c.name]
                    for c in table.columns
                }
                for r in found
            ]
            if rows:
                new.execute(insert(table), rows)
                serial = table.columns.get("id", table.columns.get("seq"))
                if serial is not None and "nextval" in str(
                    serial.server_default and serial.server_default.arg
                ):
                    new.exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{serial.name}'),"
                        f" (SELECT max({serial.name}) FROM {table.name}))"
                    )


@pytest.fixture
def old_url(database_url: str, tmp_path: Path) -> str:
    """A database of each kind as the first release left it."""
    if database_url.startswith("sqlite"):
        make_old_sqlite(Path(database_url.removeprefix("sqlite:///")))
    else:
        make_old_postgresql(database_url, tmp_path)
    return database_url


@pytest.fixture
def open_today(old_url: str):
    opened: list[SqlStore] = []

    def open_it(**more) -> SqlStore:
        store = open_store(old_url, opening.metadata(), TurnedClock(1e9), opening.guards(), **more)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()


def asked(store: SqlStore, work: Callable, *given, **named):
    return store.read(WHO, Permission.READ, lambda tx: work(tx, *given, **named))


def done(store: SqlStore, work: Callable, *given, **named):
    who = service("engine")
    return store.write(who, Permission.WORK, lambda tx: work(tx, *given, **named))


def test_runs_and_their_exact_metrics_are_found_again(open_today) -> None:
    store = open_today()
    first = asked(store, runs.get, "run_first")
    assert (first.name, first.status, first.params) == (
        "first", "finished", {"C": "0.1", "text": "zwölf ☃"},
    )  # fmt: skip
    assert first.tags == {"who": "team"}
    points, _ = asked(store, metrics.history, "run_first", "auc")
    assert [p.step for p in points] == [0, 1, 2, -(2**63), 2**63 - 1, 3]
    assert math.isnan(points[1].value)
    assert [p.value for p in points if not math.isnan(p.value)] == [
        0.5, math.inf, -math.inf, 0.1 + 0.2, 5e-324,
    ]  # fmt: skip
    assert asked(store, artifacts.get, "run_first", "plots/roc.png").digest == sha256(b"roc")
    page = asked(store, finding.page, finding.Search())
    assert page.ids == ["run_second", "run_first"]
    done(store, runs.show, "run_gone")
    assert asked(store, runs.get, "run_gone").name == "gone"
    assert asked(store, groups.by_name, "Nächste Flüge!").tags == {"team": "blue"}


def test_versions_gates_and_history_are_found_again(open_today) -> None:
    store = open_today()
    champion = asked(store, registry.resolve, "late@champion")
    assert champion.number == 2
    assert champion.card.limitations == "few rows, one airport"
    assert [v.number for v in asked(store, registry.versions, "late")] == [3, 2, 1]
    assert asked(store, verdicts.passed, "late", 2)
    assert not asked(store, verdicts.passed, "late", 3)
    assert [m.number for m in asked(store, registry.history, "late")] == [1, 2]
    assert asked(store, decisions.get, "dec_1").evidence == {"auc": 0.8}
    assert asked(store, rollouts.running, "late").challenger == 3
    assert asked(store, windows.get, "late:1").rows == 100
    assert asked(store, alarms.get, "al_1").reason == "it moved"
    assert asked(store, labels.read, "late").height == 2
    assert [t.name for t in asked(store, tokens.listed)] == ["ci"]


def test_the_database_still_guards_the_champion_and_the_history(open_today) -> None:
    store = open_today()
    for statement in (
        "UPDATE aliases SET number = 3 WHERE alias = 'champion'",
        "DELETE FROM aliases WHERE alias = 'champion'",
        "UPDATE gates SET passed = 1",
        "DELETE FROM versions",
        "UPDATE decisions SET reason = 'none'",
    ):
        with pytest.raises(ConflictError, match="mainspring refuses"):
            done(store, lambda tx, one=statement: tx.run(text(one)))
    assert done(store, registry.promote, "late", 1, "back", 2e9) == 2


def test_new_rows_go_in_beside_the_old(open_today) -> None:
    store = open_today()
    done(store, metrics.log_points, "run_first", [Point(key="auc", value=0.9, step=7, time=2e9)])
    points, _ = asked(store, metrics.history, "run_first", "auc")
    assert len(points) == 7
    assert points[-1].value == 0.9
    assert done(store, groups.create, "brand new", {}, 2e9).id > 0


def test_the_audit_chain_goes_on_over_the_upgrade(open_today) -> None:
    store = open_today()
    report = store.read(WHO, Permission.ADMIN, audit.verify)
    assert report.ok
    newest = store.read(WHO, Permission.ADMIN, lambda tx: audit.rows(tx, 1))[0]
    assert newest.action == "schema.upgrade"
    assert f"from schema 1 to {schema.VERSION}" in newest.reason


def test_an_upgrade_is_made_once(open_today, caplog) -> None:
    rows = [open_today().read(WHO, Permission.ADMIN, audit.verify).rows for _ in range(3)]
    assert len(set(rows)) == 1
    assert len([r for r in caplog.records if "was upgraded" in r.message]) == 1


def test_many_processes_open_an_old_home_at_once(open_today) -> None:
    stores, errors = [], []

    def go() -> None:
        try:
            stores.append(open_today())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = stores[0].read(WHO, Permission.ADMIN, lambda tx: audit.rows(tx, 1000))
    assert len([row for row in found if row.action == "schema.upgrade"]) == 1


def test_steps_move_rows_once_and_in_order_of_version(open_today) -> None:
    moved = []

    def rename(tx) -> None:
        moved.append(tx.run(text("UPDATE runs SET name = 'moved' WHERE id = 'run_first'")))

    steps = [
        Step(3, "not yet", lambda tx: moved.append("never")),
        Step(2, "rename", rename),
        Step(1, "long ago", lambda tx: moved.append("never")),
    ]
    store = open_today(steps=steps)
    open_today(steps=steps)
    assert moved == [1]
    assert asked(store, runs.get, "run_first").name == "moved"


def test_a_step_that_fails_leaves_the_old_home(open_today, old_url) -> None:
    def fail(tx) -> None:
        tx.run(delete(runs_table()))
        raise ValueError("cannot")

    def runs_table() -> Table:
        return Table("deleted_runs", MetaData(), Column("run", String))

    with pytest.raises(ValueError, match="cannot"):
        open_today(steps=[Step(2, "fail", fail)])
    store = open_today()
    assert done(store, runs.hidden, ["run_gone"]) == {"run_gone"}


def test_a_step_that_the_database_refuses_leaves_the_old_home(open_today) -> None:
    twice = text("INSERT INTO params SELECT * FROM params")
    with pytest.raises(ConflictError, match="refused"):
        open_today(steps=[Step(2, "double", lambda tx: tx.run(twice))])
    store = open_today()
    assert asked(store, runs.get, "run_first").params == {"C": "0.1", "text": "zwölf ☃"}


# ---------------------------------------------------------------- SQLite's copy


def test_the_file_is_copied_aside_for_its_owner(tmp_path: Path, caplog) -> None:
    path = tmp_path / "home" / "m.db"
    make_old_sqlite(path)
    open_store(f"sqlite:///{path}", opening.metadata(), TurnedClock(1e9), opening.guards()).close()
    copy = path.with_name("m.db.schema-1")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert str(copy) in caplog.text
    raw = sqlite3.connect(copy)
    assert raw.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
    assert raw.execute("SELECT count(*) FROM runs").fetchone() == (3,)
    raw.close()
    before = copy.stat().st_mtime_ns
    open_store(f"sqlite:///{path}", opening.metadata(), TurnedClock(1e9), opening.guards()).close()
    assert copy.stat().st_mtime_ns == before


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    make_old_sqlite(path)
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA writable_schema=ON")
    raw.execute(
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master"
        " WHERE name = 'runs') WHERE name = 'runs_newest'"
    )
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="damaged"):
        open_store(f"sqlite:///{path}", opening.metadata(), TurnedClock(1e9), opening.guards())
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
    raw.close()


OPEN_IT = """
import sys
from mainspring.backends.sql import open_store
from mainspring.ground.clock import TurnedClock
from mainspring.workspace import opening
open_store(sys.argv[1], opening.metadata(), TurnedClock(1e9), opening.guards()).close()
"""


@pytest.mark.parametrize("point", ["upgrade.copied:1", "upgrade.changed:1"])
def test_a_process_killed_in_the_middle_leaves_the_old_version(old_url, open_today, point) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", OPEN_IT, old_url],
        env={**os.environ, "MAINSPRING_KILL_AT": point},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    url = old_url.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as raw:
        assert raw.execute(text("SELECT version FROM schema_version")).all() == [(1,)]
    store = open_today()
    assert asked(store, runs.get, "run_first").name == "first"
    assert store.read(WHO, Permission.ADMIN, audit.verify).ok


# ---------------------------------------------------------------- each kind of change


def before() -> MetaData:
    meta = MetaData()
    Table("parents", meta, Column("id", Integer, primary_key=True))
    Table(
        "things",
        meta,
        Column("id", Integer, primary_key=True),
        Column("name", String(10), nullable=False),
        Column("small", Integer),
        Column("of", Integer),
        Index("things_by", "name"),
    )
    return meta


def opened_after(open_test_store, change: Callable[[Table], None]) -> SqlStore:
    """Open with one table, fill a row in, and open with the table changed."""
    meta = before()
    store = open_test_store(meta)
    row = insert(meta.tables["things"]).values(id=1, name="one", small=1)
    store.write(WHO, Permission.LOG, lambda tx: tx.run(row))
    after = before()
    change(after.tables["things"])
    return open_test_store(after)


def the_row(store: SqlStore):
    query = text("SELECT * FROM things WHERE id = 1")
    return store.read(WHO, Permission.READ, lambda tx: tx.one(query))


def test_columns_that_may_be_null_or_have_a_default_are_added(open_test_store) -> None:
    def change(table: Table) -> None:
        table.append_column(Column("note", Text))
        table.append_column(Column("share", Float(53), nullable=False, default=0.5))
        table.append_column(Column("on", Boolean, nullable=False, default=True))
        table.append_column(Column("said", Text, nullable=False, server_default="it's 5 %"))
        table.append_column(Column("parent", Integer, ForeignKey("parents.id")))

    row = the_row(opened_after(open_test_store, change))
    assert (row.note, row.share, bool(row.on), row.said, row.parent) == (
        None, 0.5, True, "it's 5 %", None,
    )  # fmt: skip


def test_who_writes_meanwhile_waits_and_loses_nothing(open_test_store) -> None:
    """A process of the older release goes on; what it was told is kept is there."""
    meta = before()
    old = open_test_store(meta)
    things = meta.tables["things"]
    told, errors, over = [], [], threading.Event()

    def go() -> None:
        number = 0
        while not over.is_set() or number < 20:
            number += 1
            row = insert(things).values(id=number, name="meanwhile")
            try:
                old.write(WHO, Permission.LOG, lambda tx, row=row: tx.run(row))
            except Exception as error:  # noqa: BLE001
                errors.append(error)
                return
            told.append(number)

    thread = threading.Thread(target=go)
    thread.start()
    after = before()
    after.tables["things"].append_column(Column("note", Text, server_default="none yet"))
    Index("things_note", after.tables["things"].c.note)
    new = open_test_store(after)
    over.set()
    thread.join()
    assert errors == []
    rows = new.read(WHO, Permission.READ, lambda tx: tx.all(select(after.tables["things"])))
    assert sorted(row.id for row in rows) == told
    assert {row.note for row in rows} == {"none yet"}


def test_a_reference_that_was_added_is_kept(open_test_store) -> None:
    column = Column("parent", Integer, ForeignKey("parents.id"))
    store = opened_after(open_test_store, lambda table: table.append_column(column))
    change = text("UPDATE things SET parent = 77")
    with pytest.raises(ConflictError):
        store.write(WHO, Permission.LOG, lambda tx: tx.run(change))


def test_indexes_are_added_and_changed_by_name(open_test_store) -> None:
    def change(table: Table) -> None:
        table.indexes.clear()
        Index("things_by", table.c.small, table.c.name)
        Index("things_once", table.c.of, unique=True)
        Index("things_some", table.c.small, sqlite_where=text("small > 0"))

    store = opened_after(open_test_store, change)
    raw = store._database.connection
    found = {one["name"]: one["column_names"] for one in inspect(raw).get_indexes("things")}
    assert found == {
        "things_by": ["small", "name"], "things_once": ["of"], "things_some": ["small"],
    }  # fmt: skip


def test_an_index_over_an_expression_is_known_by_its_name(open_test_store) -> None:
    def change(table: Table) -> None:
        Index("things_lower", func.lower(table.c.name), table.c.small)

    store = opened_after(open_test_store, change)
    after = before()
    change(after.tables["things"])
    after.tables["things"].append_column(Column("note", Text))
    assert the_row(open_test_store(after)).note is None
    assert the_row(store).name == "one"


def test_a_guard_that_is_declared_no_more_refuses_no_more(open_today, old_url) -> None:
    open_today()
    fewer = [one for one in opening.guards() if one[0] != "decisions_once"]
    store = open_store(old_url, opening.metadata(), TurnedClock(1e9), fewer)
    change = text("UPDATE decisions SET reason = 'other'")
    assert done(store, lambda tx: tx.run(change)) == 1
    store.close()


def test_a_constraint_becomes_a_unique_index(open_test_store) -> None:
    store = opened_after(
        open_test_store, lambda table: table.append_constraint(UniqueConstraint("name"))
    )
    again = text("INSERT INTO things (id, name) VALUES (2, 'one')")
    with pytest.raises(ConflictError):
        store.write(WHO, Permission.LOG, lambda tx: tx.run(again))


def test_columns_that_grow_keep_their_rows(open_test_store) -> None:
    def change(table: Table) -> None:
        table.c.name.type = Text()
        table.c.small.type = BigInteger()

    store = opened_after(open_test_store, change)
    longer = text(f"UPDATE things SET name = '{'x' * 99}', small = {2**60}")
    store.write(WHO, Permission.LOG, lambda tx: tx.run(longer))
    row = the_row(store)
    assert (len(row.name), row.small) == (99, 2**60)


def test_rows_that_stand_in_the_way_of_an_index_are_a_clear_error(open_test_store) -> None:
    meta = before()
    store = open_test_store(meta)
    rows = [{"id": n, "name": "same"} for n in (1, 2)]
    store.write(WHO, Permission.LOG, lambda tx: tx.run(insert(meta.tables["things"]), rows))
    after = before()
    Index("things_once", after.tables["things"].c.name, unique=True)
    with pytest.raises(StoreError, match="could not be upgraded and stays as it was"):
        open_test_store(after)
    open_test_store(before())


def test_every_difference_that_cannot_be_mended_is_named_at_once(open_test_store) -> None:
    def change(table: Table) -> None:
        table.c.small.type = Text()
        table.c.of.nullable = False
        table.append_column(Column("must", Text, nullable=False))

    with pytest.raises(StoreError) as caught:
        opened_after(open_test_store, change)
    for word in (
        "things.small is INTEGER",
        "things.of must not be NULL",
        "things.must is missing",
    ):
        assert word in str(caught.value)


def test_a_column_that_nobody_knows_must_not_be_needed(open_test_store) -> None:
    store = open_test_store(before())
    change = text("ALTER TABLE things ADD COLUMN extra INTEGER")
    store.write(WHO, Permission.ADMIN, lambda tx: tx.run(change))
    after = before()
    after.tables["things"].append_column(Column("note", Text))
    store = open_test_store(after)
    row = update(after.tables["things"]).values(note="x")
    store.write(WHO, Permission.LOG, lambda tx: tx.run(row))
    nobody = select(text("extra")).select_from(text("things"))
    assert store.read(WHO, Permission.READ, lambda tx: tx.all(nobody)) == []
    needed = text("ALTER TABLE things ADD COLUMN needed INTEGER NOT NULL")
    if store.read(WHO, Permission.READ, lambda tx: tx.dialect) == "postgresql":
        store.write(WHO, Permission.ADMIN, lambda tx: tx.run(needed))
        with pytest.raises(StoreError, match=r"things\.needed must be given"):
            open_test_store(before())

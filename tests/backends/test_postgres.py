"""What is PostgreSQL's own: collisions, a server that goes away, a commit without an answer."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select

from mainspring.backends.sql import SqlStore, audit, open_store
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.permissions import Permission, owner
from mainspring.testing.postgres import PostgresServer, find_binaries
from waiting import WITHIN_S, until

META = MetaData()
KEPT = Table("kept", META, Column("id", Integer, primary_key=True), Column("text", Text))
WHO = owner()


@pytest.fixture
def url(new_database) -> str:
    return new_database()


def opened(url: str) -> SqlStore:
    return open_store(url, [META], TurnedClock(5.0))


@pytest.fixture
def store(url: str):
    store = opened(url)
    yield store
    store.close()


def add(text: str):
    return lambda tx: tx.run(insert(KEPT).values(text=text))


def count(store: SqlStore) -> int:
    query = select(func.count()).select_from(KEPT)
    return store.read(WHO, Permission.READ, lambda tx: tx.one(query)[0])


def test_two_that_collide_both_succeed_one_after_the_other(url: str, store: SqlStore) -> None:
    """Both read the same view and write what only one of them could: the later runs again."""
    other, gate, runs = opened(url), threading.Barrier(2, timeout=60), []

    def work(tx):
        found = tx.one(select(func.count()).select_from(KEPT))[0]
        runs.append(found)
        if len(runs) <= 2:
            gate.wait()
        tx.run(insert(KEPT).values(text=f"row {found}"))
        tx.audit("add", "row", {"n": found})
        return found

    results = []
    threads = [
        threading.Thread(target=lambda s=s: results.append(s.write(WHO, Permission.LOG, work)))
        for s in (store, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1]
    assert len(runs) == 3
    report = store.read(WHO, Permission.READ, audit.verify)
    assert (report.rows, report.ok) == (2, True)
    other.close()


def test_unrelated_writers_do_not_wait_for_each_other(url: str, store: SqlStore) -> None:
    other = opened(url)

    def work(tx):
        add("slow")(tx)
        thread = threading.Thread(target=other.write, args=(WHO, Permission.LOG, add("quick")))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()

    store.write(WHO, Permission.LOG, work)
    assert count(store) == 2
    other.close()


def test_a_lost_connection_is_made_anew(url: str, store: SqlStore, postgres_server) -> None:
    store.write(WHO, Permission.LOG, add("before"))
    count(store)
    store.changed()
    _end_sessions(postgres_server, url)
    assert count(store) == 1
    assert store.write(WHO, Permission.LOG, add("after")) == 1
    _end_sessions(postgres_server, url)
    store.changed()
    assert count(store) == 2


def test_a_connection_lost_inside_a_work_runs_it_again(url, store, postgres_server) -> None:
    runs = []

    def work(tx):
        runs.append(1)
        add("once")(tx)
        if len(runs) == 1:
            _end_sessions(postgres_server, url)
        return add("twice")(tx)

    assert store.write(WHO, Permission.LOG, work) == 1
    assert len(runs) == 2
    assert count(store) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_commit_without_an_answer_is_looked_up(url, store, postgres_server, kept: bool) -> None:
    """Neither lost nor doubled: the server is asked what became of the transaction."""
    session = store._database.session
    plain = session._connection.exec_driver_sql
    calls = []

    def cut(statement, *rest):
        if statement == "COMMIT" and not calls:
            calls.append(1)
            if kept:
                plain(statement)
            _end_sessions(postgres_server, url)
            return plain("SELECT 1")
        return plain(statement, *rest)

    session._connection.exec_driver_sql = cut
    assert store.write(WHO, Permission.LOG, add("exactly once")) == 1
    assert calls == [1]
    assert count(store) == 1


def test_a_work_that_writes_nothing_leaves_no_mark(store: SqlStore, monkeypatch) -> None:
    def marks() -> int:
        from sqlalchemy import text

        query = text("SELECT count(*) FROM write_marks")
        return store.read(WHO, Permission.READ, lambda tx: tx.one(query)[0])

    before, seen = marks(), store.changed()
    store.write(WHO, Permission.LOG, lambda tx: tx.all(select(KEPT)))
    assert (marks(), store.changed()) == (before, seen)
    store.write(WHO, Permission.LOG, add("x"))
    assert marks() == before + 1
    monkeypatch.setattr("mainspring.backends.sql.postgres.SWEEP_EVERY", 1)
    store.write(WHO, Permission.LOG, add("y"))
    assert marks() == before + 2, "young marks stay"


def test_a_restart_of_the_server_loses_nothing(monkeypatch) -> None:
    monkeypatch.setattr("mainspring.backends.sql.postgres.PATIENCE_S", WITHIN_S)
    monkeypatch.setattr("mainspring.backends.sql.server.Server.connect.__defaults__", (WITHIN_S,))
    with PostgresServer() as server:
        store = opened(server.create("restarted"))
        told: list[int] = []
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                store.write(WHO, Permission.LOG, add("x"))
                told.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        until(lambda: len(told) >= 20)
        server.stop_hard()
        server.start()
        before = len(told)
        try:
            until(lambda: len(told) >= before + 20)
        finally:
            stop.set()
            writer.join()
        kept = count(store)
        store.close()
        assert kept == len(told)


def test_a_server_that_stays_away_is_unavailable(monkeypatch) -> None:
    monkeypatch.setattr("mainspring.backends.sql.server.Server.connect.__defaults__", (0.2,))
    with pytest.raises(UnavailableError, match="does not let us in"):
        opened("postgresql://nobody@127.0.0.1:9/nowhere")


def test_what_text_cannot_hold_is_refused(store: SqlStore) -> None:
    with pytest.raises(BadInputError, match="cannot hold"):
        store.write(WHO, Permission.LOG, add("a\x00b"))


def test_leases_are_kept_by_the_servers_clock(store: SqlStore) -> None:
    now, boot = store.write(WHO, Permission.LOG, lambda tx: (tx.lease_now(), tx.boot))
    assert abs(now - time.time()) < 60
    assert boot == ""


def test_the_server_for_tests_flushes_to_disk(store: SqlStore) -> None:
    def work(tx):
        from sqlalchemy import text

        return [tx.one(text(f"SHOW {name}"))[0] for name in ("fsync", "synchronous_commit")]

    assert store.read(WHO, Permission.READ, work) == ["on", "on"]
    assert (find_binaries() / "initdb").exists()


def _end_sessions(server: PostgresServer, url: str) -> None:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [url.rpartition("/")[2]],
        )

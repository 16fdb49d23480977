"""What is SQLite's own: the files, the lock, the full disk and the failing one."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from select import select as ready

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    select,
)

from mainspring.backends.sql import SqlStore, open_store
from mainspring.backends.sql.lock import FairLock
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, ConflictError, StoreError
from mainspring.ground.permissions import Permission, owner
from waiting import until

META = MetaData()
THINGS = Table(
    "things",
    META,
    Column("id", Integer, primary_key=True),
    Column("text", Text),
    Column("of", Integer, ForeignKey("things.id", deferrable=True, initially="DEFERRED")),
    Column("large", BigInteger),
)
WHO = owner()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "mainspring.db"


@pytest.fixture
def store(path: Path):
    store = open_store(f"sqlite:///{path}", [META], TurnedClock(5.0))
    yield store
    store.close()


def add(text: str, **rest: int):
    return lambda tx: tx.run(insert(THINGS).values(text=text, **rest))


def texts(store: SqlStore) -> list[str]:
    query = select(THINGS.c.text).order_by(THINGS.c.id)
    return store.read(WHO, Permission.READ, lambda tx: [row.text for row in tx.all(query)])


def together(store: SqlStore, *works):
    """Run works in one group: the first holds the line until all others stand in it."""
    queue, outcomes, begun = store._writers._queue, {}, threading.Event()

    def first(tx):
        begun.set()
        give_up = time.monotonic() + 60
        while len(queue) < len(works) and time.monotonic() < give_up:
            time.sleep(0.001)

    def go(name, work):
        try:
            outcomes[name] = store.write(WHO, Permission.LOG, work)
        except Exception as error:  # noqa: BLE001
            outcomes[name] = error

    threads = [threading.Thread(target=go, args=("first", first))]
    threads[0].start()
    assert begun.wait(60)
    for number, work in enumerate(works):
        while len(queue) < number:  # one after another, so that their order is known
            time.sleep(0.001)
        threads.append(threading.Thread(target=go, args=(number, work)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return [outcomes[number] for number in range(len(works))]


def test_files_and_folder_are_for_the_owner_alone(store: SqlStore, path: Path) -> None:
    store.write(WHO, Permission.LOG, add("x"))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) >= {"mainspring.db", "mainspring.db-wal", "mainspring.db-lock"}
    assert set(modes.values()) == {0o600}


def test_every_connection_flushes_at_commit(store: SqlStore) -> None:
    raw = store._database.session._driver
    assert raw.execute("PRAGMA synchronous").fetchone() == (2,)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_works_that_wait_share_one_commit_and_fail_alone(store: SqlStore, monkeypatch) -> None:
    commits = []
    session = store._database.session
    commit = session.commit
    monkeypatch.setattr(session, "commit", lambda: (commits.append(1), commit()))

    def bad(tx):
        add("never")(tx)
        tx.audit("never", "x", {})
        raise ValueError("mine alone")

    outcomes = together(store, add("a"), bad, add("b"), add("c"))
    assert [o for o in outcomes if not isinstance(o, Exception)] == [1, 1, 1]
    assert str(outcomes[1]) == "mine alone"
    assert sorted(texts(store)) == ["a", "b", "c"]
    assert len(commits) == 2, "one for the first, one for the four"


def test_a_constraint_that_waits_for_the_commit_fails_its_own_work_only(store: SqlStore) -> None:
    outcomes = together(store, add("a"), add("orphan", of=4711), add("b"))
    assert outcomes[0] == outcomes[2] == 1
    assert isinstance(outcomes[1], ConflictError)
    assert texts(store) == ["a", "b"]


def test_a_full_disk_fails_the_writer_and_not_the_store(store: SqlStore) -> None:
    raw = store._database.session._driver
    pages = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count={pages + 3}")
    outcomes = together(store, add("small"), add("x" * 200_000), add("small too"))
    assert outcomes[0] == outcomes[2] == 1
    assert isinstance(outcomes[1], StoreError)
    assert "full" in str(outcomes[1])
    assert texts(store) == ["small", "small too"]
    raw.execute("PRAGMA max_page_count=1000000")
    assert store.write(WHO, Permission.LOG, add("again")) == 1


def test_after_a_failed_flush_nothing_is_written_any_more(store: SqlStore, monkeypatch) -> None:
    session = store._database.session

    class Failing:
        in_transaction = False

        def execute(self, statement: str):
            if statement != "COMMIT":
                return real.execute(statement)
            real.execute("ROLLBACK")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

    real = session._driver
    monkeypatch.setattr(session, "_driver", Failing())
    with pytest.raises(StoreError, match="disk failed"):
        store.write(WHO, Permission.LOG, add("lost"))
    monkeypatch.setattr(session, "_driver", real)
    with pytest.raises(StoreError, match="writing has stopped"):
        store.write(WHO, Permission.LOG, add("refused"))
    assert texts(store) == []


def test_ctrl_c_in_a_group_costs_the_others_nothing(store: SqlStore) -> None:
    def interrupted(tx):
        raise KeyboardInterrupt

    outcomes, begun = [], threading.Event()

    def leader(tx):
        begun.set()
        while not store._writers._queue:
            time.sleep(0.001)
        raise KeyboardInterrupt

    def go():
        assert begun.wait(60)
        outcomes.append(store.write(WHO, Permission.LOG, add("survivor")))

    thread = threading.Thread(target=go)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        store.write(WHO, Permission.LOG, leader)
    thread.join(60)
    assert outcomes == [1]
    assert texts(store) == ["survivor"]
    with pytest.raises(KeyboardInterrupt):
        store.write(WHO, Permission.LOG, interrupted)
    assert store.write(WHO, Permission.LOG, add("next")) == 1


def test_ctrl_c_while_waiting_for_the_lock_leaves_the_line_open(
    store: SqlStore, monkeypatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store._database.session, "turn", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.write(WHO, Permission.LOG, add("never"))
    assert store.write(WHO, Permission.LOG, add("next")) == 1
    assert texts(store) == ["next"]


def test_a_number_too_large_is_refused_not_altered(store: SqlStore) -> None:
    with pytest.raises(BadInputError):
        store.write(WHO, Permission.LOG, add("x", large=2**63))
    store.write(WHO, Permission.LOG, add("x", large=2**63 - 1))
    row = store.read(WHO, Permission.READ, lambda tx: tx.one(select(THINGS.c.large)))
    assert row.large == 2**63 - 1


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match=r"x\.db cannot be used"):
        open_store(f"sqlite:///{tmp_path}/x.db", [META], TurnedClock())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://x/y"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(BadInputError):
        open_store(url, [META], TurnedClock())


def test_leases_are_kept_by_the_boot_clock(store: SqlStore) -> None:
    def work(tx):
        return tx.lease_now(), tx.boot, tx.dialect

    now, boot, dialect = store.write(WHO, Permission.LOG, work)
    assert dialect == "sqlite"
    if sys.platform == "linux":
        assert abs(now - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
        assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_forked_process_has_to_open_its_own(store: SqlStore) -> None:
    store._process = os.getpid() + 1
    with pytest.raises(StoreError, match="own store"):
        store.write(WHO, Permission.LOG, add("x"))


def test_whoever_waited_goes_before_whoever_comes_back(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from mainspring.backends.sql.lock import FairLock\n"
        f"lock = FairLock(Path({str(tmp_path / 'x.db')!r}))\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "with lock: print('got it', flush=True)\n"
    )
    lock = FairLock(tmp_path / "x.db")
    root = str(Path(__file__).parents[2] / "src")
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as waiting:
        assert waiting.stdout.readline() == "ready\n"
        with lock:
            waiting.stdin.write("go\n")
            waiting.stdin.flush()
            until(lambda: waits_for_a_lock(waiting.pid))
        with lock:  # it had the lock before we had it again, and said so while it had it
            assert ready([waiting.stdout], [], [], 0)[0]
        assert waiting.stdout.readline() == "got it\n"
    lock.close()


def waits_for_a_lock(pid: int) -> bool:
    """Return whether a process stands in the kernel's line for a lock; it shows them with "->"."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in lines)

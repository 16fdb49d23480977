"""What every store promises, as tests. Subclass StorePromises and override ``place``."""

# ruff: noqa: S101  (these are tests)

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select, text, update

from mainspring.ground.errors import ConflictError, PermissionDeniedError, StoreError
from mainspring.ground.permissions import ALLOWED, Permission, Principal, Role, owner, service
from mainspring.ground.ports import Store, Tx

METADATA = MetaData()
NOTES = Table(
    "promised_notes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("writer", Text, nullable=False),
    Column("number", Integer, nullable=False),
)
COUNTER = Table("promised_counter", METADATA, Column("value", Integer, primary_key=True))
WHO = owner("promise")


class StorePlace(msgspec.Struct, frozen=True):
    """A database under test: how to open it here and in another process."""

    open: Callable[[], Store]  #: open it once more; METADATA of this module must be laid out
    source: str  #: Python that leaves an open store in the variable ``store``
    verify: Callable[[Tx], Any]  #: walks the audit log; gives ``rows``, ``ok``, ``first_bad``
    untie: tuple[str, ...]  #: statements that take the audit log's guards away


def note(writer: str, number: int) -> Callable[[Tx], int]:
    """Return a work that writes one row."""
    return lambda tx: tx.run(insert(NOTES).values(writer=writer, number=number))


def notes_of(store: Store, writer: str) -> list[int]:
    """Return the numbers a writer left, in order."""
    query = select(NOTES.c.number).where(NOTES.c.writer == writer).order_by(NOTES.c.number)
    return store.read(WHO, Permission.READ, lambda tx: [row.number for row in tx.all(query)])


def count_up(tx: Tx) -> int:
    """Read a number and write the next; wrong at once if two do it side by side."""
    value = int(tx.one(select(func.max(COUNTER.c.value)).select_from(COUNTER))[0] or 0) + 1  # type: ignore[index]
    tx.run(insert(COUNTER).values(value=value))
    return value


class StorePromises:
    """Override ``place``; a test is one promise of :class:`mainspring.ground.ports.Store`."""

    @pytest.fixture
    def place(self) -> StorePlace:
        """Return an empty database."""
        raise NotImplementedError("override the fixture `place`")

    @pytest.fixture
    def store(self, place: StorePlace) -> Iterator[Store]:
        """Open the database for one test."""
        store = place.open()
        yield store
        store.close()

    def test_a_failed_work_leaves_nothing(self, store: Store) -> None:
        """Atomic."""

        def work(tx: Tx) -> None:
            tx.run(insert(NOTES), [{"writer": "a", "number": n} for n in range(10)])
            raise ZeroDivisionError("in the middle")

        with pytest.raises(ZeroDivisionError, match="in the middle"):
            store.write(WHO, Permission.LOG, work)
        assert notes_of(store, "a") == []

    def test_a_write_returns_what_its_work_returns(self, store: Store) -> None:
        """Rows by attribute, counts of changed rows."""
        rows = [{"writer": "b", "number": n} for n in range(3)]
        assert store.write(WHO, Permission.LOG, lambda tx: tx.run(insert(NOTES), rows)) == 3
        assert store.write(WHO, Permission.LOG, lambda tx: tx.run(insert(NOTES), [])) == 0
        change = update(NOTES).where(NOTES.c.writer == "b", NOTES.c.number > 0).values(number=7)
        assert store.write(WHO, Permission.LOG, lambda tx: tx.run(change)) == 2
        returning = insert(NOTES).values(writer="b", number=9).returning(NOTES.c.number)
        assert store.write(WHO, Permission.LOG, lambda tx: tx.all(returning)[0].number) == 9

    def test_a_read_sees_every_acknowledged_write(self, place: StorePlace, store: Store) -> None:
        """Ordered, also between two openings."""
        other = place.open()
        for number in range(20):
            (store if number % 2 else other).write(WHO, Permission.LOG, note("c", number))
            assert notes_of(other if number % 2 else store, "c") == list(range(number + 1))
        other.close()

    def test_a_read_keeps_one_view_while_others_write(self, store: Store) -> None:
        """Snapshot; and a reader does not hold up a writer."""
        query = select(func.count()).select_from(NOTES)

        def work(tx: Tx) -> tuple[int, int]:
            before = tx.one(query)[0]  # type: ignore[index]
            writer = threading.Thread(target=store.write, args=(WHO, Permission.LOG, note("d", 1)))
            writer.start()
            writer.join(60)
            assert not writer.is_alive(), "the reader held up the writer"
            return before, tx.one(query)[0]  # type: ignore[index]

        assert store.read(WHO, Permission.READ, work) == (0, 0)
        assert notes_of(store, "d") == [1]

    def test_a_read_cannot_write(self, store: Store) -> None:
        """The database itself refuses it."""
        with pytest.raises(StoreError, match="must not change"):
            store.read(WHO, Permission.READ, note("e", 1))
        assert notes_of(store, "e") == []

    def test_a_work_that_swallows_a_refusal_is_undone(self, store: Store) -> None:
        """A failed statement ends the work on every database alike."""

        def work(tx: Tx) -> None:
            tx.run(insert(NOTES).values(writer="f", number=1))
            tx.run(insert(COUNTER).values(value=1))
            with suppress(ConflictError):  # wrong, and so it has no effect
                tx.run(insert(COUNTER).values(value=1))

        with pytest.raises(ConflictError):
            store.write(WHO, Permission.LOG, work)
        assert notes_of(store, "f") == []

    def test_a_work_cannot_ask_the_store_again(self, store: Store) -> None:
        """It would see other data than its own, or wait for itself."""
        for ask in (store.write, store.read):

            def work(_: Tx, ask: Callable[..., int] = ask) -> int:
                return ask(WHO, Permission.LOG, count_up)

            with pytest.raises(StoreError, match="own transaction"):
                store.write(WHO, Permission.LOG, work)
        assert store.write(WHO, Permission.LOG, count_up) == 1

    @pytest.mark.parametrize("role", list(Role))
    def test_every_role_is_denied_what_it_does_not_hold(self, store: Store, role: Role) -> None:
        """Denied by default, before anything runs."""
        who = Principal(name="somebody", role=role)
        ran: list[Permission] = []
        for permission in Permission:
            for ask in (store.read, store.write):
                if permission in ALLOWED[role]:
                    ask(who, permission, lambda _: None)
                else:
                    with pytest.raises(PermissionDeniedError):
                        ask(who, permission, lambda _, p=permission: ran.append(p))  # type: ignore[misc]
        assert ran == []

    def test_sixteen_threads_write_without_loss_or_error(self, store: Store) -> None:
        """Ordered under load; a work that fails undoes itself alone."""
        errors: list[BaseException] = []
        seen: list[int] = []

        def go(name: str) -> None:
            try:
                for number in range(20):
                    if number % 5 == 4:
                        with pytest.raises(ZeroDivisionError):
                            store.write(WHO, Permission.LOG, failing)
                    store.write(WHO, Permission.LOG, note(name, number))
                    seen.append(store.write(WHO, Permission.LOG, count_up))
            except BaseException as error:  # noqa: BLE001  told in the main thread
                errors.append(error)

        def failing(tx: Tx) -> None:
            tx.run(insert(NOTES).values(writer="nobody", number=1))
            tx.audit("never", "kept", {})
            raise ZeroDivisionError

        threads = [threading.Thread(target=go, args=(f"t{n}",)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sorted(seen) == list(range(1, 321))
        assert notes_of(store, "nobody") == []
        assert all(notes_of(store, f"t{n}") == list(range(20)) for n in range(16))

    def test_eight_processes_write_without_lock_errors(
        self, place: StorePlace, store: Store
    ) -> None:
        """Ordered between processes."""
        script = place.source + (
            "\nimport sys\n"
            "from mainspring.ground.permissions import Permission\n"
            "from mainspring.testing.store import WHO, count_up, note\n"
            "for n in range(15):\n"
            "    store.write(WHO, Permission.LOG, note(sys.argv[1], n))\n"
            "    store.write(WHO, Permission.LOG, count_up)\n"
            "    store.write(WHO, Permission.LOG, lambda tx: tx.audit('a', 'b', {'n': n}))\n"
        )
        children = [_python(script, f"p{n}") for n in range(8)]
        results = [(child.communicate(timeout=120)[1], child.returncode) for child in children]
        assert results == [("", 0)] * 8
        assert all(notes_of(store, f"p{n}") == list(range(15)) for n in range(8))
        assert store.write(WHO, Permission.LOG, count_up) == 121
        report = store.read(WHO, Permission.READ, place.verify)
        assert (report.rows, report.ok) == (120, True)

    def test_what_was_acknowledged_survives_kill_9(self, place: StorePlace, store: Store) -> None:
        """Durable, as far as killing a process can show it."""
        script = place.source + (
            "\nfrom mainspring.ground.permissions import Permission\n"
            "from mainspring.testing.store import WHO, note\n"
            "n = 0\n"
            "while True:\n"
            "    store.write(WHO, Permission.LOG, note('k', n))\n"
            "    print(n, flush=True)\n"
            "    n += 1\n"
        )
        child = _python(script)
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(30)]
        os.kill(child.pid, signal.SIGKILL)
        told += [int(line) for line in child.stdout.read().splitlines() if line]
        child.communicate()
        kept = notes_of(store, "k")
        assert kept[: len(told)] == told
        assert len(kept) <= len(told) + 1, "one may be kept whose answer was cut off"
        store.write(WHO, Permission.LOG, note("k", 10_000))

    def test_changed_moves_when_anybody_commits(self, place: StorePlace, store: Store) -> None:
        """And it stands still when nobody does."""
        other = place.open()
        first = store.changed()
        other.write(WHO, Permission.LOG, note("h", 1))
        second = store.changed()
        store.write(WHO, Permission.LOG, note("h", 2))
        third = store.changed()
        store.read(WHO, Permission.READ, lambda tx: tx.all(select(NOTES)))
        assert first != second != third == store.changed()
        other.close()

    def test_the_lease_clock_goes_forward(self, store: Store) -> None:
        """Never backwards, and the same for all."""
        times = [store.write(WHO, Permission.LOG, lambda tx: tx.lease_now()) for _ in range(5)]
        assert times == sorted(times)
        assert times[-1] - times[0] < 60

    def test_the_audit_chain_holds_and_shows_tampering(
        self, place: StorePlace, store: Store
    ) -> None:
        """A changed row, a missing row; and the guards against both."""
        engine = service("engine")
        for number in range(6):
            store.write(engine, Permission.WORK, _audited(number))
        with pytest.raises(ZeroDivisionError):
            store.write(engine, Permission.WORK, _audited_then_failing)
        good = store.read(WHO, Permission.READ, place.verify)
        assert (good.rows, good.ok, good.first_bad) == (6, True, None)
        change = text("UPDATE audit SET reason = 'another' WHERE seq = 3")
        with pytest.raises(ConflictError, match="never changed"):
            store.write(WHO, Permission.ADMIN, lambda tx: tx.run(change))
        for statement in place.untie:
            store.write(WHO, Permission.ADMIN, lambda tx, s=statement: tx.run(text(s)))  # type: ignore[misc]
        store.write(WHO, Permission.ADMIN, lambda tx: tx.run(change))
        changed = store.read(WHO, Permission.READ, place.verify)
        assert (changed.ok, changed.first_bad) == (False, 3)
        store.write(
            WHO, Permission.ADMIN, lambda tx: tx.run(text("DELETE FROM audit WHERE seq = 2"))
        )
        missing = store.read(WHO, Permission.READ, place.verify)
        assert (missing.ok, missing.first_bad) == (False, 3)
        assert "2" in missing.reason

    def test_a_closed_store_refuses(self, place: StorePlace) -> None:
        """Closing twice is fine; asking afterwards is not."""
        store = place.open()
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.write(WHO, Permission.LOG, note("z", 1))
        with pytest.raises(StoreError, match="closed"):
            store.read(WHO, Permission.READ, lambda _: None)


def _audited(number: int) -> Callable[[Tx], None]:
    return lambda tx: tx.audit("promote", f"churn/{number}", {"ünï": number, "x": 0.1}, "why")


def _audited_then_failing(tx: Tx) -> None:
    tx.audit("promote", "churn/9", {}, "never kept")
    raise ZeroDivisionError


def _python(script: str, *arguments: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(  # noqa: S603  our own interpreter and text
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )

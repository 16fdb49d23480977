"""Every question of the room is asked of both databases, through the real store."""

import os
import threading
from collections.abc import Iterator

import msgspec
import numpy as np
import polars as pl
import pytest

from mainspring.backends.sql.opening import open_store
from mainspring.ground.clock import TurnedClock
from mainspring.ground.objects import Alarm, Window
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store
from mainspring.monitoring import again, alarms, labels, watches, windows
from mainspring.monitoring.judge import judge_inputs, judge_labels
from mainspring.monitoring.tables import METADATA

ENGINE = service("engine")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request, tmp_path_factory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('db') / 'm.db'}"
    # Says what to install where it cannot be started.
    return request.getfixturevalue("postgres_server").create(f"monitoring{os.getpid()}")


@pytest.fixture
def store(url) -> Iterator[Store]:
    kept = open_store(url, [METADATA], TurnedClock(1e9))
    yield kept
    kept.close()


def test_a_window_is_judged_labelled_and_its_alarms_end(store, world):
    def write(work):
        return store.write(ENGINE, Permission.WORK, work)

    def read(work):
        return store.read(ENGINE, Permission.READ, work)

    frame = world.rows(2_000, 7).with_columns(pl.col("n3") + 4)
    [span] = windows.due(world.policy, 1000.0, 0.0)
    window, raised = judge_inputs(
        frame, world.usual, world.signature, world.policy, span, "delays", 3
    )
    for first_time in (True, False):  # as after a crash
        assert write(lambda tx: windows.save(tx, window)) is first_time
        assert write(lambda tx: [alarms.raise_(tx, alarm) for alarm in raised]) == raised
    write(lambda tx: windows.advance(tx, "delays", span[1], empty=1))
    assert read(lambda tx: windows.monitor(tx, "delays")).judged_until == 1000.0
    assert read(lambda tx: windows.latest(tx, "delays")) == window
    assert read(lambda tx: alarms.open_subjects(tx, "delays")) == {("drift", "n3")}

    truth = np.random.default_rng(0).random(2_000) < frame["_score"].to_numpy()
    write(lambda tx: labels.add(tx, "delays", frame["_id"].to_list(), truth.tolist(), 1500.0))
    [due] = read(lambda tx: windows.awaiting_labels(tx, "delays", world.policy, 1500.0))
    joined = labels.join_counted(
        frame, read(lambda tx: labels.read(tx, "delays")), world.signature
    )
    found, more = judge_labels(due, joined, 0.1, world.policy, signature=world.signature)
    assert [alarm.kind for alarm in more] == ["performance"]
    write(lambda tx: windows.update_performance(tx, due.id, found, joined.rows.height))
    assert read(lambda tx: windows.get(tx, due.id)).performance == found
    assert read(lambda tx: windows.list_windows(tx, "delays"))[0].labelled == 2_000

    assert write(lambda tx: alarms.end(tx, raised[0].id, "dismissed", "d1")) is True
    assert write(lambda tx: alarms.end(tx, raised[0].id, "promoted", "d2")) is False
    assert read(lambda tx: alarms.list_alarms(tx, "delays"))[0].outcome == "dismissed"
    assert read(lambda tx: alarms.open_alarms(tx)) == []
    assert read(lambda tx: labels.received(tx, "delays")).labels == 2_000


def test_whoever_reads_on_from_a_batch_misses_none_that_was_written_beside_it(store, url):
    done = threading.Event()

    def send(sender: int) -> None:
        # A store of its own, as another process has: the writes of one store are one queue.
        own = open_store(url, [METADATA], TurnedClock(1e9))
        for number in range(15):
            own.write(
                ENGINE,
                Permission.LABEL,
                lambda tx, n=number: labels.add(tx, "busy", [f"{sender}-{n}"], [1], at=1.0),
            )
        own.close()

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    seen: list[str] = []
    cursor = 0

    def read_on() -> None:
        nonlocal cursor
        new = store.read(ENGINE, Permission.READ, lambda tx: labels.read(tx, "busy", cursor))
        if new.height:
            seen.extend(new["_id"])
            cursor = int(new["_batch"].max())

    def follow() -> None:
        while not done.is_set():
            read_on()

    reader = threading.Thread(target=follow)
    for thread in [*senders, reader]:
        thread.start()
    for thread in senders:
        thread.join()
    done.set()
    reader.join()
    read_on()
    assert sorted(seen) == sorted(f"{sender}-{n}" for sender in range(4) for n in range(15))


def test_late_labels_are_looked_through_once_and_say_nothing_twice(store):
    def write(work):
        return store.write(ENGINE, Permission.WORK, work)

    def read(work):
        return store.read(ENGINE, Permission.READ, work)

    said = {"verdict": "alarm", "batch": 1}
    for number in range(4):
        kept = Window(
            id=f"late:{number}", endpoint="late", start=number * 10.0, end=number * 10.0 + 10.0,
            rows=5, version=1, performance=said if number < 3 else None,
        )  # fmt: skip
        write(lambda tx, kept=kept: windows.save(tx, kept))
    assert read(lambda tx: windows.any_labelled(tx, "late"))
    assert not read(lambda tx: windows.any_labelled(tx, "other"))
    opened = read(lambda tx: again.opened(tx, "late", 2))
    assert [one.id for one in opened] == ["late:1", "late:2"]

    first = write(lambda tx: labels.add(tx, "late", ["a-1"], [1], 50.0, watermark=35.0))
    second = write(lambda tx: labels.add(tx, "late", ["a-2"], [0], 60.0))
    assert read(lambda tx: labels.newest(tx, "late")) == second
    assert read(lambda tx: labels.newest(tx, "other")) == 0
    assert read(lambda tx: labels.later(tx, "late", 0, 1)) == first
    assert read(lambda tx: labels.later(tx, "late", 0, 9)) == second
    assert read(lambda tx: labels.later(tx, "late", second, 9)) == second
    new = read(lambda tx: labels.read(tx, "late"))
    assert new["_arrived"].to_list() == [35.0, 60.0]  # without a watermark, when it was received
    captured = pl.DataFrame({"_id": ["a-1", "a-2"], "_time": [15.0, 25.0]})
    assert [one.id for one in again.touched(opened, captured, new)] == (
        ["late:1", "late:2"] if first > 1 else ["late:2"]
    )

    assert read(lambda tx: again.cursor(tx, "late")) == 0
    write(lambda tx: again.advance(tx, "late", second))
    write(lambda tx: again.advance(tx, "late", first))  # never back
    assert read(lambda tx: again.cursor(tx, "late")) == second
    assert read(lambda tx: again.learnt_delay(tx, "late")) is None
    write(lambda tx: again.learn_delay(tx, "late", 7.5))
    write(lambda tx: again.learn_delay(tx, "late", None))
    assert read(lambda tx: again.learnt_delay(tx, "late")) == 7.5

    told = Alarm(
        id=alarms.alarm_id("late", "performance", "loss", "late:1"), endpoint="late",
        kind="performance", subject="loss", reason="r", raised=20.0, window="late:1",
    )  # fmt: skip
    write(lambda tx: alarms.raise_(tx, told))
    write(lambda tx: alarms.end(tx, told.id, "dismissed", "d"))
    assert again.alarmed(opened[0]) == {("performance", "loss")}
    for at, known in ((10.0, True), (20.0, True), (30.0, False)):
        found = read(lambda tx, at=at: again.told_since(tx, "late", at))
        assert (("performance", "loss") in found) is known
        assert again.unsaid([told], found) == ([] if known else [told])


def test_a_watch_parts_of_windows_and_late_rows_are_kept(store, world):
    def write(work):
        return store.write(ENGINE, Permission.WORK, work)

    def read(work):
        return store.read(ENGINE, Permission.READ, work)

    name = "elsewhere"
    watch = watches.Watch(endpoint=name, model="m", kind="binary", monitor=world.policy)
    for kept in (watch, msgspec.structs.replace(watch, target="y")):
        write(lambda tx, kept=kept: watches.save(tx, kept))
        assert read(lambda tx: watches.get(tx, name)) == kept
    whole = windows.not_judged(name, (0.0, 10.0), 5, "why")
    part = msgspec.structs.replace(
        whole, id=windows.window_id(name, 0.0, 2), side=2, version=2, found=[]
    )
    write(lambda tx: [windows.save(tx, one) for one in (whole, part)])
    assert read(lambda tx: windows.list_windows(tx, name)) == [whole]
    assert read(lambda tx: windows.list_windows(tx, name, version=2)) == [part]
    assert read(lambda tx: windows.count(tx, name)) == 1
    again = msgspec.structs.replace(whole, version=3, rows=7, found=[])
    write(lambda tx: windows.replace(tx, again))
    assert read(lambda tx: windows.get(tx, whole.id)) == again
    write(lambda tx: windows.count_late(tx, name, 3))
    assert read(lambda tx: windows.monitor(tx, name)).late == 3
    write(lambda tx: watches.remove(tx, name))
    assert name not in {one.endpoint for one in read(watches.every)}

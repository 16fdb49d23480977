"""Triggers and their events are kept once, whoever notes them, on both databases."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mainspring.engine import triggers
from mainspring.engine.tasks import NewTask
from mainspring.engine.triggers import Happened, Trigger
from mainspring.ground.errors import NotFoundError

Home = Any
TRIGGER = Trigger(name="t", source="dataset", what="flights", root="/", pipeline="p:f")


@pytest.fixture
def kept(home: Home) -> Home:
    home.write(lambda tx: triggers.put(tx, TRIGGER, ["old"], None, 10.0))
    return home


def note(home: Home, key: str, why: str = "", at: float = 20.0) -> bool:
    one = Happened(key=key, body={"k": key}, depth=1)
    return home.write(lambda tx: triggers.note(tx, "t", one, why, at))


def test_an_event_is_noted_once_however_many_note_it(kept: Home) -> None:
    together, new = threading.Barrier(4), []

    def look() -> None:
        together.wait()
        new.append(note(kept, "a"))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False, False, False, True]
    [event] = kept.read(lambda tx: triggers.waiting(tx, "t"))
    assert (event.key, event.body, event.depth, event.state) == ("a", {"k": "a"}, 1, "waiting")
    assert kept.read(lambda tx: triggers.known(tx, "t", ["a", "b"])) == {"a"}


def test_an_event_that_waited_is_settled_once(kept: Home) -> None:
    note(kept, "a")
    note(kept, "b", why="no")
    [event] = kept.read(lambda tx: triggers.waiting(tx, "t"))
    ids = [event.id]
    assert kept.write(lambda tx: triggers.settle(tx, ids, "begun", "", "trigger:t:1", 30.0)) == 1
    assert kept.write(lambda tx: triggers.settle(tx, ids, "begun", "", "trigger:t:2", 40.0)) == 0
    assert kept.read(lambda tx: triggers.begun_since(tx, "t", 30.0)) == 1
    assert kept.read(lambda tx: triggers.begun_since(tx, "t", 31.0)) == 0
    assert kept.read(lambda tx: triggers.last_tasks(tx, "t", 0.0, 5)) == [("trigger:t:1", "begun")]
    assert [e.state for e in kept.read(lambda tx: triggers.past(tx, "t"))] == ["skipped", "begun"]
    [told] = kept.read(lambda tx: triggers.of_task(tx, "t", "trigger:t:1"))
    assert told.key == "a"


def test_what_a_trigger_began_goes_on_until_its_task_is_over(kept: Home) -> None:
    note(kept, "a")
    [event] = kept.read(lambda tx: triggers.waiting(tx, "t"))
    kept.submit(NewTask(id="trigger:t:1", kind="k"))
    kept.write(lambda tx: triggers.settle(tx, [event.id], "begun", "", "trigger:t:1", 30.0))
    assert "has not begun its run" in (kept.read(lambda tx: triggers.goes_on(tx, "t")) or "")
    kept.finish(kept.claim())
    assert kept.read(lambda tx: triggers.goes_on(tx, "t")) is None


def test_a_trigger_rests_wakes_and_goes(kept: Home) -> None:
    note(kept, "a")
    kept.write(lambda tx: triggers.rest(tx, "t", "tired", 50.0))
    one = kept.read(lambda tx: triggers.get(tx, "t"))
    assert (one.paused, one.why, one.baseline) == (50.0, "tired", {"old"})
    kept.write(lambda tx: triggers.wake(tx, "t", ["x", "y"], 60.0))
    one = kept.read(lambda tx: triggers.get(tx, "t"))
    assert (one.paused, one.since, one.baseline) == (None, 60.0, {"x", "y"})
    assert [each.trigger for each in kept.read(triggers.every)] == [TRIGGER]
    kept.write(lambda tx: triggers.remove(tx, "t"))
    assert kept.read(lambda tx: triggers.past(tx, "t")) == []
    for verb in (triggers.get, triggers.remove):
        with pytest.raises(NotFoundError):
            kept.write(lambda tx, verb=verb: verb(tx, "t"))

"""The engine does each task once, keeps effects and ends together, and notices what is wrong."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mainspring.engine import marks, reactor, schedules, tasks
from mainspring.engine.tasks import Lease, NewTask
from mainspring.engine.worker import Done
from mainspring.ground import messages as m
from mainspring.ground.errors import BadInputError, StepFailedError, UnavailableError
from mainspring.ground.objects import LoopSpec

Home = Any
SPEC = LoopSpec(name="l", model="model", pipeline="p:f", endpoint="e", target="y", kind="binary")


def chain(length: int, **more: Any) -> list[NewTask]:
    return [
        NewTask(id=f"t{n}", kind="k", needs=[f"t{n - 1}"] if n else [], **{"group": "g", **more})
        for n in range(length)
    ]


def test_a_graph_is_worked_off_by_several_threads_each_task_once(home: Home) -> None:
    fan = [NewTask(id=f"f{n}", kind="k", group="g", needs=["t4"]) for n in range(20)]
    join = NewTask(id="join", kind="k", group="g", needs=[task.id for task in fan])
    home.submit(*chain(5), *fan, join)
    engine = home.engine({"k": home.effect}, workers=4)
    assert engine.run_group("g") == {"done": 26}
    assert home.effects() == 26
    assert engine.troubles == {}


def test_an_effect_that_raises_leaves_nothing_and_is_tried_again(home: Home) -> None:
    home.submit(*chain(1, backoff_s=0.0))
    tries: list[int] = []

    def handler(lease: Lease) -> Done:
        def apply(tx: Any) -> None:
            home.effect(lease).apply(tx)
            tries.append(lease.attempt)
            if lease.attempt == 1:
                raise UnavailableError("not yet")

        return Done(apply=apply)

    assert home.engine({"k": handler}).run_group("g") == {"done": 1}
    assert home.effects() == 1
    assert sorted(set(tries)) == [1, 2]


def test_a_hopeless_error_is_not_tried_again_and_keeps_the_users_trace(home: Home) -> None:
    home.submit(*chain(2))

    def handler(lease: Lease) -> Done:
        raise StepFailedError("train raised ValueError", trace="line 3 of theirs")

    assert home.engine({"k": handler}).run_group("g") == {"failed": 1, "skipped": 1}
    failed = home.get("t0")
    assert (failed.attempt, failed.error, failed.trace) == (
        1, "train raised ValueError", "line 3 of theirs",
    )  # fmt: skip


def test_any_other_error_is_tried_again_until_the_attempts_are_used_up(home: Home) -> None:
    home.submit(*chain(1, backoff_s=0.0, max_attempts=3))

    def handler(lease: Lease) -> Done:
        raise ZeroDivisionError("oh")

    assert home.engine({"k": handler}).run_group("g") == {"failed": 1}
    failed = home.get("t0")
    assert failed.attempt == 3
    assert failed.error == "ZeroDivisionError: oh"
    assert "test_worker.py" in failed.trace


def test_a_kind_that_nobody_can_do_fails_and_says_so(home: Home) -> None:
    home.submit(*chain(1))
    home.engine({}).run_group("g")
    assert "No handler does tasks of the kind 'k'" in home.get("t0").error


def test_a_cancelled_handler_is_told_and_its_task_ends_cancelled(home: Home) -> None:
    home.submit(*chain(1))
    begun = threading.Event()

    def handler(lease: Lease) -> Done:
        begun.set()
        assert lease.stop.wait(60)
        raise BadInputError("stopped half-way")

    engine = home.engine({"k": handler}, workers=1, lease_s=1.0)
    thread = threading.Thread(target=engine.run_group, args=("g",))
    thread.start()
    assert begun.wait(60)
    home.write(lambda tx: tasks.cancel(tx, "g"))
    thread.join(60)
    assert home.state("t0") == "cancelled"


def test_a_handler_whose_lease_is_lost_is_told_and_its_effect_never_lands(home: Home) -> None:
    home.submit(*chain(1))
    begun, told = threading.Event(), threading.Event()

    def handler(lease: Lease) -> Done:
        begun.set()
        if lease.stop.wait(60):
            told.set()
        return home.effect(lease)

    engine = home.engine({"k": handler}, workers=1, lease_s=1.0)
    thread = threading.Thread(target=engine.run_group, args=("g",))
    thread.start()
    assert begun.wait(60)
    heir = None
    while heir is None:
        home.let_leases_run_out()
        heir = home.claim("heir")
    assert told.wait(60)
    home.finish(heir)
    thread.join(60)
    assert home.effects() == 0
    assert home.state("t0") == "done"


def test_an_engine_that_ends_gives_its_work_back(home: Home) -> None:
    home.submit(*chain(1, max_attempts=1))
    begun, stop = threading.Event(), threading.Event()

    def handler(lease: Lease) -> Done:
        begun.set()
        assert lease.stop.wait(60)
        raise StepFailedError("killed by us")

    thread = threading.Thread(target=home.engine({"k": handler}).run, args=(stop,))
    thread.start()
    assert begun.wait(60)
    stop.set()
    thread.join(60)
    assert home.state("t0") == "ready"
    assert home.engine({"k": home.effect}).run_group("g") == {"done": 1}


def test_scans_make_work_once_and_an_idle_engine_writes_nothing(home: Home) -> None:
    engine = home.engine({"k": home.effect}, lambda tx: [NewTask(id="found", kind="k")])
    assert engine.step_once()
    assert home.state("found") == "done"
    before = home.store.changed()
    assert not engine.step_once()
    assert not engine.one_pass()
    assert home.store.changed() == before
    assert home.effects() == 1


def test_a_scan_that_raises_is_a_trouble_and_the_others_go_on(home: Home) -> None:
    def broken(tx: Any) -> list[NewTask]:
        raise ZeroDivisionError

    engine = home.engine({"k": home.effect}, broken, lambda tx: [NewTask(id="found", kind="k")])
    assert engine.step_once()
    assert home.state("found") == "done"
    assert "ZeroDivisionError" in engine.troubles["scan broken"]


def test_what_was_known_before_a_quiet_pass_is_noted_once(home: Home) -> None:
    known = {"watermark:e": 5.0}
    home.submit(*chain(1, group=None))
    engine = home.engine({"k": home.effect}, settled=lambda tx: dict(known))
    engine.one_pass()
    assert home.read(marks.read) == {}
    engine.step_once()
    engine.one_pass()
    assert home.read(marks.read) == known
    before = home.store.changed()
    engine.one_pass()
    assert home.store.changed() == before
    known["watermark:e"] = 6.0
    engine.one_pass()
    assert home.read(marks.read) == known


def test_the_steps_of_a_run_do_not_hold_back_what_is_noted(home: Home) -> None:
    home.submit(*chain(1))
    engine = home.engine({}, settled=lambda tx: {"watermark:e": 5.0})
    engine.one_pass()
    assert home.read(marks.read) == {"watermark:e": 5.0}
    assert not engine.quiet()


def test_an_engine_is_quiet_when_nothing_is_left(home: Home) -> None:
    home.submit(*chain(1))
    engine = home.engine({"k": home.effect})
    assert not engine.quiet()
    engine.step_once()
    assert engine.quiet()


def test_a_command_that_finally_fails_is_answered_in_the_same_transaction(home: Home) -> None:
    home.write(lambda tx: reactor.declare(tx, SPEC, 100.0))

    def train(lease: Lease) -> Done:
        raise StepFailedError("no data")

    engine = home.engine({"train": train}, workers=1)
    assert engine.run_until(lambda tx: reactor.view(tx, "l").serial == 1 and not _busy(tx))
    assert home.state("l-0001") == "failed"
    assert [d.kind for d in home.decisions] == ["retrain", "reject"]
    assert "no data" in home.decisions[1].reason


def test_a_command_whose_last_worker_died_is_answered_too(home: Home) -> None:
    home.write(lambda tx: reactor.declare(tx, SPEC, 100.0))
    engine = home.engine({})
    engine.one_pass()
    for _ in range(reactor.COMMAND_ATTEMPTS):
        home.claim()
        home.let_leases_run_out()
    engine.one_pass()
    engine.one_pass()
    assert [d.kind for d in home.decisions] == ["retrain", "reject"]


def test_a_loop_that_cannot_react_does_not_keep_others_from_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    other = msgspec.structs.replace(SPEC, name="other")
    home.write(lambda tx: reactor.declare(tx, SPEC, 100.0))
    home.write(lambda tx: reactor.declare(tx, other, 100.0))
    react = reactor.policy.react

    def sometimes(event: m.AnyEvent, view: Any, spec: LoopSpec) -> Any:
        if event.loop == "l":
            raise ZeroDivisionError
        return react(event, view, spec)

    monkeypatch.setattr(reactor.policy, "react", sometimes)
    engine = home.engine({})
    engine.one_pass()
    assert home.read(lambda tx: reactor.view(tx, "other").serial) == 1
    assert "loop l" in engine.troubles
    monkeypatch.undo()
    engine.one_pass()
    assert home.read(lambda tx: reactor.view(tx, "l").serial) == 1
    assert engine.troubles == {}


def test_a_schedule_becomes_work(home: Home) -> None:
    nightly = schedules.Schedule(name="nightly", cron="0 3 * * *", kind="k", payload={"a": 1})
    home.write(lambda tx: schedules.put(tx, nightly, home.clock.now()))
    engine = home.engine({"k": home.effect})
    assert not engine.step_once()
    home.clock.turn(86_400)
    assert engine.step_once()
    assert home.effects() == 1


def _busy(tx: Any) -> bool:
    return reactor.view(tx, "l").command is not None

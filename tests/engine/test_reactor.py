"""Events become commands in order, in one transaction each, whoever dies and however many look."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from mainspring.engine import reactor, tasks
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError, NotFoundError, UnavailableError
from mainspring.ground.loops import Phase
from mainspring.ground.objects import LoopSpec, RetrainingPolicy

Home = Any
SPEC = LoopSpec(name="l", model="model", pipeline="p:f", endpoint="e", target="y", kind="binary")


def declare(home: Home, spec: LoopSpec = SPEC, **more: Any) -> int:
    return home.write(lambda tx: reactor.declare(tx, spec, 100.0, **more))


def react(home: Home) -> bool:
    return home.write(lambda tx: home.reactor.react_once(tx, home.clock.now()))


def emit(home: Home, event: m.AnyEvent, key: str) -> bool:
    return home.write(lambda tx: reactor.emit(tx, event, key))


def view(home: Home) -> Any:
    return home.read(lambda tx: reactor.view(tx, "l"))


def window(at: float, *alarms: str) -> m.WindowClosed:
    refs = [m.AlarmRef(id=one, kind="quality", subject="x") for one in alarms]
    return m.WindowClosed(loop="l", at=at, window="w", alarms=refs)


def test_the_same_declaration_is_the_same_version_and_an_edit_a_new_one(home: Home) -> None:
    assert declare(home) == 1
    assert declare(home) == 1
    edited = msgspec.structs.replace(SPEC, retraining=RetrainingPolicy(budget=3))
    assert declare(home, edited) == 2
    assert home.read(lambda tx: reactor.spec(tx, "l")) == edited
    assert home.read(lambda tx: reactor.spec(tx, "l", 1)) == SPEC
    assert [s.name for s in home.read(reactor.loops)] == ["l"]
    assert [row.version for row in home.read(reactor.loop_rows)] == [2]
    events = home.read(lambda tx: reactor.history(tx, "l"))
    assert [type(event) for _, event in events] == [m.LoopStarted, m.LoopStarted]


def test_a_loop_that_was_never_declared_is_named_as_missing(home: Home) -> None:
    with pytest.raises(NotFoundError, match="'l'"):
        emit(home, window(1.0), "w1")
    with pytest.raises(NotFoundError):
        view(home)
    assert home.read(lambda tx: reactor.spec_or_none(tx, "l")) is None


def test_an_event_is_kept_once_by_its_key(home: Home) -> None:
    declare(home)
    assert emit(home, window(1.0), "w1")
    assert not emit(home, window(2.0), "w1")


def test_an_event_gives_its_commands_as_tasks_and_its_decisions_in_words(home: Home) -> None:
    declare(home)
    assert react(home)
    assert not react(home)
    command = home.get("l-0001")
    assert (command.kind, command.max_attempts) == ("train", reactor.COMMAND_ATTEMPTS)
    assert msgspec.convert(command.payload, m.AnyCommand) == m.Train(
        id="l-0001", loop="l", at=100.0, reason="There is no champion yet.", cause="first"
    )
    (decision,) = home.decisions
    assert (decision.kind, decision.loop, decision.at) == ("retrain", "l", 100.0)
    assert decision.made == home.clock.now()
    assert view(home).phase is Phase.TRAINING


def test_an_ended_alarm_names_the_decision_that_ended_it(home: Home) -> None:
    declare(home, champion=4)
    emit(home, window(200.0, "a1", "a2"), "w1")
    while react(home):
        pass
    made = {decision.subject: decision.id for decision in home.decisions}
    assert home.ended == [
        ("a1", "dismissed", made["alarm:a1"]),
        ("a2", "dismissed", made["alarm:a2"]),
    ]


def test_an_alarm_that_ends_with_a_promotion_names_the_decision_to_promote(home: Home) -> None:
    declare(home, champion=4)
    alarm = m.AlarmRef(id="a1", kind="performance", subject="loss")
    emit(home, m.WindowClosed(loop="l", at=200.0, window="w", alarms=[alarm]), "w1")
    answers: list[m.AnyEvent] = [
        m.Trained(loop="l", at=201.0, command="l-0001", run="r", ok=True),
        m.Registered(loop="l", at=202.0, command="l-0002", version=5),
        m.Judged(loop="l", at=203.0, command="l-0003", version=5, passed=True, reason="good"),
        m.Verdict(loop="l", at=300.0, rollout="x", version=5, verdict="better", reason="better"),
        m.Promoted(loop="l", at=301.0, command="l-0005", version=5, previous=4),
    ]
    for number, event in enumerate(answers):
        emit(home, event, f"e{number}")
    while react(home):
        pass
    promoted = next(d for d in home.decisions if d.kind == "promote")
    assert home.ended == [("a1", "promoted", promoted.id)]


def test_a_reaction_that_cannot_be_kept_leaves_everything_as_it_was(home: Home) -> None:
    declare(home)

    def refuse(tx: Any, decision: Any) -> None:
        raise UnavailableError("no")

    broken = reactor.Reactor(refuse, lambda *ended: None)
    with pytest.raises(UnavailableError):
        home.write(lambda tx: broken.react_once(tx, 0.0))
    assert view(home).phase is Phase.IDLE
    assert home.read(lambda tx: tasks.get(tx, "l-0001")) is None
    assert react(home)
    assert view(home).phase is Phase.TRAINING


def test_two_engines_that_react_at_once_keep_the_order_and_handle_each_event_once(
    home: Home,
) -> None:
    declare(home, champion=4)
    for number in range(40):
        emit(home, window(200.0 + number, f"a{number}"), f"w{number}")

    def drain() -> None:
        while home.read(reactor.pending) is not None:
            react(home)

    threads = [threading.Thread(target=drain) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one, _, _ in home.ended] == [f"a{number}" for number in range(40)]


def test_a_command_passes_only_while_its_loop_waits_for_it(home: Home) -> None:
    declare(home)
    react(home)
    command = m.Train(id="l-0001", loop="l", at=1.0, reason="", cause="")
    home.write(lambda tx: reactor.check_awaited(tx, command))
    emit(home, m.Trained(loop="l", at=1.0, command="l-0001", run="r", ok=False), "late")
    with pytest.raises(UnavailableError, match="events to react to"):
        home.write(lambda tx: reactor.check_awaited(tx, command))
    react(home)
    with pytest.raises(ConflictError, match="does not wait for l-0001"):
        home.write(lambda tx: reactor.check_awaited(tx, command))


def test_only_a_commands_failure_is_told_to_the_loop() -> None:
    command = m.Train(id="l-0001", loop="l", at=5.0, reason="", cause="")
    told = reactor.command_failed("train", msgspec.to_builtins(command), "no disk")
    assert told == m.CommandFailed(loop="l", at=5.0, command="l-0001", error="no disk")
    assert reactor.command_failed("step", {}, "no disk") is None

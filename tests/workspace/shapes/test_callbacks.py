"""A run hands a token out and waits: whoever has it answers once, in time, and needs no login."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from homes import InProcess

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Call, Outcome
from mainspring.pipelines import reading, waits
from mainspring.workspace import callbacks, running, waiting
from mainspring.workspace.views.runs import run_detail

Shapes = Any


def sent(shapes: Shapes) -> list[str]:
    """Return the tokens that went out, in that order."""
    return (shapes.folder / "tokens.txt").read_text().split()


def test_whoever_has_the_token_answers_once_and_the_run_goes_on(shapes: Shapes) -> None:
    run = shapes.start("by_token")
    [token] = sent(shapes)
    assert len(token) >= 43, "256 bits by chance"
    [one] = waiting.waiting(shapes.ws)
    assert (one.kind, one.name, one.step, one.expires) == ("callback", "outside", "outside", None)
    halt = run_detail(shapes.ws, run).run.halt
    assert halt is not None
    assert (halt.kind, halt.command) == ("callback", "mainspring answer TOKEN --value JSON")
    for wrong in ("", token[:-1], token + "A", token.swapcase()):
        with pytest.raises(NotFoundError, match="No callback waits for this token"):
            callbacks.answer(shapes.ws, wrong, 1)
    with pytest.raises(BadInputError, match="not both"):
        callbacks.answer(shapes.ws, token, 1, error="no")
    with pytest.raises(BadInputError, match="at most"):
        callbacks.answer(shapes.ws, token, "x" * 1_000_001)
    assert callbacks.answer(shapes.ws, token, {"rows": 12})[0] == run
    with pytest.raises(ConflictError, match="it was used at 2027"):
        callbacks.answer(shapes.ws, token, {"rows": 13})
    with pytest.raises(ConflictError, match="it was used at"):
        callbacks.alive(shapes.ws, token)
    shapes.settle()
    assert shapes.result(run) == [{"rows": 12}, 9]
    assert shapes.look(run)[1]["outside"].why == "answered by who had the token"
    assert shapes.done().count("sent to 9") == 1


def test_who_guesses_a_token_holds_up_nobody_who_writes(
    shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes.start("by_token")

    def begun(*_: Any, **__: Any) -> None:
        raise AssertionError("a guess began to write")

    monkeypatch.setattr(type(shapes.ws.store), "write", begun)
    with pytest.raises(NotFoundError, match="No callback waits for this token"):
        callbacks.answer(shapes.ws, "cb_guessed", 1)
    with pytest.raises(NotFoundError, match="No callback waits for this token"):
        callbacks.alive(shapes.ws, "cb_guessed")
    monkeypatch.undo()


def test_the_token_stands_nowhere_but_with_those_it_was_sent_to(
    shapes: Shapes, executor: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, carried_out = [], executor.run

    def noted(call: Call, cancelled: Any = None) -> Outcome:
        calls.append(call)
        return carried_out(call, cancelled)

    monkeypatch.setattr(executor, "run", noted)
    run = shapes.start("by_token")
    [token] = sent(shapes)
    told = [call.hide for call in calls if call.payload.get("step") == "outside[0].sent"]
    assert told == [[token]], "what the step prints is kept without it"
    assert not [call for call in calls if call.hide != [token] and token in str(call.payload)]
    step = shapes.look(run)[1]["outside[0].sent"]
    args = shapes.ws.read(Permission.READ, lambda tx: reading.args_of(tx, run, step.step))
    assert args["token"] == {"token": {"step": "outside", "asked": 1}}
    callbacks.answer(shapes.ws, token, "done")
    shapes.settle()
    kept = [file for file in Path(shapes.ws.home).rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if token.encode() in file.read_bytes()]


def test_an_answer_may_come_before_the_step_that_sent_the_token_has_ended(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "by_token", {})
    from mainspring.workspace.engines import make_engine

    engine = make_engine(shapes.ws, "test", scanning=False)
    while not (shapes.folder / "tokens.txt").exists():
        assert engine.step_once()
    callbacks.answer(shapes.ws, sent(shapes)[0], 5)
    assert shapes.states(run)["outside[0].double"] == "waiting"
    shapes.settle()
    assert shapes.result(run) == [5, 9]
    assert "double 9" in shapes.done(), "what was under way came to its end"


def test_an_answer_that_does_not_come_in_time_fails_or_goes_on_as_declared(shapes: Shapes) -> None:
    run = shapes.start("by_token", expires="1h")
    shapes.ws.clock.turn(3600)
    with pytest.raises(ConflictError, match="its time is over"):
        callbacks.answer(shapes.ws, sent(shapes)[0], 1)
    shapes.settle()
    assert shapes.error(run, "outside") == "the callback did not come in time"
    with pytest.raises(ConflictError, match="its time is over"):
        callbacks.answer(shapes.ws, sent(shapes)[0], 1)
    shapes.resume(run)
    first, second = sent(shapes)
    assert first != second
    with pytest.raises(ConflictError, match="its time is over"):
        callbacks.answer(shapes.ws, first, 1)
    callbacks.answer(shapes.ws, second, 2)
    shapes.settle()
    assert shapes.result(run) == [2, 9]
    run = shapes.start("by_token", expires="1h", on_expiry="continue")
    shapes.ws.clock.turn(3600)
    shapes.settle()
    assert shapes.result(run) == [None, 9]


def test_signs_of_life_by_the_token_keep_a_wait_alive_up_to_its_expiry(shapes: Shapes) -> None:
    run = shapes.start("by_token", heartbeat="10m", expires="25m")
    [token], begun = sent(shapes), run_detail(shapes.ws, run).run.halt.since
    for _ in range(2):
        shapes.ws.clock.turn(590)
        found = callbacks.alive(shapes.ws, token)
        shapes.settle()
        assert shapes.states(run)["outside"] == "running"
    assert found.until == pytest.approx(begun + 25 * 60, abs=1), "no longer than it expires"
    shapes.ws.clock.turn(found.until - shapes.ws.clock.now())
    shapes.settle()
    assert shapes.error(run, "outside") == "the callback did not come in time"
    run = shapes.start("by_token", heartbeat="10m")
    shapes.ws.clock.turn(600)
    shapes.settle()
    told = "who has the token gave no sign of life for 600 s"
    assert shapes.error(run, "outside") == told
    with pytest.raises(ConflictError, match="its time is over"):
        callbacks.alive(shapes.ws, sent(shapes)[-1])
    types = shapes.ws.read(Permission.READ, lambda tx: reading.error_types(tx, run, "outside"))
    assert types == ["HeartbeatError", "CallbackExpired", "TimeoutError"]


def test_each_item_of_a_map_has_a_token_of_its_own_and_bad_news_are_caught(shapes: Shapes) -> None:
    run = shapes.start("by_tokens", count=3)
    tokens = sent(shapes)
    assert len(set(tokens)) == 3
    callbacks.answer(shapes.ws, tokens[2], "two")
    callbacks.answer(shapes.ws, tokens[0], error="nobody came", error_type="NotDone")
    callbacks.answer(shapes.ws, tokens[1], None)
    shapes.settle()
    first, second, third = shapes.result(run)
    assert (first["type"], first["message"]) == ("NotDone", "it was answered: nobody came")
    assert (second, third) == (None, "two")


def test_a_step_that_could_not_send_fails_the_wait_and_is_tried_with_another_token(
    shapes: Shapes,
) -> None:
    shapes.break_("sent")
    run = shapes.start("by_token")
    assert "sent is broken" in shapes.error(run, "outside")
    with pytest.raises(ConflictError, match="does not count"):
        callbacks.answer(shapes.ws, sent(shapes)[0], 1)
    shapes.break_("sent", mend=True)
    shapes.resume(run)
    first, second = sent(shapes)
    assert first != second
    callbacks.answer(shapes.ws, second, 2)
    with pytest.raises(ConflictError, match="it was used"):
        callbacks.answer(shapes.ws, first, 1)
    shapes.settle()
    assert shapes.result(run) == [2, 9]


def test_a_cancelled_run_takes_no_answer_and_the_same_token_again_when_resumed(
    shapes: Shapes,
) -> None:
    run = shapes.start("by_token")
    running.cancel(shapes.ws, run)
    shapes.settle()
    with pytest.raises(ConflictError, match="its run has ended"):
        callbacks.answer(shapes.ws, sent(shapes)[0], 1)
    shapes.resume(run)
    callbacks.answer(shapes.ws, sent(shapes)[0], 1)
    shapes.settle()
    assert shapes.result(run) == [1, 9]


def test_a_token_goes_to_steps_alone_and_someone_must_take_it(shapes: Shapes) -> None:
    run = shapes.start("token_elsewhere")
    assert "can be given to steps alone" in shapes.error(run, "outside")
    with pytest.raises(BadInputError, match="above 0"):
        waits.wait_for_callback("a", lambda token: token, heartbeat=0)
    with pytest.raises(BadInputError, match="on_expiry"):
        waits.wait_for_callback("a", lambda token: token, on_expiry="wait")  # type: ignore[arg-type]

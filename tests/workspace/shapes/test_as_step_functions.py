"""What people know from Step Functions, each as one story: retriers, timeouts, callbacks."""

from __future__ import annotations

from typing import Any

import pytest
from homes import InProcess

from mainspring.engine import tasks
from mainspring.ground.errors import BadInputError, DeadlineError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Outcome
from mainspring.workspace import running, waiting
from mainspring.workspace.engines import make_engine

Shapes = Any


def waits(shapes: Shapes, run: str, step: str) -> list[float]:
    """Carry a run out, and return how long a step waited before each further try, in seconds."""
    engine, found = make_engine(shapes.ws, "test", scanning=False), []
    while not engine.quiet():
        if engine.step_once():
            continue
        task = shapes.ws.read(Permission.READ, lambda tx: tasks.get(tx, f"{run}:{step}"))
        found.append(task.due - shapes.ws.clock.now())
        shapes.ws.clock.turn(found[-1])
    return found


def test_each_rule_of_trying_again_counts_its_own_errors_and_waits_in_its_own_way(
    shapes: Shapes,
) -> None:
    run = running.start_run(shapes.ws, "trying", {"moods": "cvc"})
    first, drawn, second = waits(shapes, run, "moody")
    assert (first, second) == (10.0, 20.0)  # 30 s, cut to the most
    assert 0.0 <= drawn <= 8.0
    assert shapes.result(run) == 4


@pytest.mark.parametrize(("moods", "tries"), [("k", 1), ("vcvc", 3)])
def test_an_error_beyond_its_rule_or_without_one_fails_the_step(
    shapes: Shapes, moods: str, tries: int
) -> None:
    run = shapes.start("trying", moods=moods)
    assert "Error" in shapes.error(run, "moody")
    assert shapes.done() == ["moody"] * tries


def test_a_resumed_step_has_all_of_its_tries_again(shapes: Shapes) -> None:
    run = shapes.start("trying", moods="ccccc")
    shapes.resume(run)
    assert shapes.result(run) == 6


def test_a_time_out_is_caught_by_its_type(shapes: Shapes, executor: InProcess) -> None:
    run = running.start_run(shapes.ws, "timed", {})
    told = "gave no sign of life for 1 s and was ended"
    types = ["HeartbeatError", "DeadlineError", "TimeoutError"]
    fate = Outcome(ok=False, error=told, code=DeadlineError.code, types=types)
    executor.fates.append(fate)
    shapes.settle()
    assert shapes.result(run)["type"] == "HeartbeatError"
    assert shapes.result(shapes.start("timed")) == 3


def test_a_run_waits_for_a_callback_that_brings_a_value_or_an_error(shapes: Shapes) -> None:
    run = shapes.start("called_back")
    sent = shapes.look(run)[1]["order"].output
    assert shapes.ws.objects.get(sent).decode() == run, "who is asked is told whom to answer"
    assert waiting.signal(shapes.ws, run, "labelled", [1, 2]) == ["labelled"]
    shapes.settle()
    assert shapes.result(run) == [1, 2]
    run = shapes.start("called_back")
    bad = {"error": "nobody has time", "error_type": "NotLabelled"}
    with pytest.raises(BadInputError, match="not both"):
        waiting.signal(shapes.ws, run, "labelled", 1, **bad)
    waiting.signal(shapes.ws, run, "labelled", **bad)
    shapes.settle()
    found = shapes.result(run)
    assert (found["type"], found["message"]) == (
        "NotLabelled", "owner signalled: nobody has time",
    )  # fmt: skip
    run = shapes.start("called_back")
    shapes.ws.clock.turn(3600)
    shapes.settle()
    assert shapes.result(run)["type"] == "EventExpired"


def test_news_that_come_before_a_branch_is_there_are_kept_for_it(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "called_back", {})
    assert waiting.signal(shapes.ws, run, "labelled", 7) == ["labelled"]
    shapes.settle()
    assert shapes.result(run) == 7

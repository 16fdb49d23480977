"""What people know from Step Functions, each as one story: retriers, timeouts, callbacks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from homes import InProcess

from mainspring.engine import tasks
from mainspring.ground.errors import BadInputError, DeadlineError, WiringTimeoutError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Outcome
from mainspring.pipelines import shaping
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


# ---------------------------------------------------------------- a shape as a whole


def test_a_map_does_again_what_failed_of_it_and_keeps_what_succeeded(shapes: Shapes) -> None:
    run = shapes.start("tried_map", moods="v1 v1 v1 v3 v3")
    assert shapes.result(run) == 2 * (0 + 1 + 4 + 9)
    counts = Counter(shapes.done())
    # Its own retry each time: twice in the first try of the map, and once or twice in the next.
    assert [counts[f"flaky {n}"] for n in range(4)] == [1, 4, 1, 3]
    assert counts["double 0"] == counts["double 4"] == counts["double 1"] == 1
    told = shapes.look(run)[1]["each"]
    assert (str(told.state), told.why) == ("done", "over 4 items")
    assert shapes.ws.read(Permission.READ, lambda tx: tasks.group_state(tx, run)) == {"done": 13}


def test_a_map_that_has_no_tries_left_fails_for_what_is_around_it(shapes: Shapes) -> None:
    run = shapes.start("tried_map", moods="c2 " * 6, retries=2)
    found = shapes.result(run)
    assert (found["type"], found["step"]) == ("ConnectionRefusedError", "each")
    assert shapes.done().count("flaky 2") == 6, "three tries of the map, each with its own retry"
    shapes.forget()
    other = shapes.start("tried_map", moods="v2 " * 4, retries=0)
    assert "1 of 4 items failed" in shapes.error(other, "each")
    shapes.forget()
    shapes.resume(other)
    assert shapes.done().count("flaky 2") == 2, "resumed by hand, with its tries before it again"


def test_a_tolerant_map_is_not_tried_again_and_one_that_stops_does_the_rest(
    shapes: Shapes,
) -> None:
    run = shapes.start("tried_map", moods="v1 v1", tolerate=1)
    assert shapes.result(run) == 2 * (0 + 4 + 9)
    assert shapes.done().count("flaky 1") == 2
    shapes.forget()
    run = shapes.start("tried_map", count=6, moods="v1 v1", rest="stop", limit=1)
    assert shapes.result(run) == 2 * sum(n * n for n in range(6))
    counts = Counter(shapes.done())
    assert [counts[f"flaky {n}"] for n in range(6)] == [0, 3, 1, 0, 1, 1] or counts["flaky 1"] == 3
    assert counts["flaky 5"] == 1, "what was stopped was done in the next try, once"


def test_a_maps_rules_wait_by_type_of_error_and_hold_no_worker(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "ruled_map", {"moods": "c1 c1 c1 c1 v1 v1"})
    found = waits(shapes, run, "each[1].flaky")
    # Between: the step's own retry, at once. The map's: 600 s, three times that, cut; then 8 s.
    assert [one for one in found if one] == [300.0, 300.0, 8.0]
    assert shapes.result(run) == [0, 1, 4]


def test_a_parallel_does_again_what_failed_and_what_was_stopped_for_it(shapes: Shapes) -> None:
    run = shapes.start("tried_parallel", moods="v1 v1")
    first, second, third = shapes.result(run)
    assert (first, second, third) == (2, 0 + 1 + 4, 2)
    assert Counter(shapes.done())["flaky 1"] >= 3
    assert set(shapes.states(run).values()) <= {"done", "reused"}
    run = shapes.start("tried_parallel", moods="v1 " * 6, retries=0)
    assert "flaky" in shapes.error(run, "parallel")


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"retries": "2"}, {"retry": [3]}])
def test_retries_of_a_shape_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        shaping.map(abs, over=[1], **wrong)
    with pytest.raises(BadInputError):
        shaping.parallel(lambda: 1, **wrong)


# ---------------------------------------------------------------- bodies without end


def test_a_body_that_hangs_while_it_is_wired_is_interrupted_at_its_line(shapes: Shapes) -> None:
    ws = shapes.ws
    ws.settings = msgspec.structs.replace(ws.settings, wire_timeout_s=0.3)
    with pytest.raises(WiringTimeoutError) as caught:
        running.start_run(ws, "hanging", {})
    told = str(caught.value)
    assert told.startswith("Pipeline hanging took longer than 0.3 s to wire its steps: it was at")
    assert " of project.py, in hanging (" in told
    assert "time.sleep(0.01)" in told or "while True:" in told
    run = shapes.start("hanging", deep=True)
    found = shapes.result(run)
    assert found["type"] == "WiringTimeoutError"
    assert "of project.py, in hangs" in found["message"]

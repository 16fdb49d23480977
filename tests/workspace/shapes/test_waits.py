"""Runs wait for people, for events and for times, and hold nothing while they do."""

from __future__ import annotations

from typing import Any

import pytest
from homes import NOW

from mainspring.engine import tasks
from mainspring.ground.clock import iso
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
)
from mainspring.ground.permissions import Permission, Principal, Role
from mainspring.workspace import running, waiting

Shapes = Any


def held(shapes: Shapes, run: str) -> int:
    """Return how many tasks of a run a worker holds or could take now."""
    counts = shapes.ws.read(Permission.READ, lambda tx: tasks.group_state(tx, run))
    return counts.get("leased", 0)


def test_a_run_waits_for_a_yes_holds_no_worker_and_goes_on(shapes: Shapes) -> None:
    run = shapes.start("asked")
    assert held(shapes, run) == 0
    [found] = waiting.waiting(shapes.ws)
    assert (found.run, found.step, found.kind, found.message, found.expires) == (
        run, "release", "approval", "Is 9 right?", None,
    )  # fmt: skip
    approver = shapes.ws.acting_as(Principal(name="ann", role=Role.APPROVER))
    waiting.approve(approver, run, "release", "9 is right")
    shapes.settle()
    assert shapes.result(run) == "released 9"
    assert shapes.look(run)[1]["release"].why == "approved by ann: 9 is right"
    assert waiting.waiting(shapes.ws) == []


def test_only_an_approver_may_say_yes_and_only_once(shapes: Shapes) -> None:
    run = shapes.start("asked")
    contributor = shapes.ws.acting_as(Principal(name="bob", role=Role.CONTRIBUTOR))
    with pytest.raises(PermissionDeniedError):
        waiting.approve(contributor, run, "release", "please")
    for step, kind in (("square", BadInputError), ("releases", NotFoundError)):
        with pytest.raises(kind):
            waiting.approve(shapes.ws, run, step, "yes")
    with pytest.raises(BadInputError, match="Say why"):
        waiting.approve(shapes.ws, run, "release", "  ")
    waiting.approve(shapes.ws, run, "release", "yes")
    with pytest.raises(ConflictError, match="waits for no answer"):
        waiting.reject(shapes.ws, run, "release", "no")
    shapes.settle()
    with pytest.raises(ConflictError, match="has ended"):
        waiting.approve(shapes.ws, run, "release", "yes")


def test_a_rejection_fails_the_step_and_a_resumed_run_asks_again(shapes: Shapes) -> None:
    run = shapes.start("asked")
    waiting.reject(shapes.ws, run, "release", "it is 8")
    shapes.settle()
    assert shapes.error(run, "release") == "rejected by owner: it is 8"
    shapes.resume(run)
    assert [one.step for one in waiting.waiting(shapes.ws, run)] == ["release"]
    waiting.approve(shapes.ws, run, "release", "counted again")
    shapes.settle()
    assert shapes.result(run) == "released 9"


def test_an_answer_that_does_not_come_in_time_fails_or_goes_on_as_declared(
    shapes: Shapes,
) -> None:
    run = shapes.start("asked", expires="2d")
    [found] = waiting.waiting(shapes.ws)
    assert found.expires == pytest.approx(NOW + 2 * 86_400, abs=3600)
    shapes.ws.clock.turn(2 * 86_400)
    shapes.settle()
    assert "nobody approved it in time" in shapes.error(run, "release")
    run = shapes.start("asked", expires="1h", on_expiry="continue")
    shapes.ws.clock.turn(3600)
    shapes.settle()
    assert shapes.result(run) == "kept 9"
    run = shapes.start("asked", on_rejection="continue")
    waiting.reject(shapes.ws, run, "release", "no")
    shapes.settle()
    assert shapes.result(run) == "kept 9"


def test_news_become_the_result_whether_they_come_late_or_early(shapes: Shapes) -> None:
    run = shapes.start("told")
    assert waiting.signal(shapes.ws, run, "rows-came", {"rows": 12}) == ["rows-came"]
    shapes.settle()
    assert shapes.result(run) == {"rows": 12}
    run = running.start_run(shapes.ws, "told")
    waiting.signal(shapes.ws, run, "rows-came", [1])
    shapes.settle()
    assert shapes.result(run) == [1]


def test_news_that_nobody_waits_for_or_that_cannot_be_kept_are_refused(shapes: Shapes) -> None:
    run = shapes.start("told")
    with pytest.raises(ConflictError, match="Nothing in run"):
        waiting.signal(shapes.ws, run, "others-came")
    with pytest.raises(BadInputError, match="at most"):
        waiting.signal(shapes.ws, run, "rows-came", "x" * 1_000_001)
    with pytest.raises(NotFoundError):
        waiting.signal(shapes.ws, "run_none", "rows-came")
    waiting.signal(shapes.ws, run, "rows-came")
    with pytest.raises(ConflictError):
        waiting.signal(shapes.ws, run, "rows-came")


def test_an_event_that_does_not_come_in_time_fails_or_gives_nothing(shapes: Shapes) -> None:
    run = shapes.start("told", expires="1h")
    shapes.ws.clock.turn(3600)
    shapes.settle()
    assert "did not come in time" in shapes.error(run, "rows-came")
    run = shapes.start("told", expires="1h", on_expiry="continue")
    shapes.ws.clock.turn(3600)
    shapes.settle()
    assert shapes.result(run) is None


def test_a_run_waits_for_times_and_hands_on_what_it_waited_with(shapes: Shapes) -> None:
    run = shapes.start("later", until=iso(NOW + 600))
    assert [one.kind for one in waiting.waiting(shapes.ws)] == ["wait"]
    shapes.ws.clock.turn(600)
    shapes.settle()
    assert shapes.states(run)["square_2"] == "done"
    assert shapes.states(run)["double"] == "waiting"
    shapes.ws.clock.turn(600)
    shapes.settle()
    assert shapes.result(run) == 2 * (2 * 2) ** 2
    past = shapes.start("later", until=iso(NOW - 600))
    assert shapes.states(past)["wait"] == "done"


def test_a_waiting_run_can_be_cancelled_and_waits_again_when_resumed(shapes: Shapes) -> None:
    run = shapes.start("asked", expires="2d")
    running.cancel(shapes.ws, run)
    shapes.settle()
    assert shapes.look(run)[0].status == "cancelled"
    assert waiting.waiting(shapes.ws) == []
    shapes.resume(run)
    waiting.approve(shapes.ws, run, "release", "yes")
    shapes.settle()
    assert shapes.result(run) == "released 9"

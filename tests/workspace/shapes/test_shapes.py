"""Runs decide their shape: maps, branches, iterations, catches, dynamic graphs, nested ones."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.pipelines import controls
from mainspring.workspace import running, waiting
from mainspring.workspace.views.runs import run_graph

Shapes = Any


def test_a_map_goes_over_a_list_that_only_the_run_knows(shapes: Shapes) -> None:
    run = shapes.start("squares", count=4)
    assert shapes.result(run) == 0 + 1 + 4 + 9
    assert list(shapes.states(run)) == [
        "numbers", "square", "square[0]", "square[1]", "square[2]", "square[3]", "add",
    ]  # fmt: skip
    assert shapes.look(run)[1]["square"].why == "over 4 items"


def test_a_picture_shows_what_grew_and_folds_what_is_many(shapes: Shapes) -> None:
    few = run_graph(shapes.ws, shapes.start("planned", count=3))
    assert few.count('<g class="step ') == 6  # plan, what it was given, and what it wired
    assert "plan.add to plan<" in few
    many = run_graph(shapes.ws, shapes.start("squares", count=9))
    assert many.count('<g class="step ') == 3
    assert "square to add" in many
    assert "9 of 9 done" in many


def test_each_item_of_a_map_is_reused(shapes: Shapes) -> None:
    shapes.start("squares", count=3)
    shapes.forget()
    run = shapes.start("squares", count=5)
    assert shapes.done() == ["numbers", "square 3", "square 4", "add"]
    assert shapes.states(run)["square[2]"] == "reused"
    shapes.forget()
    shapes.start("squares", count=5)
    assert shapes.done() == []


def test_a_map_takes_no_more_items_than_its_bound(
    shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert controls.MOST_ITEMS == 100_000
    monkeypatch.setattr(controls, "MOST_ITEMS", 3)
    assert shapes.result(shapes.start("squares", count=3)) == 5
    run = shapes.start("squares", count=4)
    assert "goes over 4 items; at most 3 can be" in shapes.error(run, "square")


def test_a_limit_counts_items_however_many_steps_each_wires(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "wide", {"count": 3, "limit": 1})
    shapes.settle()
    assert shapes.result(run) == (0 + 1 + 4) + 3
    steps = [one for one in shapes.look(run)[1].values() if one.step.startswith("each[")]
    begun = [one.step for one in sorted(steps, key=lambda one: one.started)]
    ended = [one.step for one in sorted(steps, key=lambda one: one.ended)]
    assert begun == ended == [f"each[{n}].{one}" for n in range(3) for one in ("square", "plus")]


def test_a_map_over_nothing_gives_nothing(shapes: Shapes) -> None:
    assert shapes.result(shapes.start("squares", count=0)) == 0


def test_items_that_fail_are_tolerated_up_to_a_number_and_go_on_alone_when_resumed(
    shapes: Shapes,
) -> None:
    shapes.break_("square-1")
    run = shapes.start("squares", count=4, tolerate=0.25)
    assert shapes.result(run) == 0 + 4 + 9
    assert "failed and tolerated: square[1]" in shapes.look(run)[1]["square"].why
    shapes.break_("square-4")
    run = shapes.start("squares", count=5, tolerate=1)
    assert "2 of 5 items failed (1 tolerated): square[1]" in shapes.error(run, "square")
    assert shapes.states(run)["add"] == "skipped"
    shapes.break_("square-1", mend=True)
    shapes.break_("square-4", mend=True)
    shapes.forget()
    shapes.resume(run)
    assert shapes.result(run) == 0 + 1 + 4 + 9 + 16
    assert shapes.done() == ["square 1", "square 4", "add"]


def test_what_failed_of_a_tolerant_map_and_why_is_told_to_the_step_after_it(
    shapes: Shapes,
) -> None:
    shapes.break_("square-1")
    shapes.break_("double-4")
    run = shapes.start("told_of", count=4)
    assert shapes.result(run) == [
        0 + 18, [[1, "each[1].square", "ValueError"], [2, "each[2].double", "ValueError"]],
    ]  # fmt: skip
    assert shapes.result(shapes.start("told_of", count=0)) == [0, []]


def test_a_map_that_has_failed_may_stop_the_rest_of_its_items(shapes: Shapes) -> None:
    shapes.break_("square-1")
    run = shapes.start("told_of", count=4, tolerate="25%", rest="stop")
    assert shapes.result(run)[1] == [[1, "each[1].square", "ValueError"]]
    shapes.forget()
    run = shapes.start("told_of", count=5, tolerate="10%", rest="stop")
    assert "1 of 5 items failed (0 tolerated): each[1].square" in shapes.error(run, "each")
    assert shapes.done() == ["numbers", "square 1"]
    assert shapes.look(run)[1]["each[4].square"].why == "stopped because each[1].square failed"
    shapes.break_("square-1", mend=True)
    shapes.forget()
    shapes.resume(run)
    assert shapes.result(run) == [2 * (0 + 1 + 4 + 9 + 16), []]
    assert shapes.done() == ["square 1", "double 1", "square 4", "double 16"]


def test_a_branch_that_fails_stops_the_others_and_all_they_started(shapes: Shapes) -> None:
    run = shapes.start("beside")
    assert "fail: " in shapes.error(run, "parallel")
    assert "no 4" in shapes.error(run, "parallel")
    states = shapes.states(run)
    assert {states[one] for one in ("double_2", "square_3", "squares", "never")} == {"skipped"}
    assert not any(word.startswith("square 8") for word in shapes.done())
    for child in _children(shapes, run):
        assert shapes.look(child)[0].status == "cancelled"
    run = running.start_run(shapes.ws, "beside", {"rest": "finish"})
    waiting.signal(shapes.ws, run, "never", 1)
    shapes.settle()
    assert "no 4" in shapes.error(run, "parallel")
    assert shapes.states(run)["double_3"] == "done"


def _children(shapes: Shapes, run: str) -> list[str]:
    return [one.id for one in shapes.ws.read(Permission.READ, _runs) if one.id != run]


def test_one_of_several_branches_is_chosen_by_a_value_else_the_default(shapes: Shapes) -> None:
    run = shapes.start("picked", number=2)
    assert shapes.result(run) == "four 4"
    assert shapes.look(run)[1]["note_2"].why == "skipped: the value is 4"
    assert shapes.result(shapes.start("picked", number=3)) == "nine 9"
    assert shapes.result(shapes.start("picked", number=5)) == "other 0"
    run = shapes.start("picked", number=6, default=False)
    assert "has no branch for 36, and no default; it has 4, 9" in shapes.error(run, "choose")


def test_what_a_map_wires_may_use_what_is_around_it(shapes: Shapes) -> None:
    run = shapes.start("pairs", count=3)
    assert shapes.result(run) == (0 + 1 + 4) + 3 * 25
    assert "each[2].plus" in shapes.states(run)


def test_the_branch_that_is_not_taken_ends_as_skipped_with_a_reason(shapes: Shapes) -> None:
    run = shapes.start("either", number=4)
    assert shapes.result(run) == "large 16"
    other = shapes.look(run)[1]["note_2"]
    assert (other.state, other.why, other.handled) == (
        "skipped", "skipped: the condition is True", True,
    )  # fmt: skip
    assert shapes.result(shapes.start("either", number=2)) == "small 2"


def test_an_iteration_ends_when_its_condition_holds(shapes: Shapes) -> None:
    run = shapes.start("growing", start=1)
    assert shapes.result(run) == 16
    assert "iterate[3].double" in shapes.states(run)
    assert "iterate[4].double" not in shapes.states(run)


def test_an_iteration_that_reaches_its_bound_fails_or_ends_as_declared(shapes: Shapes) -> None:
    run = shapes.start("growing", start=1, most=2)
    assert "did not hold within 2 rounds" in shapes.error(run, "iterate")
    assert shapes.result(shapes.start("growing", start=1, most=2, at_most="accept")) == 4


def test_a_round_that_fails_goes_on_from_there(shapes: Shapes) -> None:
    shapes.break_("double-4")
    run = shapes.start("growing", start=1)
    assert "round 3: iterate[2].double" in shapes.error(run, "iterate")
    shapes.break_("double-4", mend=True)
    shapes.forget()
    shapes.resume(run)
    assert shapes.result(run) == 16
    assert shapes.done() == ["double 4", "double 8"]


def test_a_fallback_is_given_what_went_wrong_and_the_run_counts_as_finished(
    shapes: Shapes,
) -> None:
    run = shapes.start("careful", number=3)
    found = shapes.result(run)
    assert (found["type"], found["step"], found["number"]) == ("KeyError", "fail", 9)
    assert "no 9" in found["message"]
    _, steps = shapes.look(run)
    assert (steps["fail"].state, steps["fail"].handled) == ("failed", True)
    assert (steps["double"].state, steps["double"].handled) == ("skipped", True)
    assert steps["catch"].why.startswith("caught from fail")


def test_a_catch_takes_subclasses_and_leaves_other_errors(shapes: Shapes) -> None:
    assert shapes.result(shapes.start("careful", on="LookupError"))["type"] == "KeyError"
    run = shapes.start("careful", on="OSError")
    assert "no 9" in shapes.error(run, "catch")
    assert "apology" not in shapes.states(run)


def test_what_a_map_or_an_iteration_failed_of_is_caught_by_its_type(shapes: Shapes) -> None:
    shapes.break_("square-1")
    assert shapes.result(shapes.start("careful_map"))["type"] == "ValueError"


def test_a_resumed_run_does_not_go_back_into_a_caught_body(shapes: Shapes) -> None:
    shapes.break_("apology")
    run = shapes.start("careful")
    assert "the fallback failed as well" in shapes.error(run, "catch")
    shapes.break_("apology", mend=True)
    shapes.forget()
    shapes.resume(run)
    assert shapes.result(run)["type"] == "KeyError"
    assert "fail" not in shapes.done()


def test_a_dynamic_function_wires_by_the_values_it_is_given(shapes: Shapes) -> None:
    run = shapes.start("planned", count=3)
    assert shapes.result(run) == 0 + 1 + 4
    assert {"plan.square", "plan.square_2", "plan.square_3", "plan.add"} <= set(shapes.states(run))
    assert shapes.look(run)[0].metrics == {"values": 3.0, "extra": 7.0}, (
        "what it logged on the way"
    )
    run = shapes.start("planned", count=2)
    assert shapes.result(run) == 7
    assert set(shapes.states(run)) == {"numbers", "plan", "plan.double", "plan.plus"}


def test_shapes_nest(shapes: Shapes) -> None:
    run = shapes.start("nested", count=3)
    # 0 never grows: five rounds, then the fallback 0; 1 -> 16 and 2 -> 16: 0 + 16 + 1 + 16.
    assert shapes.result(run) == [0, 33, 33]
    states = shapes.states(run)
    assert states["each[0].iterate[4].double"] in ("done", "reused")
    assert states["each[0].add"] == "skipped"
    assert states["each[1].inner[1].plus"] in ("done", "reused")


def test_a_run_starts_another_waits_for_it_and_both_say_so(shapes: Shapes) -> None:
    run = shapes.start("outer", number=2)
    assert shapes.result(run) == (0 + 1 + 4 + 9) ** 2
    step = shapes.look(run)[1]["squares"]
    child = step.why.removeprefix("run ")
    record, _ = shapes.look(child)
    assert (record.parent, record.cause) == (run, f"step:{run}:squares")


def test_a_run_that_another_started_is_resumed_with_it(shapes: Shapes) -> None:
    shapes.break_("square-1")
    run = shapes.start("outer", number=2)
    assert "square is broken" not in shapes.error(run, "squares")
    assert "items failed" in shapes.error(run, "squares")
    shapes.break_("square-1", mend=True)
    shapes.resume(run)
    assert shapes.result(run) == 14**2
    assert len(shapes.ws.read(Permission.READ, lambda tx: _runs(tx))) == 2


def _runs(tx: Any) -> list[Any]:
    from sqlalchemy import select

    from mainspring.experiments.tables import runs

    return list(tx.all(select(runs.c.id)))


def test_runs_that_start_themselves_end_with_a_reason(shapes: Shapes) -> None:
    run = shapes.start("circle")
    assert "levels deep" in shapes.error(run, "circle")


def test_cancelling_a_run_cancels_what_it_started_and_it_can_be_resumed(shapes: Shapes) -> None:
    run = running.start_run(shapes.ws, "outer", {"number": 2})
    from mainspring.workspace.engines import make_engine

    engine = make_engine(shapes.ws, "test")
    while not _runs_of(shapes, run):
        assert engine.step_once()
    child = _runs_of(shapes, run)[0]
    running.cancel(shapes.ws, run)
    shapes.settle()
    assert [shapes.look(one)[0].status for one in (run, child)] == ["cancelled", "cancelled"]
    shapes.resume(run)
    assert shapes.result(run) == 14**2
    assert shapes.look(child)[0].status == "finished"


def _runs_of(shapes: Shapes, run: str) -> list[str]:
    from mainspring.experiments.runs import children_at_work

    return shapes.ws.read(Permission.READ, lambda tx: children_at_work(tx, run))


def test_graphs_that_wire_themselves_without_end_end_with_a_reason(shapes: Shapes) -> None:
    run = shapes.start("bottomless")
    assert "would grow more than 20 levels deep" in shapes.error(run, "endless")
    assert "without end" in shapes.error(run, "endless")


def test_a_map_over_what_is_no_list_fails_with_what_was_found(shapes: Shapes) -> None:
    for kind, step, told in (
        ("dict", "square", "square goes over a list, found a dict"),
        ("text", "square", "square goes over a list, found a "),
        ("number", "square", "square goes over a list, found a int"),
        ("none", "square", "square goes over a list, found a NoneType"),
        ("generator", "strange", "generator"),
    ):
        assert told in shapes.error(shapes.start("over_what", kind=kind), step)


@pytest.mark.parametrize(
    ("pipeline", "step", "told"),
    [
        ("no_list", "square", "square goes over a list, found a bool"),
        ("no_bool", "when", "must be True or False, found 9"),
    ],
)
def test_what_a_controller_cannot_work_with_fails_it_by_name(
    shapes: Shapes, pipeline: str, step: str, told: str
) -> None:
    assert told in shapes.error(shapes.start(pipeline), step)


def test_one_item_of_a_map_runs_anew_with_all_after_the_map(shapes: Shapes) -> None:
    shapes.start("squares", count=3)
    shapes.forget()
    run = running.start_run(shapes.ws, "squares", {"count": 3}, start="square[1]")
    shapes.settle()
    assert shapes.result(run) == 5
    assert shapes.done() == ["square 1", "add"]
    with pytest.raises(BadInputError, match="There is no step cube"):
        running.start_run(shapes.ws, "squares", {"count": 3}, fresh=("cube",))

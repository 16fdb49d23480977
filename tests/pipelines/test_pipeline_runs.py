from __future__ import annotations

from collections.abc import Callable

import pytest

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.pipelines import runs
from mainspring.pipelines.code import graph_code
from mainspring.pipelines.tracing import trace

States = Callable[[dict[str, str]], dict[str, str]]

CHAIN = """
    import polars as pl

    LIMIT = 5

    def helper_x(value):
        return value * 2

    def unrelated():
        return 1

    @step
    def load(rows: int) -> pl.DataFrame:
        return pl.DataFrame({"a": list(range(rows))})

    @step
    def clean(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.filter(pl.col("a") < LIMIT)

    @step
    def train(rows: pl.DataFrame, trees: int) -> dict[str, float]:
        return {"score": float(helper_x(rows.height) * trees)}

    @pipeline
    def main(rows: int = 10, trees: int = 100):
        return train(clean(load(rows)), trees)
"""


def test_a_pipeline_runs_once_and_is_reused_after(place, states: States) -> None:
    place.write(CHAIN)
    first = place.run()
    assert first == dict.fromkeys(("load", "clean", "train"), "done: first time")
    assert place.value("train") == {"score": 1000.0}
    again = place.run()
    words = "reused: reused from run_1: same code, inputs, params and environment"
    assert again == dict.fromkeys(("load", "clean", "train"), words)
    assert place.value("train") == {"score": 1000.0}
    assert runs.get(place.tx, "run_2", "train").reused_from == "run_1"


def test_a_changed_param_runs_what_takes_it_and_names_the_change(place, states: States) -> None:
    place.write(CHAIN)
    place.run()
    told = place.run(trees=120)
    assert states(told) == {"load": "reused", "clean": "reused", "train": "done"}
    assert told["train"] == "done: param trees: 100 -> 120"


def test_a_step_that_ran_again_with_the_same_output_leaves_the_rest(place, states: States) -> None:
    place.write(CHAIN)
    place.run()
    told = place.run(rows=11)
    assert place.errors == {}
    assert told["load"] == "done: param rows: 10 -> 11"
    assert (
        told["clean"] == "done: input rows: changed because load ran again and its output differs"
    )
    assert states(told)["train"] == "reused"


@pytest.mark.parametrize(
    ("old", "new", "ran", "why"),
    [
        ("value * 2", "value * 3", ["train"], "code function helper_x: changed"),
        ("LIMIT = 5", "LIMIT = 6", ["clean", "train"], "code constant LIMIT: 5 -> 6"),
        ("* trees)", "* trees + 1)", ["train"], "code function train: changed"),
        ("return 1", "return 2", [], ""),
        ("def helper_x(value):", "# a word\n\n\ndef helper_x(value ):", [], ""),
        ("return value", "'''A docstring.'''\n    return value", [], ""),
        ("@step\ndef load", "@step(retries=3, timeout_s=9)\ndef load", [], ""),
        ("def main(", "def main(more: int = 3, ", [], ""),
    ],
)
def test_an_edit_runs_exactly_what_it_reaches(
    place, old: str, new: str, ran: list[str], why: str, states: States
) -> None:
    place.write(CHAIN)
    place.run()
    place.edit(old, new)
    told = place.run()
    assert [step for step, state in states(told).items() if state == "done"] == ran
    if ran:
        assert told[ran[0]] == f"done: {why}"


def test_a_changed_environment_runs_everything_and_is_named(place, states: States) -> None:
    place.write(CHAIN)
    place.run()
    place.env = {"python": "3.11", "polars": "2.1", "six": "1"}
    told = place.run()
    assert told["load"] == "done: environment: polars 2.0 -> 2.1, six not there -> 1"
    assert set(states(told).values()) == {"done"}


def test_a_result_whose_object_is_gone_is_made_again(place, states: States) -> None:
    place.write(CHAIN)
    place.run()
    record = runs.get(place.tx, "run_1", "clean")
    del place.objects.kept[record.output]
    told = place.run()
    assert told["clean"] == "done: its result is not kept any more"
    assert states(told)["train"] == "reused"


def test_a_step_asked_for_anew_runs_though_nothing_changed(place, states: States) -> None:
    place.write(CHAIN)
    place.run()
    told = place.run(fresh=place.trace().after("clean"))
    assert told["load"].startswith("reused")
    assert told["clean"] == told["train"] == "done: asked to run anew"


def test_only_steps_there_are_can_be_asked_for(place) -> None:
    place.write(CHAIN)
    with pytest.raises(BadInputError, match="There are: load, clean, train"):
        place.plan(fresh=["nothing"])


def test_a_failed_step_skips_what_waits_for_it_and_is_tried_again(place, states: States) -> None:
    place.write(
        """
        @step
        def good():
            return 1

        @step
        def broken(x):
            raise ValueError("no such luck")

        @step
        def after(x):
            return x

        @step
        def beside(x):
            return x

        @pipeline
        def main():
            one = good()
            beside(one)
            return after(broken(one))
        """
    )
    told = place.run()
    assert states(told) == {
        "good": "done",
        "broken": "failed",
        "beside": "done",
        "after": "skipped",
    }
    assert told["after"] == "skipped: skipped because broken failed"
    found = runs.summary(place.tx, "run_1")
    assert (found.ended, found.ok, found.failed) == (True, False, ["broken"])
    assert found.error == "Step broken failed: ValueError: no such luck"
    trace_ = runs.get(place.tx, "run_1", "broken").trace
    assert 'raise ValueError("no such luck")' in trace_
    assert "mainspring/pipelines" not in trace_
    assert place.run()["broken"] == "failed: it failed the last time"
    place.edit('raise ValueError("no such luck")', "return 7")
    told = place.run()
    assert told["broken"] == "done: code function broken: changed"
    assert told["after"] == "done: first time"


def test_a_step_without_cache_runs_every_time_but_not_what_follows(place, states: States) -> None:
    place.write(
        """
        @step(cache=False)
        def look():
            return 1

        @step
        def use(x):
            return x

        @pipeline
        def main():
            return use(look())
        """
    )
    place.run()
    assert states(place.run()) == {"look": "done", "use": "reused"}
    assert place.run()["look"] == "done: runs in every run (cache=False)"


def test_planning_a_run_again_changes_nothing(place) -> None:
    place.write(CHAIN)
    loaded = place.load()
    graph = trace(loaded)
    code = graph_code(loaded, graph)
    first = runs.plan(place.tx, "r", graph, code, "e" * 64)
    before = runs.steps_of(place.tx, "r")
    assert runs.plan(place.tx, "r", graph, code, "f" * 64) == first
    assert runs.steps_of(place.tx, "r") == before
    assert [(t["kind"], t["always"]) for t in first] == [("step", False)] * 3 + [("run_end", True)]
    assert first[1]["needs"] == [first[0]["id"]]
    assert first[-1]["needs"] == [task["id"] for task in first[:-1]]
    assert first[-1]["payload"] == {"run": "r", "result": "train"}
    assert len({task["id"] for task in first}) == 4


def test_a_step_that_ended_is_not_run_again_by_a_repeated_task(place) -> None:
    place.write(CHAIN)
    run = place.plan()
    first = place.step(run, "load")
    assert not first.reused
    again = place.step(run, "load")
    assert again.reused
    assert runs.get(place.tx, run, "load").state == "done"
    with pytest.raises(ConflictError, match="done already"):
        runs.started(place.tx, first, 5.0)
    runs.finished(place.tx, first, runs.Output(digest="0" * 64, type="json"), 9.0)
    assert runs.get(place.tx, run, "load").output == again.output
    assert runs.failed(place.tx, run, "load", "late", 9.0) == []


def test_a_step_cannot_be_prepared_before_what_it_needs(place) -> None:
    place.write(CHAIN)
    run = place.plan()
    with pytest.raises(ConflictError, match="Step load has no output yet"):
        runs.prepare(place.tx, run, "clean", place.objects.has)
    with pytest.raises(ConflictError, match="has no output"):
        runs.output_of(place.tx, run, "load")
    with pytest.raises(NotFoundError, match="Known are: load, clean, train"):
        runs.get(place.tx, run, "nothing")


def test_a_cancelled_run_skips_what_had_not_ended(place) -> None:
    place.write(CHAIN)
    run = place.plan()
    place.step(run, "load")
    assert runs.cancelled(place.tx, run, 9.0) == ["clean", "train"]
    assert runs.summary(place.tx, run).counts == {"done": 1, "skipped": 2}


def test_why_tells_what_a_key_is_made_of(place) -> None:
    place.write(CHAIN)
    place.run()
    told = runs.why(place.tx, "run_1", "train")
    assert told["why"] == "first time"
    assert set(told["parts"]) == {
        "code function helper_x",
        "code function train",
        "environment",
        "format",
        "input rows",
        "param trees",
    }
    assert told["parts"]["param trees"] == "100"
    assert told["inputs"] == {"rows": runs.get(place.tx, "run_1", "clean").output}


def test_code_that_changed_since_it_was_planned_is_not_run_under_the_old_key(place) -> None:
    place.write(CHAIN)
    run = place.plan()
    place.edit("range(rows)", "range(rows + 1)")
    place.step(run, "load")
    record = runs.get(place.tx, run, "load")
    assert record.state == "failed"
    assert "has changed since this run was planned" in record.error


def test_a_failure_is_kept_as_text_that_every_database_takes(place) -> None:
    place.write(CHAIN)
    run = place.plan()
    runs.failed(place.tx, run, "load", "a\x00b\ud800", 1.0, trace="\x00")
    record = runs.get(place.tx, run, "load")
    assert record.error == "a\\0b\\ud800"
    assert record.trace == "\\0"


def test_fan_out_and_join_give_each_part_in_its_place(place, states: States) -> None:
    place.write(
        """
        @step
        def part(n):
            return n * 10

        @step
        def join(first, *parts, named, **more):
            return [first, list(parts), named, more]

        @pipeline
        def main(width: int = 4):
            parts = [part(n) for n in range(width)]
            return join(7, *parts, named={"a": parts[0], "b": (1, parts[1])}, extra=parts[2])
        """
    )
    told = place.run()
    assert list(told) == ["part", "part_2", "part_3", "part_4", "join"]
    assert place.value("join") == [
        7,
        [0, 10, 20, 30],
        {"a": 0, "b": (1, 10)},
        {"extra": 20},
    ]
    assert set(states(place.run()).values()) == {"reused"}
    wider = states(place.run(width=5))
    assert wider == {**dict.fromkeys(list(told)[:4], "reused"), "part_5": "done", "join": "done"}


def test_outputs_of_two_types_with_the_same_bytes_are_two_inputs(place, states: States) -> None:
    place.write(
        """
        @step
        def give():
            return "1"

        @step
        def kind(value):
            return type(value).__name__

        @pipeline
        def main():
            return kind(give())
        """
    )
    place.run()
    place.edit('return "1"', 'return b"1"')
    assert states(place.run()) == {"give": "done", "kind": "done"}
    assert place.value("kind") == "bytes"


def test_a_reopened_run_goes_on_from_the_step_that_broke_it(place) -> None:
    place.write(CHAIN)
    run = place.plan()
    place.step(run, "load")
    place.edit("filter", "no_such_method")
    place.step(run, "clean")
    assert runs.get(place.tx, run, "clean").state == "failed"
    place.edit("no_such_method", "filter")
    assert runs.reopen(place.tx, run) == ["clean", "train"]
    for name in ("clean", "train"):
        place.step(run, name)
    found = runs.summary(place.tx, run)
    assert (found.ok, found.counts) == (True, {"done": 3})
    assert runs.get(place.tx, run, "clean").attempt == 2


def test_a_run_reopened_with_new_code_runs_that(place) -> None:
    place.write(CHAIN)
    place.edit("helper_x(rows.height)", "helper_y(rows.height)")
    run = place.plan()
    for name in ("load", "clean", "train"):
        place.step(run, name)
    assert runs.summary(place.tx, run).failed == ["train"]
    place.edit("helper_y", "helper_x")
    loaded = place.load()
    runs.reopen(place.tx, run, graph_code(loaded, trace(loaded)))
    place.step(run, "train")
    assert runs.summary(place.tx, run).ok


def test_a_reused_step_brings_the_last_of_the_metrics_it_had_logged(place) -> None:
    place.write(
        """
        from mainspring.pipelines.context import log
        @step
        def train():
            for loss in (3.0, 2.0, float("inf")):
                log(loss=loss)
            log(step=9, auc=0.5)
        @pipeline
        def main(): return train()
        """
    )
    run = place.plan()
    assert place.step(run, "train").metrics == []
    again = place.step(place.plan(), "train")
    assert [one[:3] for one in again.metrics] == [["loss", "inf", None], ["auc", 0.5, 9]]


def test_a_result_is_reused_until_it_is_too_old_and_why_says_how_old(place) -> None:
    place.write("@step(cache='7d')\ndef look(): return 1\n@pipeline\ndef main(): return look()")
    place.run()  # its result was made at 2 s

    def asked(at: float) -> runs.StepPlan:
        return runs.prepare(place.tx, run, "look", place.objects.has, at=at)

    run, week = place.plan(), 7 * 86_400
    assert asked(2.0 + week).reused
    old = asked(2.0 + week * 2)
    assert (old.reused, old.anew) == (False, True)
    assert old.why == "its result is too old: made 14 days ago, cache allows 7 days"
    place.step(run, "look")  # by a clock that stands still, so it is reused
    assert asked(2.0 + week * 2).reused  # what ended in a run stays as it is in it

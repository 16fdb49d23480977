"""Many steps are few boxes and few lines: counted, linked, and none of them lost."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.objects import StepRecord, StepState
from mainspring.pipelines import boxes, gantt, picture
from mainspring.pipelines.picture import Box

GOOD, BAD = StepState.DONE, StepState.FAILED


def step(name: str, *needs: str, **more: object) -> StepRecord:
    given = {"state": GOOD, "started": 0.0, "ended": 1.0, **more}
    return StepRecord(run="r", step=name, needs=list(needs), **given)  # type: ignore[arg-type]


def mapped(count: int, **odd: object) -> list[StepRecord]:
    items = [step(f"score[{n}]", within="score") for n in range(count - 1)]
    odd_one = step(f"score[{count - 1}]", within="score", **odd)
    return [
        step("load"),
        step("score", "load", kind="map"),
        *items,
        odd_one,
        step("join", "score"),
    ]


def by_name(steps: list[StepRecord]) -> dict[str, Box]:
    return {one.name: one for one in boxes.boxes(steps, 10.0)}


def test_a_map_is_one_box_that_counts_its_items() -> None:
    found = by_name(mapped(100, state=BAD))
    assert list(found) == ["load", "score", "join"]
    assert found["score"].detail == "99 of 100 done, 1 failed"
    assert found["join"].needs == ["score"]


def test_an_item_of_several_steps_stands_as_the_worst_of_them() -> None:
    steps = [step("m", kind="map")]
    for n, state in enumerate([GOOD, BAD, StepState.RUNNING]):
        steps += [step(f"m[{n}].a", within="m"), step(f"m[{n}].b", within="m", state=state)]
    assert by_name(steps)["m"].detail == "1 of 3 done, 1 failed, 1 running"


def test_branches_stand_between_what_their_controller_needs_and_the_controller() -> None:
    found = by_name([
        step("ask"),
        step("when", "ask", kind="when"),
        step("yes", within="when"),
        step("no", within="when", state=StepState.SKIPPED, handled=True),
        step("end", "when"),
    ])  # fmt: skip
    assert found["yes"].needs == ["ask"]
    assert found["when"].needs == ["ask", "yes", "no"]
    assert (found["no"].state, found["no"].detail) == ("skipped", "not taken")


def test_what_waits_for_a_person_says_so() -> None:
    asks = step("release", kind="approval", state=StepState.RUNNING, ended=None)
    assert (by_name([asks])["release"].state, by_name([asks])["release"].detail) == (
        "asks", "asks for approval",
    )  # fmt: skip


def test_tries_are_told_beside_the_time() -> None:
    assert by_name([step("flaky", attempt=3)])["flaky"].detail == "1.0 s, try 3"


def test_a_large_graph_folds_those_of_a_name_in_a_column() -> None:
    wide = [
        step("load"),
        step("score", "load"),
        *(step(f"score_{n}", "load") for n in range(2, 99)),
    ]
    wide.append(step("join", *(one.step for one in wide[1:]), state=StepState.WAITING))
    found = by_name(wide)
    assert list(found) == ["load", "score", "join"]
    assert len(found["score"].members) == 98
    assert found["score"].several
    assert found["join"].needs == ["score"]


names = st.text(min_size=1, max_size=8)
trees = st.lists(
    st.tuples(names, st.sampled_from(["step", "map", "when", "iterate", "approval"]),
              st.sampled_from(list(StepState)), st.integers(0, 30), st.booleans()),
    max_size=30, unique_by=lambda one: one[0],
)  # fmt: skip


@given(trees)
def test_every_step_is_in_one_box_and_every_picture_is_xml(drawn: list[tuple]) -> None:
    steps: list[StepRecord] = []
    for name, kind, state, before, within in drawn:
        other = steps[before % len(steps)].step if steps else None
        where = other if within else None
        needs = [other] if other is not None and not within else []
        ends = None if state is StepState.RUNNING else 2.0
        steps.append(
            step(name, *needs, kind=kind, state=state, within=where, started=1.0, ended=ends)
        )
    found = boxes.boxes(steps, 10.0)
    inside = [
        member
        for one in found
        for member in (one.members if one.several else [one.name, *one.members])
    ]
    assert sorted(inside) == sorted(one.step for one in steps)
    known = {one.name for one in found}
    assert all(need in known for one in found for need in one.needs)
    ElementTree.fromstring(picture.drawn(found, lambda box: f"?step={box.name}", chosen="a"))
    line = gantt.svg(gantt.rows(found, steps, 10.0), lambda name: f"?{name}")
    assert not line or ElementTree.fromstring(line) is not None


# ---------------------------------------------------------------- the timeline


def test_bars_of_one_line_never_lie_on_one_another_and_lines_are_those_side_by_side() -> None:
    items = [
        step(f"m[{n}]", within="m", started=float(n // 4), ended=n // 4 + 1.0) for n in range(40)
    ]
    steps = [step("m", kind="map", ended=10.0), *items]
    (row,) = gantt.rows(boxes.boxes(steps, 10.0), steps, 10.0)
    assert row.lines == 4
    for line in range(4):
        mine = [bar for bar in row.bars if bar.line == line]
        assert all(a.end <= b.start for a, b in pairwise(mine))


def test_a_step_that_waited_says_how_long() -> None:
    steps = [step("load"), step("train", "load", started=4.0, ended=6.0)]
    drawn = gantt.svg(gantt.rows(boxes.boxes(steps, 10.0), steps, 10.0))
    assert "train: done, 2.0 s; it began 3.0 s after all it needed was there" in drawn
    assert "2 steps over 6.0 s, at work for 3.0 s together" in drawn


def test_a_planted_step_waits_for_nothing_before_its_controller_began() -> None:
    steps = [step("load"), step("when", "load", kind="when", started=8.0, ended=9.0)]
    steps.append(step("late", "load", within="when", started=8.5, ended=9.0))
    bars = {row.name: row.bars[0] for row in gantt.rows(boxes.boxes(steps, 10.0), steps, 10.0)}
    assert bars["when"].ready == 1.0
    assert bars["late"].ready == 8.0


def test_a_picture_of_very_many_items_stays_small() -> None:
    items = [
        step(f"m[{n}]", within="m", started=n * 0.1, ended=n * 0.1 + 0.9) for n in range(9_000)
    ]
    steps = [step("m", kind="map"), *items]
    drawn = gantt.svg(gantt.rows(boxes.boxes(steps, 10.0), steps, 10.0))
    assert len(drawn) < 100_000
    assert re.search(r"with [0-9,]+ more steps", drawn)
    assert gantt.svg([]) == ""

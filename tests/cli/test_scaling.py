"""How many workers are decided on: bounds, cool-downs, proportion, and no swinging."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.cli.scaling import (
    Change,
    Course,
    Load,
    Target,
    decide,
    excess,
    quantile_ms,
    together,
    woken,
)

TURN_S = 0.5


def run(
    target: Target, loads: list[Load], course: Course | None = None
) -> list[tuple[float, Change]]:
    """Return the steps that a series of loads leads to, one look each half second."""
    course = course or Course(target.fewest, busy=0.0)
    steps = []
    for turn, load in enumerate(loads):
        now = turn * TURN_S
        if course.wanted == 0 and load.flying > 0:
            course, change = woken(course, now)
            steps.append((now, change))
        course, step = decide(target, course, load, now)
        if step is not None:
            steps.append((now, step))
    return steps


targets = st.builds(
    Target,
    fewest=st.integers(0, 4),
    most=st.integers(4, 9),
    in_flight=st.floats(0.5, 50),
    latency_ms=st.none() | st.floats(1, 500),
    out_after_s=st.floats(0, 10),
    in_after_s=st.floats(0, 60),
    idle_s=st.floats(1, 60),
)
loads = st.builds(
    Load,
    flying=st.just(0.0) | st.floats(0, 300),
    rate=st.floats(0, 1e4),
    p95_ms=st.none() | st.floats(0.1, 5e3),
)


@given(targets, st.lists(loads, max_size=150))
def test_the_number_stays_within_its_bounds_and_steps_join(
    target: Target, series: list[Load]
) -> None:
    at = target.fewest
    for _, step in run(target, series):
        assert step.before == at
        assert step.after != at
        assert target.fewest <= step.after <= target.most
        assert step.why
        at = step.after


@given(targets, st.lists(loads, max_size=150))
def test_cool_downs_lie_between_steps(target: Target, series: list[Load]) -> None:
    ups = [at for at, step in run(target, series) if 0 < step.before < step.after]
    assert all(b - a >= target.out_after_s for a, b in pairwise(ups))
    every = run(target, series)
    for (before, _), (at, step) in pairwise(every):
        if 0 < step.after < step.before:
            assert at - before >= target.in_after_s


def queue(offered: float, workers: int, each: float) -> Load:
    """Return what a queue with so many servers shows of a constant load (requests a second)."""
    busy = offered / (workers * each)
    if busy >= 1:
        return Load(flying=256.0, rate=workers * each, p95_ms=1000 * 256 / (workers * each))
    flying = offered / each / (1 - busy)
    return Load(flying=flying, rate=offered, p95_ms=3000 / each / (1 - busy))


@given(
    offered=st.floats(1, 1500),
    each=st.floats(20, 400),
    in_flight=st.floats(1, 30),
    latency_ms=st.none() | st.floats(5, 200),
    start=st.integers(1, 8),
)
@settings(max_examples=200)
def test_a_constant_load_never_swings(
    offered: float, each: float, in_flight: float, latency_ms: float | None, start: int
) -> None:
    target = Target(1, 8, in_flight, latency_ms, in_after_s=10)
    course, steps = Course(start, busy=0.0), []
    for turn in range(1600):
        load = queue(offered, course.wanted, each)
        course, step = decide(target, course, load, turn * TURN_S)
        if step is not None:
            steps.append(turn * TURN_S)
    # It may step past what is right and come back, each time closer; then it stands still.
    assert all(at < 300 for at in steps), steps


def test_one_step_up_adds_as_many_as_the_load_is_over_the_target() -> None:
    [(_, step)] = run(Target(1, 8), [Load(flying=31.0, rate=100.0)])
    assert (step.before, step.after) == (1, 4)
    assert step.why == "31.0 in flight, 8 a worker are wanted"
    slow = Target(1, 8, latency_ms=50)
    [(_, step)] = run(slow, [Load(flying=2.0, rate=100.0, p95_ms=400.0)])
    assert (step.before, step.after) == (1, 2)  # at most twice as many by latency
    assert step.why == "p95 400 ms, 50 ms are wanted"


def test_a_load_within_a_tenth_of_the_target_changes_nothing() -> None:
    assert run(Target(1, 8), [Load(flying=8.7, rate=10.0)] * 500) == []


def test_fewer_come_only_after_a_while_and_then_as_many_as_were_needed_in_it() -> None:
    target = Target(1, 8, in_after_s=10)
    calm, less = [Load(flying=9.0, rate=10.0)] * 10, [Load(flying=1.0, rate=2.0)] * 11
    [(at, step)] = run(target, calm + less, Course(6, busy=0.0))
    assert (at, step.before, step.after) == (10.0, 6, 2)


def test_what_was_too_few_is_not_tried_again_until_there_is_less_to_do() -> None:
    target = Target(1, 4, in_after_s=5)
    rush, same = [Load(flying=20.0, rate=100.0)], [Load(flying=1.0, rate=110.0)] * 100
    steps = run(target, rush + same)
    assert [step.after for _, step in steps] == [3, 2]
    less = [Load(flying=1.0, rate=60.0)] * 100
    assert [step.after for _, step in run(target, rush + less)] == [3, 1]


def test_an_endpoint_that_nobody_asks_has_none_and_one_when_somebody_comes() -> None:
    target = Target(0, 4, idle_s=3)
    asked, nobody = [Load(flying=1.0, rate=1.0)], [Load()] * 10
    steps = run(target, asked + nobody + asked)
    assert [(at, s.before, s.after) for at, s in steps] == [(0.0, 0, 1), (3.0, 1, 0), (5.5, 0, 1)]
    assert [s.why for _, s in steps] == [
        "a request came",
        "nobody asked for 3 s",
        "a request came",
    ]


def test_new_bounds_are_met_at_once() -> None:
    [(at, step)] = run(Target(2, 3), [Load()], Course(8, busy=0.0))
    assert (at, step.after, step.why) == (0.0, 3, "2 to 3 are wanted")


def test_what_the_engine_tells_wrongly_is_as_by_default() -> None:
    assert Target.of({"name": "a"}) == Target()
    assert Target.of({"fewest": 3, "most": "many", "latency_ms": None}) == Target(3, 3)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 500), min_size=2))
def test_letting_connections_go_brings_all_closer_to_their_share(found: dict[str, int]) -> None:
    share = sum(found.values()) / len(found)
    for name, number in excess(found).items():
        assert 0 < number < found[name]
        assert found[name] - number >= share
    spread = max(found.values()) - min(found.values())
    assert excess(found) or spread == 0 or max(found.values()) <= 1.25 * share + 1


def test_workers_loads_are_added_and_their_latencies_are_one_histogram() -> None:
    edges = [0.01, 0.1, 1.0]
    load = together([(2.5, 10.0, [20, 0, 0, 0]), (1.0, 5.0, [0, 0, 2, 0]), (0.0, 0.0, [])], edges)
    assert load == Load(flying=3.5, rate=15.0, p95_ms=1000.0)
    assert quantile_ms(edges, [20, 0, 2, 0], 0.5) == 10.0
    assert quantile_ms(edges, [3, 0, 0, 0], 0.5) is None  # of too few
    assert quantile_ms(edges, [0, 0, 0, 12], 0.5) == 1000.0

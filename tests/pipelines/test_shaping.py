"""What shapes take while a pipeline is wired, what they refuse, and what they do at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, MainspringError, ProjectError
from mainspring.pipelines import shaping, waits
from mainspring.pipelines.declare import Ref, pipeline, step
from mainspring.pipelines.graph import Graph
from mainspring.pipelines.options import Options, Retry, delay_s, settle
from mainspring.pipelines.tracing import trace


@step
def one(number: int = 0) -> int:
    return number


@step
def fits(number: int) -> bool:
    return number > 2


KEPT: list[Any] = []


@pipeline
def leaks_a_branch():
    KEPT.clear()
    shaping.when(fits(one()), lambda: KEPT.append(one(1)))
    return one(KEPT[0])


@pipeline
def leaks_an_item():
    KEPT.clear()
    shaping.map(lambda item: KEPT.append(item), over=[1, 2])
    return one(KEPT[0])


@pipeline
def uses_itself():
    return one(Ref("one", one_scope()))


@pipeline
def uses_what_comes_later():
    one(Ref("one_2", one_scope()))
    return one(1)


@pipeline
def ping(number: int = 0):
    return pong(number)


@pipeline
def pong(number: int = 0):
    return ping(number)


@pipeline
def endless():
    while True:
        one()


@pipeline
def around():
    """Uses what is outside of its blocks within them, deep down."""
    base = one(5)

    def each(item: Any) -> Any:
        return shaping.when(fits(item), lambda: fits(base), lambda: base)

    return shaping.map(each, over=[1, 2], name="each")


def one_scope() -> Any:
    from mainspring.pipelines.declare import TRACER

    return TRACER.get()._scope  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wired", "told"),
    [
        (leaks_a_branch, "known only within the branch, map or round"),
        (leaks_an_item, "known only within the branch, map or round"),
        (uses_itself, "one takes what one returns.*cannot depend on itself"),
        (uses_what_comes_later, "one_2 does not come before it"),
        (ping, "calls itself without end: ping -> pong -> ping"),
        (endless, "more than 10,000 steps"),
    ],
)
def test_what_cannot_be_wired_is_refused_with_the_way_out(wired: Any, told: str) -> None:
    with pytest.raises(ProjectError, match=told) as found:
        trace(wired)
    assert found.value.hint


def nothing() -> None:
    return None


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        (lambda: shaping.map(one, over=[1], limit=0), "limit"),
        (lambda: shaping.map(one, over=[1], limit=-1), "limit"),
        (lambda: shaping.map(one, over=[1], tolerate=-1), "tolerate"),
        (lambda: shaping.map(one, over=[1], tolerate=1.5), "tolerate"),
        (lambda: shaping.map(one, over=[1], tolerate=True), "tolerate"),
        (lambda: shaping.map(one, over=[1], tolerate="101%"), "tolerate"),
        (lambda: shaping.map(one, over=[1], tolerate="some"), "tolerate"),
        (lambda: shaping.map(one, over=[1], rest="go on"), "rest"),  # type: ignore[arg-type]
        (lambda: shaping.map(one, over=[1], report=1), "report"),  # type: ignore[arg-type]
        (lambda: shaping.map(one, over=7), "over"),
        (lambda: shaping.map(one, over=(n for n in range(3))), "over"),
        (lambda: shaping.parallel(), "branches"),
        (lambda: shaping.parallel(7), "body"),  # type: ignore[arg-type]
        (lambda: shaping.choose(1, {}), "branches"),
        (lambda: shaping.choose(1, {0.5: nothing}), "branches"),
        (lambda: shaping.choose(1, {"1": nothing, True: nothing}), "value"),
        (lambda: shaping.map(3, over=[1]), "body"),  # type: ignore[arg-type]
        (lambda: shaping.iterate(one, 1, fits, most=0), "most"),
        (lambda: shaping.iterate(one, 1, fits, at_most="stop"), "at_most"),  # type: ignore[arg-type]
        (lambda: shaping.catch(nothing, nothing, on=[7]), "on"),  # type: ignore[list-item]
        (lambda: shaping.when(1, nothing), "condition"),
        (lambda: waits.wait_for_approval("a", expires="-1d"), "expires"),
        (lambda: waits.wait_for_approval("a", expires=0), "expires"),
        (lambda: waits.wait_for_approval("a b"), "name"),
        (lambda: waits.wait_for_event("a", on_expiry="wait"), "on_expiry"),  # type: ignore[arg-type]
        (lambda: waits.wait_until("tomorrow"), "when"),
        (lambda: waits.wait("soon"), "seconds"),
        (lambda: shaping.run_pipeline(ping, nonsense=1), "nonsense"),
        (lambda: shaping.run_pipeline(one), "pipeline"),  # type: ignore[arg-type]
        (lambda: settle({"retry_on": [3]}), "retry_on"),
        (lambda: settle({"backoff_rate": 0.5}), "backoff_rate"),
    ],
)
def test_what_a_shape_cannot_take_is_refused_by_name(shape: Callable[[], Any], field: str) -> None:
    with pytest.raises(BadInputError) as found:
        shape()
    assert found.value.field == field


def test_what_waits_for_somebody_needs_a_run() -> None:
    for shape in (
        lambda: waits.wait_for_approval("a"),
        lambda: waits.wait_for_event("a"),
        lambda: waits.wait_until(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    ):
        with pytest.raises(ProjectError, match="only a run can wait"):
            shape()


def test_a_wait_that_nothing_would_wait_for_is_refused() -> None:
    @pipeline
    def careless() -> int:
        waits.wait_for_approval("publish")
        return one(1)

    @pipeline
    def careful() -> int:
        yes = waits.wait_for_approval("publish")
        return shaping.when(yes, lambda: one(1))

    @pipeline
    def at_the_end() -> None:
        one(1)
        waits.wait_for_approval("seen")

    careless.__wrapped__.__qualname__ = careful.__wrapped__.__qualname__ = "body"
    at_the_end.__wrapped__.__qualname__ = "body"
    with pytest.raises(ProjectError, match="Nothing takes what the wait publish returns"):
        trace(careless)
    assert [node.name for node in trace(careful).nodes] == ["publish", "when"]
    assert [node.name for node in trace(at_the_end).nodes] == ["one", "seen"]


def test_shapes_work_as_plain_python() -> None:
    assert shaping.map(one, over=[1, 2]) == [1, 2]
    assert shaping.map(lambda n: 1 // n, over=[0, 1], tolerate=1) == [None, 1]
    with pytest.raises(ZeroDivisionError):
        shaping.map(lambda n: 1 // n, over=[0, 1])
    assert shaping.when(False, nothing) is None
    assert shaping.iterate(lambda n: n + 1, 0, fits) == 3
    assert shaping.iterate(lambda n: n, 0, fits, most=2, at_most="accept") == 0
    with pytest.raises(ProjectError, match="within 2 rounds"):
        shaping.iterate(lambda n: n, 0, fits, most=2)
    with pytest.raises(ZeroDivisionError):
        shaping.catch(lambda: 1 // 0, nothing, on="OSError")


def test_a_controller_needs_what_its_blocks_take_from_outside_and_nothing_of_their_own() -> None:
    graph = trace(around)
    assert graph.needs == {"one": [], "each": ["one"]}
    assert len(graph.targets) == 2
    assert (graph.root_of("each[3].fits"), graph.root_of("other")) == ("each", None)
    again = Graph(pipeline="p", params={}, nodes=graph.nodes, result=None)
    assert again.after("each[1].fits") == ["each[1].fits"]


@given(
    tried=st.integers(1, 500),
    backoff=st.floats(0, 1e4),
    rate=st.floats(1, 100),
    most=st.floats(0, 1e5),
    chance=st.floats(0, 1),
)
def test_a_wait_before_another_try_grows_and_is_never_above_its_bound(
    tried: int, backoff: float, rate: float, most: float, chance: float
) -> None:
    options = Options(backoff_s=backoff, backoff_rate=rate, max_delay_s=most)
    waits = [delay_s(options, n, chance) for n in (tried, tried + 1)]
    assert 0 <= waits[0] <= waits[1] <= most
    assert delay_s(Options(jitter=True), tried, chance) <= delay_s(Options(), tried, chance)


def test_rules_of_trying_again_are_checked_each() -> None:
    rules = settle({"retry": [Retry(on=OSError), Retry(most=1)]}).rules
    assert [(one.on, one.most) for one in rules] == [(["OSError"], 3), ([], 1)]
    assert settle({"retry": Retry(on="OSError")}).rules[0].on == ["OSError"]
    for given_, field in (
        ({"retry": Retry(), "retries": 1}, "retries"),
        ({"retry": [3]}, "retry"),
        ({"retry": Retry(most=-1)}, "retry's most"),
        ({"retry": Retry(backoff_rate=0.5)}, "retry's backoff_rate"),
        ({"retry": Retry(on=[3])}, "retry's on"),
        ({"heartbeat_s": 0}, "heartbeat_s"),
    ):
        with pytest.raises(BadInputError) as found:
            settle(given_)
        assert found.value.field == field


def test_types_of_errors_are_kept_by_name() -> None:
    assert settle({"retry_on": [OSError, "httpx.HTTPError"]}).retry_on == ["OSError", "HTTPError"]
    assert settle({"retry_on": MainspringError}).retry_on == ["MainspringError"]

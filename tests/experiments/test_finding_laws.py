"""Finding agrees with a filter written in plain Python, on every database."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import naive
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.experiments import finding, runs, ways
from mainspring.experiments.exact import is_unseen
from mainspring.experiments.expressions import (
    LISTS,
    NANS,
    NULLS,
    NUMERIC,
    And,
    Condition,
    Expression,
    Not,
    Or,
    Order,
    why_not,
)
from mainspring.experiments.expressions import NUMBERS as TIMES
from mainspring.experiments.expressions import TEXTS as ATTRIBUTES
from mainspring.experiments.finding import Search
from mainspring.experiments.tables import METADATA
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store

NUMBERS = [0.0, -0.0, 1.0, 1.5, -3.0, 5e-324, 1e308, -1e308, float("inf"), float("-inf"), 0.1]
METRICS = [*NUMBERS, float("nan"), 0.30000000000000004]
TEXTS = [
    "1", "1.0", " 1 ", "01", "-3", "1.5", "0.1", "1e3", "1e999", "1e-400", "inf", "nan", "0x10",
    "1_000", "", " ", "a", "A", "ab", "B", "é", "É", "日本", "🦊", "a%b", "a_b", "a*b", "a?b",
    "[a]", "a\\b", "a\nb", "'", '"', "`", "x" * 240, "x" * 239 + "y", "9" * 39, "9" * 41, "True",
    "\uff11", "1e5", "1e00005", "0.1e1 ", "\t1", "--", "+.5", "5.", ".", "e5",
]  # fmt: skip
#: Texts that may be names: what nobody can see is refused in those.
NAMES = [t for t in TEXTS if t.strip() == t != "" and not any(map(is_unseen, t))]
KEYS = ["a", "odd key", "é"]
STARTS = [float(n) for n in range(12)]


def random_run(rng: random.Random, number: int) -> Run:
    def some(values: list[Any]) -> dict[str, Any]:
        return {key: rng.choice(values) for key in KEYS if rng.random() < 0.7}

    started = rng.choice(STARTS)
    tags = some(TEXTS) | {
        f"mainspring.{name}": rng.choice(TEXTS) for name in ("group", "user") if rng.random() < 0.5
    }
    return Run(
        id=f"r{number:03d}",
        experiment=rng.choice(["one", "two"]),
        name=rng.choice(NAMES),
        status=rng.choice(list(RunStatus)),
        started=started,
        ended=rng.choice([None, started, started + 1.5, started + 3600]),
        pipeline=rng.choice([None, "p:a", "p:B"]),
        parent=rng.choice([None, None, "r000"]) if number else None,
        params=some(TEXTS),
        metrics=some(METRICS),
        tags=tags,
    )


@pytest.fixture
def filled(open_test_store: Callable[..., Store]) -> Filled:
    store, rng = open_test_store(METADATA), random.Random(7)
    made = [random_run(rng, number) for number in range(80)]
    store.write(service("test"), Permission.LOG, lambda tx: [runs.create(tx, one) for one in made])
    return Filled(store, made)


class Filled:
    """A store and what is in it."""

    def __init__(self, store: Store, runs: list[Run]) -> None:
        self.store, self.runs = store, runs

    def __repr__(self) -> str:
        return "the store"


def read(store: Store, work: Callable[[Any], Any]) -> Any:
    return store.read(service("test"), Permission.READ, work)


numbers = st.sampled_from(NUMBERS)
texts = st.sampled_from(TEXTS)
patterns = st.text("a%_A*?[]\\éb1x", max_size=6)
values = st.one_of(
    st.none(),
    numbers,
    texts,
    patterns,
    st.sampled_from(STARTS),
    st.sampled_from([str(status) for status in RunStatus]),
    st.lists(numbers, min_size=1, max_size=3),
    st.lists(texts, min_size=1, max_size=3),
)
operators = st.sampled_from(
    [*NUMERIC, "like", "not like", "ilike", "not ilike", *LISTS, *NULLS, *NANS]
)
kept = st.one_of(
    st.tuples(st.sampled_from(["metric", "param", "tag"]), st.sampled_from(KEYS)),
    st.tuples(
        st.just("run"),
        st.sampled_from([*(name for name in ATTRIBUTES if name != "experiment"), *TIMES]),
    ),
)
conditions = st.builds(
    lambda where, op, value: Condition(*where, op, value), kept, operators, values
).filter(lambda one: why_not(one) is None)
expressions: st.SearchStrategy[Expression] = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
orders = st.lists(
    st.builds(
        lambda where, up, plain: Order(*where, up, textual=plain and where[0] in ("param", "tag")),
        kept,
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: (one.kind, one.key),
)
ways_to_go = st.sampled_from(["drive", "walk", "weigh"])


def choose(patch: pytest.MonkeyPatch, way: str) -> None:
    """Make a search go one way, however little it would pay with so few runs."""
    patch.setattr(ways, "FEW", -1 if way == "walk" else 1000)
    patch.setattr(ways, "SURELY", 0 if way == "weigh" else 10_000)


slow = settings(max_examples=60, suppress_health_check=[*HealthCheck])


@slow
@given(expression=expressions, way=ways_to_go)
def test_a_filter_finds_what_plain_python_finds(
    filled: Filled, expression: Expression, way: str
) -> None:
    store, made = filled.store, filled.runs
    search = Search(expression, (Order("run", "id"),))
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, way)
        found = read(store, lambda tx: finding.page(tx, search).ids)
        counted = read(store, lambda tx: finding.count(tx, search))
    assert found == [run.id for run in made if naive.meets(run, expression)]
    assert counted == len(found)


@slow
@given(order=orders, expression=expressions, size=st.integers(7, 60), way=ways_to_go)
def test_pages_in_any_order_show_every_run_once_as_plain_python_orders_them(
    filled: Filled,
    order: list[Order],
    expression: Expression,
    size: int,
    way: str,
) -> None:
    store, made = filled.store, filled.runs
    search = Search(expression, tuple(order))
    seen: list[str] = []
    cursor = None
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, way)
        while True:
            at = cursor
            page = read(store, lambda tx, at=at: finding.page(tx, search, limit=size, cursor=at))
            seen += page.ids
            cursor = page.cursor
            if cursor is None:
                break
    by_id = next((i for i, one in enumerate(order) if one.key == "id"), len(order))
    wanted = naive.ordered(
        [run for run in made if naive.meets(run, expression)],
        order[: by_id + 1] if by_id < len(order) else order,
    )
    assert seen == wanted


@settings(slow, max_examples=25)
@given(order=orders, size=st.integers(10, 40), seed=st.integers(0, 1000))
def test_runs_that_start_while_somebody_pages_move_no_page(
    filled: Filled, order: list[Order], size: int, seed: int
) -> None:
    rng = random.Random(seed)
    before = {run.id for run in filled.runs}
    cursor, seen = None, list[str]()
    while True:
        at = cursor
        search = Search(orders=tuple(order))
        page = read(
            filled.store, lambda tx, at=at, s=search: finding.page(tx, s, limit=size, cursor=at)
        )
        seen += page.ids
        cursor = page.cursor
        if cursor is None:
            break
        fresh = random_run(rng, len(filled.runs))
        filled.runs.append(fresh)
        filled.store.write(
            service("test"), Permission.LOG, lambda tx, one=fresh: runs.create(tx, one)
        )
    assert len(seen) == len(set(seen))
    kept = [run for run in filled.runs if run.id in before]
    by_id = next((i + 1 for i, one in enumerate(order) if one.key == "id"), len(order))
    assert [run for run in seen if run in before] == naive.ordered(kept, order[:by_id])

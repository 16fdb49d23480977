"""Finding runs: what a filter means, orders, pages; the same on every database."""

from __future__ import annotations

import pytest

from mainspring.experiments import columns, datasets, finding, runs
from mainspring.experiments.filters import parse, parse_columns, parse_orders
from mainspring.experiments.finding import Search
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.ports import Tx


def a_run(name: str, **more: object) -> Run:
    given = {"experiment": "flights", "name": name, "status": RunStatus.RUNNING, "started": 5.0}
    return Run(id=name, **{**given, **more})  # type: ignore[arg-type]


def ids(tx: Tx, text: str = "", order: str = "", **more: object) -> list[str]:
    search = Search(parse(text, now=100.0), tuple(parse_orders(order)), **more)  # type: ignore[arg-type]
    return finding.page(tx, search).ids


def test_pages_show_every_run_once_newest_first_while_others_start(tx: Tx) -> None:
    for number in range(11):
        runs.create(tx, a_run(f"run_{number:02d}", started=float(number // 3)))
    seen: list[str] = []
    cursor = None
    while True:
        page = finding.page(tx, Search(), limit=4, cursor=cursor)
        seen += page.ids
        cursor = page.cursor
        if cursor is None:
            break
        runs.create(tx, a_run(f"late_{len(seen)}", started=100.0))
    assert seen == [f"run_{n:02d}" for n in range(10, -1, -1)]


def test_a_search_looks_only_where_it_is_told(tx: Tx) -> None:
    runs.create(tx, a_run("a", experiment="one", pipeline="project:train"))
    runs.create(tx, a_run("b", experiment="two", started=6.0, params={"C": "10"}))
    runs.end(tx, "b", "failed", 9.0)
    assert ids(tx, experiments=("one",)) == ["a"]
    assert ids(tx, "status = 'failed'") == ["b"]
    assert ids(tx, "pipeline = 'project:train'") == ["a"]
    assert ids(tx, "experiment in ('two', 'three')") == ["b"]
    assert ids(tx, "experiment like 't%'") == ["b"]
    assert ids(tx, "not ended < 100") == ["a"]
    assert ids(tx, "duration >= '3s'") == ["b"]
    assert ids(tx, "params.C > 9") == ["b"]
    assert ids(tx, "params.C = '10.0'") == []
    assert ids(tx, "params.C = 10") == ["b"]
    assert ids(tx, "started > '-95s'") == ["b"]
    assert ids(tx, experiments=("three",)) == []
    assert ids(tx, deleted=True) == []


def test_a_run_that_read_a_dataset_twice_is_found_once(tx: Tx) -> None:
    for name in "ab":
        runs.create(tx, a_run(name))
    told = datasets.Dataset(name="flights", digest="d1", source_type="local", source="x.csv")
    uses = [datasets.Use(dataset=told, context=context) for context in ("train", "test")]
    datasets.log(tx, "b", uses, 1.0)
    assert ids(tx, "datasets.digest = 'd1'") == ["b"]
    assert ids(tx, "datasets.name in ('flights', 'x')", "-metrics.auc") == ["b"]
    assert ids(tx, "not datasets.name = 'flights'") == ["a"]


def test_counting_stops_where_nobody_counts_any_more(
    tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        runs.create(tx, a_run(name))
    assert finding.count(tx, Search()) == 4
    monkeypatch.setattr(finding, "MOST_COUNTED", 2)
    assert finding.count(tx, Search()) == 3
    assert finding.count(tx, Search(parse("id in ('a', 'x')"))) == 1


def test_a_cursor_of_another_order_is_refused(tx: Tx) -> None:
    for name in "abc":
        runs.create(tx, a_run(name))
    cursor = finding.page(tx, Search(), limit=1).cursor
    with pytest.raises(BadInputError, match="another order"):
        finding.page(tx, Search(orders=tuple(parse_orders("name"))), cursor=cursor)


def test_only_chosen_columns_are_loaded(tx: Tx) -> None:
    runs.create(tx, a_run("a", params={"C": "1", "D": "2"}, metrics={"auc": 0.5, "loss": 0.1}))
    (one,) = columns.load(tx, ["a", "gone"], parse_columns("params.C,started"))
    assert (one.params, one.metrics) == ({"C": "1"}, {})
    known = columns.known(tx, ["a"], prefix="a")
    assert [(each.key, each.runs) for each in known.metrics] == [("auc", 1)]
    assert known.params == []


@pytest.mark.parametrize("cursor", ["x", "1", "", "gqE", "ksZ4eHg", "é"])
def test_a_cursor_that_is_none_is_refused(tx: Tx, cursor: str) -> None:
    with pytest.raises(BadInputError) as caught:
        finding.page(tx, Search(), cursor=cursor)
    assert caught.value.field == "cursor"

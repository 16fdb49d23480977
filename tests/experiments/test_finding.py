"""Finding runs: what a filter means, orders, pages; the same on every database."""

from __future__ import annotations

import pytest

from mainspring.experiments import finding, runs
from mainspring.experiments.filters import parse, parse_orders
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


@pytest.mark.parametrize("cursor", ["x", "1", "", "gqE", "ksZ4eHg", "é"])
def test_a_cursor_that_is_none_is_refused(tx: Tx, cursor: str) -> None:
    with pytest.raises(BadInputError) as caught:
        finding.page(tx, Search(), cursor=cursor)
    assert caught.value.field == "cursor"

"""Every filter and order of the reference finds what the page says it finds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mainspring.experiments import datasets, finding, groups, runs
from mainspring.experiments.filters import parse, parse_orders
from mainspring.experiments.finding import Search
from mainspring.experiments.tables import METADATA
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store, Tx

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "filters.md").read_text("utf-8")
NOW = datetime.fromisoformat("2026-11-28T12:00:00Z").timestamp()
_ROW = re.compile(
    r"^\| (?:`` ?(?P<odd>.+?) ?``|`(?P<plain>[^`]+)`) \| (?P<finds>[a-d ]*)\|", re.MULTILINE
)
_TABLES = {
    head: [
        ((found["odd"] or found["plain"]), found["finds"].split()) for found in _ROW.finditer(text)
    ]
    for head, text in (
        ("filter", PAGE.partition("## Orders")[0]),
        ("order", PAGE.partition("## Orders")[2].partition("## Columns")[0]),
    )
}


@pytest.fixture
def store(open_test_store: Callable[..., Store]) -> Store:
    opened = open_test_store(METADATA)
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    def fill(tx: Tx) -> None:
        for told in json.loads(block):
            read = told.pop("datasets", [])
            runs.create(tx, _run(tx, told))
            datasets.log(tx, told["id"], [_use(*one) for one in read], 1.0)

    opened.write(service("test"), Permission.LOG, fill)
    return opened


def _use(name: str, digest: str, context: str) -> datasets.Use:
    dataset = datasets.Dataset(name=name, digest=digest, source_type="local", source="x.csv")
    return datasets.Use(dataset=dataset, context=context)


def _run(tx: Tx, told: dict[str, Any]) -> Run:
    started = datetime.fromisoformat(told.pop("started")).timestamp()
    seconds = told.pop("seconds", None)
    name = told.pop("experiment")
    made = groups.by_name(tx, name) or groups.create(tx, name, {}, 1.0)
    metrics = {key: float(value) for key, value in told.pop("metrics").items()}
    told["status"] = RunStatus(told["status"])
    ended = None if seconds is None else started + seconds
    return Run(**told, experiment=made.key, started=started, ended=ended, metrics=metrics)


def test_the_page_has_examples() -> None:
    assert len(_TABLES["filter"]) > 40
    assert len(_TABLES["order"]) == 5


def test_every_filter_finds_what_the_page_says(store: Store) -> None:
    for text, wanted in _TABLES["filter"]:
        search = Search(parse(text, now=NOW), tuple(parse_orders("id")))
        found = store.read(
            service("test"), Permission.READ, lambda tx, s=search: finding.page(tx, s).ids
        )
        assert found == wanted, text


def test_every_order_gives_what_the_page_says(store: Store) -> None:
    for text, wanted in _TABLES["order"]:
        search = Search(orders=tuple(parse_orders(text)))
        found = store.read(
            service("test"), Permission.READ, lambda tx, s=search: finding.page(tx, s).ids
        )
        assert found == wanted, text


def test_the_error_on_the_page_is_the_error() -> None:
    with pytest.raises(BadInputError) as caught:
        parse("metrics.auc gt 0.9")
    assert f"error: {caught.value.message}\nhint: {caught.value.hint}\n" in PAGE

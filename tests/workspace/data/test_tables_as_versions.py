"""Frames and the answers of queries as versions, from both databases, which are only read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.settings import Settings
from mainspring.pipelines.data import fetching, manifest
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data import tables
from mainspring.workspace.opening import Workspace, open_workspace


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    place = tmp_path_factory.mktemp("home")
    given = Settings(root=str(place), home=str(place / "home"))
    with contextlib.closing(open_workspace(given)) as found:
        yield found


ORDERS = """
create table orders (id integer, amount {real}, paid {flag}, at {time}, note text);
insert into orders values
  (1, 9.5, {true}, '2013-01-01 10:00:00', 'a:b 100%'), (2, null, {false}, null, null);
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("db") / "shop?.db"
        with contextlib.closing(sqlite3.connect(file)) as made:
            words = {"real": "real", "flag": "integer", "time": "text", "true": 1, "false": 0}
            made.executescript(ORDERS.format(**words))
            made.commit()
        return f"sqlite:///{str(file).replace('?', '%3F')}"
    import psycopg

    found = str(request.getfixturevalue("postgres_server").create(f"shop{os.getpid()}"))
    plain = found.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as made:
        words = {"real": "numeric(9,2)", "flag": "boolean", "time": "timestamptz"}
        made.execute(ORDERS.format(**words, true="true", false="false"))  # type: ignore[arg-type]
    return plain


def read(ws: Workspace, version: DataVersion) -> pl.DataFrame:
    held = manifest.read(version.manifest or "", ws.objects)
    return pl.read_parquet(fetching.read(held.entries[0], ws.objects))


def test_what_a_query_answers_is_kept_with_the_query_and_without_the_password(
    ws: Workspace, url: str
) -> None:
    query = "select * from orders where note is null or note like '%:%' order by id"
    name = f"orders-{url.partition(':')[0]}"
    secret = url.replace("@", ":hunter2@", 1) if ":hunter2@" not in url else url
    found = tables.add_query(ws, name, query, url, message="the shop")
    assert found.new
    rows = read(ws, found.version)
    assert rows["id"].to_list() == [1, 2]
    assert rows["note"].to_list() == ["a:b 100%", None]
    assert rows["amount"].to_list() == ([9.5, None] if "sqlite" in url else ["9.50", None])
    assert found.version.kind == "query"
    assert found.version.meta["query"] == query
    assert found.version.meta["rows"] == 2
    assert found.version.meta["columns"]["id"] == "Int64"
    assert "hunter2" not in str(found.version) + tables._without_password(tables._url(secret))
    again = tables.add_query(ws, name, query, url)
    assert (again.new, again.version) == (False, found.version)
    assert not tables.add_query(ws, name, query, url, again=True).new, "the same rows"


@pytest.mark.parametrize(
    "query",
    [
        "delete from orders",
        "insert into orders (id) values (3) returning id",
        "create table more (id integer)",
        "select 1; drop table orders",
    ],
)
def test_a_database_is_only_read(ws: Workspace, url: str, query: str) -> None:
    with pytest.raises(BadInputError):
        tables.add_query(ws, "never", query, url)
    kept = tables.add_query(ws, "kept", "select count(*) as n from orders", url, again=True)
    assert read(ws, kept.version)["n"].to_list() == [2]


def test_many_portions_are_one_table(
    ws: Workspace, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "AT_ONCE", 10)
    counted = """with recursive n(i) as (select 0 union all select i + 1 from n where i < 24)
        select i, case when i > 15 then i * 1.5 end as late from n order by i"""
    rows = read(ws, tables.add_query(ws, "counted", counted, url, again=True).version)
    assert rows["i"].to_list() == list(range(25))
    assert rows["late"].null_count() == 16
    empty = tables.add_query(ws, "empty", "select id, note from orders where id > 9", url)
    assert (read(ws, empty.version).columns, empty.version.meta["rows"]) == (["id", "note"], 0)


def test_what_cannot_be_kept_is_refused_by_its_column(ws: Workspace, url: str) -> None:
    with pytest.raises(BadInputError, match="more than one column 'id'"):
        tables.add_query(ws, "never", "select id, amount as id from orders", url)
    with pytest.raises(BadInputError, match="cannot be answered"):
        tables.add_query(ws, "never", "select nothing from nowhere", url)
    with pytest.raises(BadInputError, match="is asked something"):
        tables.add_query(ws, "never", "  ", url)
    if "sqlite" in url:
        mixed = "select 1 as a union all select 'x'"
        with pytest.raises(BadInputError, match="'a' of the answer has values of several kinds"):
            tables.add_query(ws, "never", mixed, url)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nothing at all", "no address"),
        ("sqlite:////nowhere/at/all.db", "There is no file"),
        ("mysql://host/db", "not of mysql"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(ws: Workspace, address: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        tables.add_query(ws, "never", "select 1", address)


def test_a_frame_becomes_a_version_lazily_too(ws: Workspace, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1, None], "day": ["a", "b"]})
    first = tables.add_frame(ws, "features", frame, message="by hand")
    assert (first.reference, first.kind, first.meta["rows"]) == ("features@1", "table", 2)
    assert tables.add_frame(ws, "features", frame.lazy()).number == 1, "the same rows"
    assert tables.add_frame(ws, "features", frame.to_pandas()["day"].to_frame()).number == 2
    assert read(ws, first).equals(frame)
    with pytest.raises(BadInputError):
        tables.add_frame(ws, "features", 3)
    with pytest.raises(BadInputError):
        tables.add_frame(ws, "../features", frame)

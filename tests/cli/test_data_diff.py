"""``mainspring data diff`` and ``data show``: versions, paths and pointers; words and JSON."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

Say = Callable[..., Any]


def test_two_versions_and_what_lies_here_are_compared(say: Say, tmp_path: Path) -> None:
    rows = pl.DataFrame({"day": [1, 2], "late": [0.5, 1.5]})
    rows.write_parquet(tmp_path / "flights.parquet")
    assert say("data", "add", "flights.parquet").code == 0
    assert say("data", "diff", "flights.parquet").code == 0, "it is what the pointer names"
    pl.DataFrame({"day": [2, 3, 4], "late": [1.5, 2.5, None]}).write_parquet(
        tmp_path / "flights.parquet"
    )

    said = say("data", "diff", "flights.parquet", "--key", "day", "--markdown", "diff.md")
    assert said.code == 1
    assert "1 changed" in said.out
    assert "flights.parquet: 2 -> 3 rows (+1)" in said.out
    assert "By day: 2 rows added, 1 removed, 0 changed, 1 the same." in said.out
    assert "added: 3; 4" in said.out
    assert "2 -> 3 rows (+1)" in (tmp_path / "diff.md").read_text("utf-8")

    assert say("data", "add", "flights.parquet").code == 0
    said = say("data", "diff", "flights@1", "--files-only", "--json")
    assert (said.code, said.json["after"]["name"], said.json["tables"]) == (1, "flights@2", [])
    said = say("data", "diff", "flights@1", "flights@2", "--json")
    assert said.json["counts"]["changed"] == 1
    assert {one["what"] for one in said.json["tables"][0]["moved"]} >= {"missing", "high"}

    shown = say("data", "show", "flights@2")
    assert shown.code == 0, shown.err
    assert "flights@2: file, 1 files" in shown.out
    assert "flights.parquet: 3 rows" in shown.out
    assert say("data", "show", "flights", "--json").json["tables"][0]["rows"] == 3


def test_what_is_not_there_ends_with_two(say: Say, tmp_path: Path) -> None:
    (tmp_path / "here.csv").write_text("a\n1\n")
    assert say("data", "diff", "here.csv").code == 2, "there is no home yet"
    assert say("data", "add", "here.csv", "--name", "there", "--no-pointer").code == 0
    said = say("data", "diff", "here.csv")
    assert said.code == 2
    assert "no pointer beside it" in said.err
    assert say("data", "diff", "nothing@1", "here.csv").code != 0
    assert say("data", "add", "here.csv").code == 0
    (tmp_path / "here.csv").write_text("a\n2\n")
    said = say("data", "diff", "here.csv", "--key", "b")
    assert said.code == 2
    assert "no column 'b'" in said.err


def test_the_answer_of_a_query_is_added_and_asked_again_only_if_wanted(
    say: Say, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as made:
        made.executescript("create table orders (id integer); insert into orders values (7);")
    asked = ("data", "add", "--query", "select id from orders", "--from", "sqlite:///shop.db")
    said = say(*asked, "--name", "orders")
    assert said.code == 0, said.err
    assert "orders@1 is new" in said.out
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as made:
        made.execute("insert into orders values (8)")
        made.commit()
    assert "holds the same already" in say(*asked, "--name", "orders").out
    assert say(*asked, "--name", "orders", "--again", "--json").json["version"]["number"] == 2
    shown = say("data", "show", "orders@2").out
    assert "query: select id from orders" in shown
    assert say(*asked).code == 2
    assert say("data", "add").code == 2

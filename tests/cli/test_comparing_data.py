"""``mainspring compare-data``: two files in, words, JSON, HTML and Markdown out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

Say = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    before = pl.DataFrame({"age": range(1000), "city": ["Ulm", "Kiel"] * 500})
    before.write_parquet(tmp_path / "a.parquet")
    before.with_columns(pl.col("age") * 3).write_csv(tmp_path / "b.csv")
    return tmp_path


def test_two_files_are_compared_and_reported(say: Say, files: Path) -> None:
    words = ("--report", "moved.html", "--markdown", "moved.md")
    said = say("compare-data", "a.parquet", "b.csv", *words)
    assert said.code == 0, said.err
    assert "1 of 2 columns differ: age." in said.out
    assert "a.parquet: 1,000 rows; b.csv: 1,000 rows" in said.out
    assert "Written: moved.html" in said.out
    assert (files / "moved.html").read_text("utf-8").startswith("<!doctype html>")
    assert (files / "moved.md").read_text("utf-8").startswith("# b.csv beside a.parquet")


def test_json_is_one_document(say: Say, files: Path) -> None:
    said = say("compare-data", "a.parquet", "b.csv", "--json", "--report", str(files / "x.html"))
    assert said.json["verdict"] == "alarm"
    assert [one["verdict"] for one in said.json["columns"]] == ["alarm", "quiet"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a.parquet", "nothing.csv"), "There is no file nothing.csv."),
        (("a.parquet", "b.csv", "--alpha", "2"), "alpha lies between 0 and 1"),
        (("a.parquet", "b.xlsx"), "neither CSV, JSON lines nor Parquet"),
        (("a.parquet", "b.csv", "--report", "no/where.html"), "cannot be written"),
    ],
)
def test_bad_input_is_told_and_ends_with_two(
    say: Say, files: Path, words: tuple[str, ...], told: str
) -> None:
    (files / "b.xlsx").write_bytes(b"PK")
    said = say("compare-data", *words)
    assert said.code == 2
    assert told in " ".join(said.err.split())

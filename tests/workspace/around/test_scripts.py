"""What is said of a script, its digest, and the copy of a project that it runs in."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.programs.placing import write_frame
from mainspring.workspace.around import declaring, scratch
from mainspring.workspace.around.scripts import Script, code_of
from mainspring.workspace.tables import read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").write_text("import clean\n")
    (root / "clean.py").write_text("LIMIT = 3\n")
    (root / "other.py").write_text("")
    pl.DataFrame(
        {"when": ["2026-01-01 00:00:00", "2026-01-02 03:04:05"], "n": [1, 2], "y": [0, 1]}
    ).write_csv(root / "data.csv")
    return root


def said(folder: Path, **more: object) -> Script:
    given = {"model": "m", "target": "y", "rows": "data.csv"} | more
    return declaring.described(folder, "train.py", **given)  # type: ignore[arg-type]


def test_the_digest_is_of_the_script_and_what_it_imports_and_of_nothing_else(
    folder: Path,
) -> None:
    before = code_of(folder, "train.py")
    (folder / "other.py").write_text("x = 1\n")
    assert code_of(folder, "train.py") == before
    (folder / "clean.py").write_text("LIMIT = 4\n")
    assert code_of(folder, "train.py") != before


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"target": "z"}, "target"),
        ({"rows": "none.csv"}, "rows"),
        ({"rows": "/etc/hostname"}, "rows"),
        ({"writes": "../model.skops"}, "writes"),
        ({"args": "--data"}, "args"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    folder: Path, more: dict[str, object], field: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        said(folder, **more)
    assert refused.value.field == field


def test_a_script_elsewhere_or_missing_is_refused(folder: Path) -> None:
    for script in ("../x.py", "none.py"):
        with pytest.raises(BadInputError) as refused:
            declaring.described(folder, script, model="m", target="y", rows="data.csv")
        assert refused.value.field == "script"


def test_the_copy_holds_the_rows_in_the_form_of_the_file(folder: Path, tmp_path: Path) -> None:
    (folder / "model.skops").write_bytes(b"old")
    (folder / ".hidden").write_text("")
    (folder / "pyenv").mkdir()
    (folder / "pyenv" / "pyvenv.cfg").write_text("")
    known = read(folder / "data.csv")
    rows = pl.DataFrame(
        {"y": [1, 0], "n": [7.0, 8.0], "when": known["when"], "left_over": ["a", "b"]}
    )
    script = said(folder, writes="model.skops", args=["{rows}"])
    with scratch.prepared(folder, tmp_path / "home", script, rows) as (place, here):
        assert here == place / "data.csv"
        assert here.read_text().splitlines()[:2] == [
            "when,n,y", "2026-01-01 00:00:00,7,1",
        ]  # fmt: skip
        there = {one.name for one in place.iterdir()}
        assert there == {"train.py", "clean.py", "other.py", "data.csv"}
        (place / "clean.py").write_text("changed")
        told = scratch.variables(script, here, {"A": "b"})
        assert told["MAINSPRING_ROWS"] == str(here)
    assert not place.exists()
    assert (folder / "clean.py").read_text() == "LIMIT = 3\n"


def test_without_rows_the_script_reads_its_own(folder: Path, tmp_path: Path) -> None:
    with scratch.prepared(folder, tmp_path / "home", said(folder), None) as (_, here):
        assert here.read_bytes() == (folder / "data.csv").read_bytes()


@pytest.mark.parametrize("name", ["data.parquet", "data.jsonl", "data.tsv"])
def test_rows_are_written_as_the_name_says_and_read_back(
    folder: Path, tmp_path: Path, name: str
) -> None:
    rows = pl.DataFrame({"n": [1, 2, 3], "word": ["a", "b", None], "y": [0.5, 1.5, 2.5]})
    write_frame(rows, tmp_path / name)
    assert read(tmp_path / name).equals(rows)


def test_columns_that_the_rows_do_not_have_are_empty(folder: Path) -> None:
    found = scratch.shaped(pl.DataFrame({"y": [1]}), folder / "data.csv")
    assert found.columns == ["when", "n", "y"]
    assert found["n"].to_list() == [None]


def test_decimals_stay_decimals_where_they_are_none_of_whole_numbers(folder: Path) -> None:
    found = scratch.shaped(pl.DataFrame({"y": [0.5], "n": [2.0]}), folder / "data.csv")
    assert found["y"].to_list() == [0.5]
    assert found.schema["n"] == pl.Int64

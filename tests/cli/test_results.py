"""``mainspring result``, and what a run says at its end of what it returned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import mainspring as ms

PROJECT = """
from pathlib import Path

import polars as pl

import mainspring as ms


@ms.step
def rows(n: int) -> pl.DataFrame:
    return pl.DataFrame({"x": range(n), "y": range(n)})


@ms.step
def notes(rows: pl.DataFrame) -> Path:
    Path("notes.txt").write_text("four")
    return Path("notes.txt")


@ms.step
def found(rows: pl.DataFrame, notes: Path) -> dict:
    return {"rows": rows, "best": {"rate": 0.5}, "notes": notes}


@ms.step
def score(found: dict) -> float:
    return 0.25


@ms.pipeline
def go(n: int = 2000):
    made = rows(n)
    return score(found(made, notes(made)))


@ms.pipeline
def silent():
    rows(1)
"""


def test_a_run_says_what_it_returned_and_a_step_is_asked_for_afterwards(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "mainspring.toml").write_text("capture = false")
    (tmp_path / "project.py").write_text(PROJECT)
    assert "returned: 0.25\n" in say("run", "go").out
    again = say("run", "go", "--json").json
    assert (again["returned"]["step"], again["returned"]["value"]) == ("score", 0.25)

    assert say("result").out == "0.25\n"
    assert say("result", "last", "rows").out == "frame 2,000 x 2\n"
    found = say("result", again["run"]["id"], "found").out
    assert found == 'rows: frame 2,000 x 2, best: {"rate":0.5}, notes: file notes.txt, 4 bytes\n'

    table = say("result", "last", "rows", "--to", "out", "--json").json
    assert table["written"] == "out/rows.parquet"
    assert pl.read_parquet("out/rows.parquet").shape == (2000, 2)
    notes = say("result", "last", "notes", "--to", "out", "--json").json
    assert Path(notes["written"]).read_text() == "four"
    refused = say("result", "last", "found", "--to", "out")
    assert (refused.code, "kept as parts, which is no file" in refused.err) == (2, True)
    far = say("result", "last", "--to", "out", "--url", "http://127.0.0.1:1")
    assert (far.code, "written from the home itself" in far.err) == (2, True)

    assert "returned" not in say("run", "silent").out
    assert say("result").out == "nothing\n"
    with ms.run("script") as run:
        run.log(x=1.0)
    none = say("result", run.id)
    assert (none.code, "is of no pipeline" in none.err) == (2, True)

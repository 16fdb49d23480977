"""``mainspring init``: a working project for a user's own table, or what is wrong with it."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.workspace.tables import read


def table(rows: int = 300, kind: str = "binary") -> pl.DataFrame:
    """Return rows of every sort of column, the target depending on two of them."""
    random = np.random.default_rng(7)
    spend = random.normal(size=rows)
    plan = random.choice(["basic", "plus", "pro"], rows)
    signal = 2 * spend + (plan == "pro") + random.normal(size=rows) * 0.3
    target: Any = signal.tolist()
    if kind == "binary":
        target = np.where(signal > 0, "yes", "no").tolist()
    elif kind == "whole":
        target = (signal > 0).astype(float).tolist()
    elif kind == "multiclass":
        target = np.digitize(signal, [-1, 1]).tolist()
    return pl.DataFrame(
        {
            "id": [f"customer-{i}" for i in range(rows)],
            "amount spent": [None if i % 9 == 0 else float(v) for i, v in enumerate(spend)],
            "plan": plan.tolist(),
            "active": (random.random(rows) < 0.5).tolist(),
            "always": ["same"] * rows,
            "grade": random.integers(0, 5, rows).tolist(),
            "since": (pl.Series(np.arange(rows) // 3 + 19_000).cast(pl.Int32).cast(pl.Date)),
            "y": target,
        }
    )


@pytest.mark.parametrize("kind", ["binary", "whole", "multiclass", "regression"])
@pytest.mark.parametrize("ending", ["csv", "parquet", "tsv"])
def test_a_starter_knows_the_table_and_is_short_plain_python(
    say: Callable[..., Any], tmp_path: Path, kind: str, ending: str
) -> None:
    frame = table(kind=kind)
    file = tmp_path / f"My customers.{ending}"
    if ending == "parquet":
        frame.write_parquet(file)
    else:
        frame.write_csv(file, separator="\t" if ending == "tsv" else ",")
    time = ["--time", "since"] if ending == "csv" else []
    said = say("init", str(file), "--target", "y", *time, "--json")
    assert said.code == 0, said.err
    found = said.json
    assert found["kind"] == {"whole": "binary"}.get(kind, kind)
    assert found["name"] == "my-customers"
    assert set(found["left_out"]) == {"id", "always"} | (set() if time else {"since"})
    assert found["columns"] == ["plan", "amount spent", "grade", "active"]
    text = (tmp_path / "project.py").read_text()
    assert text.count("\n") < 80 or ending == "tsv"
    assert max(map(len, text.split("\n"))) <= 99
    ast.parse(text)
    assert (tmp_path / "mainspring.toml").is_file()


@pytest.mark.parametrize("kind", ["whole", "multiclass", "regression"])
def test_a_starter_trains_and_passes_the_gate(
    say: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    table(400, kind).write_csv(tmp_path / "data.csv")
    assert say("init", "data.csv", "--target", "y", "--time", "since").code == 0
    said = say("run", "data", "-p", "trees=20", "--register", "data", "--json")
    assert said.code == 0, said.out
    detail = said.json
    assert {s["step"] for s in detail["steps"]} == {
        "load", "validate", "features", "train", "evaluate",
    }  # fmt: skip
    assert detail["run"]["metrics"]
    (judged,) = detail["judged"]
    wrong = [c for c in judged["gate"]["checks"] if not c["passed"] and c["name"] != "latency"]
    assert wrong == []


def test_a_failing_step_is_shown_with_the_users_own_lines(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    table().write_csv(tmp_path / "data.csv")
    say("init", "data.csv", "--target", "y")
    project = tmp_path / "project.py"
    project.write_text(project.read_text().replace("return rows.height", "raise ValueError('no')"))
    said = say("run", "data")
    assert said.code == 1
    assert "validate failed" in said.out
    assert "ValueError: no" in said.out
    assert "failed in" in said.out.splitlines()[-1]
    assert re.search(r"Inputs: rows=[0-9a-f]{12}\.", said.out)
    assert "go on from there: mainspring resume run_" in said.out.splitlines()[-2]
    assert "Inputs: rows=" in say("show", "last").out
    assert say("runs", "--status", "failed", "--json").json["runs"]
    assert "validate: failed" in say("why", "last", "validate").out


def test_a_repaired_step_is_run_again_and_only_what_must(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    table().write_csv(tmp_path / "data.csv")
    say("init", "data.csv", "--target", "y")
    project = tmp_path / "project.py"
    whole = project.read_text()
    project.write_text(whole.replace("ms.log(**model.metrics)", "raise KeyError('nothing')"))
    assert say("run", "data", "-p", "trees=5").code == 1
    project.write_text(whole)
    said = say("run", "project:data", "--from", "evaluate", "-p", "trees=5", "--json")
    assert said.code == 0
    states = {step["step"]: step["state"] for step in said.json["steps"]}
    assert states["train"] == "reused"
    assert states["evaluate"] == "done"
    again = say("run", "data", "--from", "features", "-p", "trees=5", "--json").json["steps"]
    assert {s["step"] for s in again if s["state"] == "done"} == {
        "load", "features", "train", "evaluate",
    }  # fmt: skip
    said = say("run", "data", "--from", "nope")
    assert said.code == 2
    assert "no step 'nope'" in said.err


def test_a_failed_run_is_resumed_and_an_ended_one_cannot_be_cancelled(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    table().write_csv(tmp_path / "data.csv")
    say("init", "data.csv", "--target", "y")
    project = tmp_path / "project.py"
    text = project.read_text().replace(
        "    return rows.height", "    open('here').close()\n    return rows.height"
    )
    project.write_text(text)
    assert say("run", "data", "-p", "trees=5").code == 1
    assert say("cancel", "last").code == 1
    (tmp_path / "here").touch()
    said = say("resume", "last", "--json")
    assert said.code == 0, said.err
    assert said.json["run"]["status"] == "finished"
    assert len(say("runs", "--json").json["runs"]) == 1
    assert say("resume", "last").code == 1


CASES: dict[str, tuple[Any, list[str], str]] = {
    "missing file": (None, ["--target", "y"], "There is no file"),
    "empty file": (b"", ["--target", "y"], "is empty"),
    "no rows": (b"a,y\n", ["--target", "y"], "no rows"),
    "not UTF-8": (b"a,y\n1,caf\xe9\n", ["--target", "y"], "not UTF-8: byte 0xe9 in line 2"),
    "duplicate columns": (b"a,a,y\n1,2,3\n", ["--target", "y"], "more than one column 'a'"),
    "a column without a name": (b"a,,y\n1,2,3\n", ["--target", "y"], "Column 2"),
    "ragged rows": (b"a,y\n1,2\n1,2,3,4\n", ["--target", "y"], "not a table"),
    "no target named": (table(), [], "Which column"),
    "a target that is not there": (table(), ["--target", "Y2"], "Did you mean 'y'"),
    "a time that is not there": (table(), ["--target", "y", "--time", "sinc"], "'since'"),
    "a time that is none": (table(), ["--target", "y", "--time", "plan"], "is no time"),
    "time in milliseconds": (
        table().with_columns(pl.lit(1.7e12).alias("ms")), ["--target", "y", "--time", "ms"],
        "not seconds",
    ),
    "time and target the same": (table(), ["--target", "y", "--time", "y"], "same column"),
    "an empty target": (
        table().with_columns(pl.lit(None, dtype=pl.String).alias("y")), ["--target", "y"],
        "empty in every row",
    ),
    "a constant target": (
        table().with_columns(y=pl.lit("no")), ["--target", "y"], "'no' in every row"
    ),
    "an infinite column": (
        table().with_columns(z=pl.when(pl.col("grade") == 4).then(float("inf")).otherwise(
            pl.col("amount spent"))), ["--target", "y"], "'z' is infinite in row",
    ),
    "a number beyond 2^53": (
        table().with_columns(z=pl.int_range(300, dtype=pl.Int64) + (2**63 - 400)),
        ["--target", "y"], "'z' holds 9223372036854775408 in row 1",
    ),
    "a number beyond 2^63": (
        table().with_columns(z=pl.Series([f"{2**63 + n}" for n in range(300)])),
        ["--target", "y"], "'z' holds 9223372036854775808 in row 1",
    ),
    "a target beyond 2^53": (
        table().with_columns(y=pl.Series([2**53 + 1 + n % 2 for n in range(300)])),
        ["--target", "y"], "'y' holds 9007199254740993 in row 1",
    ),
    "mixed types": (
        table().with_columns(z=pl.Series([*map(str, range(41)), "oops", *map(str, range(258))])),
        ["--target", "y"], "'oops' in row 42",
    ),
    "too few rows": (table(20), ["--target", "y"], "Only 20 rows"),
    "nothing to learn from": (table().select("id", "always", "y"), ["--target", "y"], "No column"),
    "a target of names": (table(), ["--target", "id"], "different texts"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_table_that_cannot_be_used_is_said_in_one_line(
    say: Callable[..., Any], tmp_path: Path, case: str
) -> None:
    content, words, told = CASES[case]
    file = tmp_path / "data.csv"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        content.write_csv(file)
    said = say("init", "data.csv", *words)
    assert said.code == 2, said.out
    assert said.err.startswith("error: ")
    assert told in said.err
    assert len(said.err.splitlines()) <= 2
    assert not (tmp_path / "project.py").exists()


def test_a_parquet_file_that_is_none_is_said(say: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_bytes(b"not that")
    said = say("init", "data.parquet", "--target", "y")
    assert said.code == 2
    assert "Parquet" in said.err


def test_a_missing_number_in_parquet_may_be_nan(say: Callable[..., Any], tmp_path: Path) -> None:
    frame = table(kind="whole").with_columns(pl.col("amount spent").fill_null(float("nan")))
    frame.write_parquet(tmp_path / "data.parquet")
    assert say("init", "data.parquet", "--target", "y").code == 0


def test_a_project_that_is_there_is_never_overwritten(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    table().write_csv(tmp_path / "data.csv")
    (tmp_path / "project.py").write_text("mine")
    said = say("init", "data.csv", "--target", "y")
    assert said.code == 1
    assert (tmp_path / "project.py").read_text() == "mine"
    assert say("init", "data.csv", "--target", "y", "--dir", "new/place").code == 0
    assert str(tmp_path / "data.csv") in (tmp_path / "new/place/project.py").read_text()


def test_utf8_is_checked_across_pieces(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    head = b"a,y\n"
    fill = b"x" * ((1 << 20) - len(head) - 1)
    file.write_bytes(head + fill + "é".encode() + b",1\n")  # the letter lies on the border
    assert read(file).height == 1

"""A file scored, and a pipeline's input watched, as a user types it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "workspace" / "feeding"))

from scored import add_version_in, loans

PROJECT = """
import polars as pl

import mainspring as ms


@ms.step
def load(day: str) -> pl.DataFrame:
    return pl.read_parquet(f"{day}.parquet")


@ms.step
def check(rows: pl.DataFrame) -> int:
    seen = ms.monitor_data("orders", rows)
    if seen.alarming:
        raise ValueError(f"The orders are not what they were: {seen.why}")
    return seen.rows


@ms.pipeline
def nightly(day: str = "monday"):
    return check(load(day))
"""


def test_a_step_stops_on_drifted_rows_and_the_monitor_shows_them(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "mainspring.toml").write_text("")
    (tmp_path / "nightly.py").write_text(PROJECT)
    for seed, (day, shift) in enumerate((("monday", 0.0), ("tuesday", 1.0))):
        rng = np.random.default_rng(seed)
        rows = {"amount": rng.normal(shift, 1, 800), "country": rng.choice(["DE", "FR"], 800)}
        pl.DataFrame(rows).write_parquet(tmp_path / f"{day}.parquet")
    home = ("--home", "kept")  # not the usual one: the step finds the home of its run
    first = say("run", "nightly:nightly", *home)
    assert first.code == 0, first.out + first.err
    second = say("run", "nightly:nightly", "-p", "day=tuesday", *home)
    assert second.code == 1
    assert "The orders are not what they were: drift: amount" in second.out
    shown = say("monitor", "orders", *home, "--json").json
    assert [window["rows"] for window in shown] == [800]
    verdicts = {row["column"]: row["verdict"] for row in shown[0]["drift"]}
    assert verdicts == {"amount": "alarm", "country": "quiet"}
    told = say("alarms", "--endpoint", "orders", *home, "--json")
    assert "amount" in told.out
    assert not (tmp_path / ".mainspring").exists()


def test_a_file_is_scored_and_watched(say: Callable[..., Any], tmp_path: Path) -> None:
    version = add_version_in(tmp_path / "h")
    home = ("--home", "h")
    loans(500, 3).write_csv("calm.csv")
    loans(500, 4, 1.0).write_parquet("moved.parquet")
    made = say("monitor", "create", "m", "--baseline", version, "--window", "batch", *home)
    assert made.code == 0, made.err
    watched = ("--monitor", "m", "--id-column", "nr", *home)
    said = say("batch", version, "calm.csv", "--out", "calm.out.csv", *watched)
    assert said.code == 0, said.err
    assert "500 rows are scored by loans/1: calm.out.csv" in said.out
    words = ("batch", version, "moved.parquet", "--out", "moved.out.parquet", *watched)
    told = say(*words, "--judge", "--json").json
    assert (told["rows"], told["endpoint"], told["again"]) == (500, "m", False)
    assert [window["rows"] for window in told["judged"]] == [500, 500]
    assert "was made by this command already: 500 rows" in say(*words).out
    Path("moved.out.parquet").unlink()
    assert "nothing is doubled" in say(*words).out
    assert "No window of m is over" in say(*words, "--judge").out
    assert pl.read_parquet("moved.out.parquet")["score"].is_between(0, 1).all()
    alone = say("batch", version, "calm.csv", "alone.parquet", *home, "--json").json
    assert (alone["rows"], alone["endpoint"]) == (500, None)


def test_what_cannot_be_scored_is_refused_with_a_reason(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    version = add_version_in(tmp_path / "h")
    loans(5, 3).write_csv("rows.csv")
    Path("bad.csv").write_text("income,debts,sex\n1.5,2,f\n1.5,many,f\n")

    def refused(*words: str) -> str:
        said = say("batch", *words, "--home", "h")
        assert said.code == 2, said.out + said.err
        assert said.err.startswith("error: ")
        return str(said.err)

    assert "bad.csv, line 3" in refused(version, "bad.csv", "--out", "out.csv")
    assert "no file missing.csv" in refused(version, "missing.csv", "--out", "out.csv")
    assert "neither with" in refused(version, "rows.csv", "--out", "out.xlsx")
    assert "--judge says" in refused(version, "rows.csv", "--out", "out.csv", "--judge")
    far = ("--url", "http://127.0.0.1:1")
    assert "not over --url" in refused(version, "rows.csv", "--out", "out.csv", *far)
    assert say("batch", "loans/9", "rows.csv", "--out", "out.csv", "--home", "h").code == 2
    assert not Path("out.csv").exists()

"""Feeding, judging and comparing, as a user types them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

DAY = 86_400.0


def answered(count: int, seed: int, day: int = 0, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, count)
    at = (20_000 + day) * DAY + np.sort(rng.uniform(0, DAY - 1, count))
    score = 1 / (1 + np.exp(-x))
    ids = [f"o{seed}-{n}" for n in range(count)]
    return pl.DataFrame({"id": ids, "time": at, "x": x, "score": score})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    answered(2_000, 0, -1).write_csv(tmp_path / "then.csv")
    answered(400, 1).write_parquet(tmp_path / "calm.parquet")
    answered(400, 2, 1, 1.0).write_ndjson(tmp_path / "moved.jsonl")
    answered(10, 3, 2).write_csv(tmp_path / "next.csv")
    return tmp_path


def test_a_monitor_is_made_fed_and_judged(say, files):
    made = say("monitor", "create", "m", "--baseline", "then.csv", "--window", "1d", "--home", "h")
    assert made.code == 0, made.err
    assert "score is 'score'" in made.out
    logs = ("calm.parquet", "moved.jsonl", "next.csv")
    fed = say("monitor", "feed", "m", *logs, "--judge", "--home", "h")
    assert fed.code == 0, fed.err
    assert "alarm: x, score" in fed.out
    again = say("monitor", "feed", "m", "calm.parquet", "--home", "h", "--json")
    assert [one["again"] for one in again.json] == [True]
    shown = say("monitor", "m", "--home", "h", "--json").json
    assert [window["rows"] for window in shown] == [400, 400]
    once_more = say("monitor", "judge", "m", "--window", shown[0]["id"], "--home", "h", "--json")
    assert once_more.json[0]["id"] == shown[0]["id"]
    assert say("monitor", "judge", "m", "--home", "h").code == 0
    assert say("monitor", "remove", "m", "--home", "h").code == 0
    assert say("monitor", "feed", "m", "calm.parquet", "--home", "h").code == 2


def test_two_files_are_judged_by_an_exit_code(say, files):
    run = ("monitor", "run", "--baseline", "then.csv", "--current")
    quiet = say(*run, "calm.parquet", "--json")
    assert quiet.code == 0
    assert quiet.json["verdict"] == "quiet"
    moved = say(*run, "moved.jsonl")
    assert moved.code == 1
    assert "drift: x" in moved.out
    assert say(*run, "missing.csv").code == 2
    assert say(*run, "calm.parquet", "--score-column", "nope").code == 2
    assert say(*run, "calm.parquet", "--alpha", "0").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("create", "m"),
        ("create", "m", "--baseline", "missing.csv"),
        ("create", "m", "--baseline", "missing/7"),
        ("create", "m", "--baseline", "then.csv", "--window", "soon"),
        ("feed", "m", "then.csv"),
        ("feed", "m", "missing.csv"),
        ("judge", "m"),
        ("remove", "m"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(say, files, words):
    said = say("monitor", *words, "--home", "h")
    assert said.code in (1, 2), said.out  # 1: something is not there, 2: bad use
    assert said.err.startswith("error: ")


def test_a_broken_line_is_named(say, files):
    assert say("monitor", "create", "m", "--baseline", "then.csv", "--home", "h").code == 0
    lines = [json.dumps(row) for row in answered(5, 9).to_dicts()]
    Path("log.jsonl").write_text("\n".join([*lines, '{"x": 1,']))
    said = say("monitor", "feed", "m", "log.jsonl", "--home", "h")
    assert said.code == 2
    assert "log.jsonl, line 6" in said.err

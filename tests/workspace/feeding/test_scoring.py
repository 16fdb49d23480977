"""A file is scored in parts, whole or not at all, and watched like traffic."""

from __future__ import annotations

import fcntl
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scored import INPUTS, add_version, loans

from mainspring.ground.errors import BadInputError, ConflictError, NotExactError, NotFoundError
from mainspring.ground.objects import MonitorPolicy
from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.scaling.models.load import load
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.feeding import declared, reading
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.feeding.scoring import score_file
from mainspring.workspace.opening import Workspace

BATCHES = MonitorPolicy(by_batch=True)
IDS = Columns(id="nr")


def scores_of(ws: Workspace, rows: pl.DataFrame, number: int = 1) -> np.ndarray:
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, "loans", number))
    return load(version.package, ws.objects).score(rows.select(INPUTS))


@pytest.fixture
def version(ws: Workspace) -> str:
    return add_version(ws)


@pytest.fixture
def watched(ws: Workspace, version: str) -> str:
    declared.create(ws, "arrivals", baseline=version, policy=BATCHES)
    return "arrivals"


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_each_row_gets_the_score_that_the_version_gives_it(
    ws, version, tmp_path, monkeypatch, form, ending
):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 100)  # so that it is three parts
    rows, file, out = loans(250, 3), tmp_path / f"in.{form}", tmp_path / f"out.{ending}"
    getattr(rows, f"write_{form}")(file)
    told: list[int] = []
    done = score_file(ws, version, file, out, tell=told.append)
    assert (done.rows, done.version, done.endpoint) == (250, "loans/1", None)
    found = reading.whole(out)
    assert found.columns == [*rows.columns, "score", "model_version"]
    assert found["nr"].to_list() == rows["nr"].to_list()
    assert found["score"].to_numpy() == pytest.approx(scores_of(ws, rows)[:, 0], abs=1e-12)
    assert set(found["model_version"].cast(str)) == {"1"}
    assert len(told) >= 2, "it is told how far it is"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_several_classes_have_a_column_each(ws, tmp_path):
    version = add_version(ws, several=True)
    rows = loans(50, 3, several=True)
    rows.write_parquet(tmp_path / "in.parquet")
    score_file(ws, version, tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = pl.read_parquet(tmp_path / "out.parquet")
    scores = found.select("score_late", "score_lost", "score_paid").to_numpy()
    assert scores == pytest.approx(scores_of(ws, rows))
    assert scores.sum(axis=1) == pytest.approx(1)


def test_parts_of_different_columns_and_types_are_one_file(ws, version, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 10)
    first = loans(10, 3).with_columns(note=pl.lit(1)).to_dicts()
    later = loans(10, 4).with_columns(note=pl.lit("two"), more=pl.lit(0.5)).to_dicts()
    file = tmp_path / "in.jsonl"
    pl.DataFrame(first).write_ndjson(tmp_path / "a")
    pl.DataFrame(later).write_ndjson(tmp_path / "b")
    file.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    score_file(ws, version, file, tmp_path / "out.parquet")
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found["note"].to_list() == ["1"] * 10 + ["two"] * 10
    assert found["more"].to_list() == [None] * 10 + [0.5] * 10
    assert found["score"].null_count() == 0


def test_the_line_that_cannot_be_scored_is_named(ws, version, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 40)
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    lines = loans(100, 3).write_csv().splitlines()
    cells = lines[70].split(",")
    lines[70] = ",".join([*cells[:2], "many", *cells[3:]])
    file.write_text("\n".join(lines))
    with pytest.raises(BadInputError, match=r"in\.csv, line 71: Column 'debts'.*'many'") as caught:
        score_file(ws, version, file, out)
    assert caught.value.exit_code == 2
    lines[70] = ",".join([*cells[:2], "9007199254740993.5", *cells[3:]])
    file.write_text("\n".join(lines))
    with pytest.raises((BadInputError, NotExactError), match="line 71: Column 'debts'"):
        score_file(ws, version, file, out)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == [], "no trace of it is left"


def test_what_cannot_be_done_is_said_before_a_row_is_scored(ws, version, watched, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).write_csv(file)

    def refused(told: str, error: type = BadInputError, /, **more) -> None:
        given = {"reference": version, "file": file, "out": out} | more
        with pytest.raises(error, match=told):
            score_file(ws, **given)

    refused("has no version 9", NotFoundError, reference="loans/9")
    refused("no endpoint|There is no", NotFoundError, endpoint="nowhere")
    refused("neither with .csv nor", out=tmp_path / "out.txt")
    refused("is a folder", out=_folder(tmp_path / "folder.csv"))
    refused("is the file itself", out=file)
    refused("cannot be written", out=tmp_path / "away" / "out.csv")
    refused("There is no file", file=tmp_path / "missing.csv")
    (tmp_path / "head.csv").write_text("income,debts,sex\n")
    refused("has no rows", file=tmp_path / "head.csv")
    (tmp_path / "less.csv").write_text("income,sex\n1.5,f\n")
    refused("no column 'debts'", file=tmp_path / "less.csv")
    loans(5, 3).with_columns(score=0.5).write_csv(tmp_path / "scored.csv")
    refused("a column 'score' already", file=tmp_path / "scored.csv")
    lists = loans(5, 3).with_columns(pl.lit([1, 2]).alias("some"))
    lists.write_parquet(tmp_path / "lists.parquet")
    refused("'some' holds List.*a CSV cannot", file=tmp_path / "lists.parquet")
    other = add_version(ws, "others")
    refused("watches loans, not others", reference=other, endpoint=watched)
    ws.write(Permission.ADMIN, lambda tx: endpoints.ensure(tx, "live", "loans", at=ws.clock.now()))
    refused("is served here", ConflictError, endpoint="live")
    assert not out.exists()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_scored_rows_are_windows_of_a_monitor(ws, version, watched, judge, tmp_path):
    for name, seed, shift in (("calm", 3, 0.0), ("moved", 4, 1.0)):
        loans(400, seed, shift).write_csv(tmp_path / f"{name}.csv")
        out = tmp_path / f"{name}.parquet"
        done = score_file(
            ws, version, tmp_path / f"{name}.csv", out, endpoint=watched, columns=IDS
        )
        assert (done.endpoint, done.again) == (watched, False)
    calm, moved = judge(watched)
    assert (calm.rows, moved.rows) == (400, 400)
    alarming = [
        {row["column"] for row in one.drift if row["verdict"] == "alarm"} for one in (calm, moved)
    ]
    assert alarming[0] == set()
    assert "income" in alarming[1]
    kept = capture.read(ws.captures(watched), None, None)
    assert set(kept["_id"]) >= {"L3-0", "L4-399"}
    assert set(kept["_version"]) == {1}


def test_the_same_command_again_doubles_nothing(ws, version, watched, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.parquet"
    loans(300, 3).write_csv(file)
    first = score_file(ws, version, file, out, endpoint=watched)
    out.unlink()  # as if it had been killed before the rename
    second = score_file(ws, version, file, out, endpoint=watched)
    assert (first.again, second.again, second.batch) == (False, True, first.batch)
    assert out.is_file()
    assert capture.read(ws.captures(watched), None, None).height == 300
    third = score_file(ws, version, file, tmp_path / "other.csv", endpoint=watched)
    assert third.again, "the form of what is written names no other rows"
    newer = score_file(ws, add_version(ws), file, out, endpoint=watched)
    assert not newer.again, "scored by another version they are other rows"
    loans(10, 5).write_csv(file)
    score_file(ws, version, file, out, endpoint=watched, batch="night")
    loans(10, 6).write_csv(file)
    with pytest.raises(ConflictError, match="kept with other rows"):
        score_file(ws, version, file, out, endpoint=watched, batch="night")


def test_rows_that_a_monitor_refuses_leave_no_file(ws, version, watched, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).with_columns(nr=pl.lit(None)).write_csv(file)
    with pytest.raises(BadInputError, match=r"out\.csv, line 2: an id is text"):
        score_file(ws, version, file, out, endpoint=watched, columns=IDS)
    assert not out.exists()


def test_what_a_kill_left_behind_is_taken_away_and_what_lives_is_not(ws, version, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).write_csv(file)
    dead, living, young = (_folder(tmp_path / f".out.csv.{one}.part") for one in "abc")
    (dead / ".lock").touch()
    with (living / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        score_file(ws, version, file, out)
    assert [one.exists() for one in (dead, living, young, out)] == [False, True, True, True]

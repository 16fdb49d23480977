"""A file is scored in parts, whole or not at all, and watched like traffic."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
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
from mainspring.workspace.batches.parts import Parts
from mainspring.workspace.batches.running import score_table
from mainspring.workspace.feeding import declared, reading
from mainspring.workspace.feeding.naming import Columns
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
@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_each_row_gets_the_score_that_the_version_gives_it(
    ws, version, tmp_path, monkeypatch, form, ending
):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 100)  # so that it is three parts
    rows, file, out = loans(250, 3), tmp_path / f"in.{form}", tmp_path / f"out.{ending}"
    getattr(rows, f"write_{form}")(file)
    told: list[tuple[int, int]] = []
    done = score_table(ws, version, file, out, tell=lambda *at: told.append(at), workers=3)
    assert (done.rows, done.version, done.endpoint) == (250, "loans/1", None)
    found = reading.whole(out)
    assert found.columns == [
        *rows.columns, "prediction_id", "prediction", "score", "model_version",
    ]  # fmt: skip
    assert (found["prediction"] == (found["score"] >= 0.5)).all()
    assert found["prediction_id"].n_unique() == 250
    assert found["prediction_id"].str.split("-").list.last().cast(int).to_list() == [*range(250)]
    assert found["nr"].to_list() == rows["nr"].to_list()
    assert found["score"].to_numpy() == pytest.approx(scores_of(ws, rows)[:, 0], abs=1e-12)
    assert set(found["model_version"].cast(str)) == {"1"}
    assert told[-1] == (file.stat().st_size, 250), "it is told how far it is"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_several_classes_have_a_column_each(ws, tmp_path):
    version = add_version(ws, several=True)
    rows = loans(50, 3, several=True)
    rows.write_parquet(tmp_path / "in.parquet")
    score_table(ws, version, tmp_path / "in.parquet", tmp_path / "out.parquet")
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
    score_table(ws, version, file, tmp_path / "out.parquet")
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
        score_table(ws, version, file, out)
    assert caught.value.exit_code == 2
    done = score_table(ws, version, file, out, bad_rows=tmp_path / "bad.jsonl")
    assert (done.rows, done.bad) == (99, 1)
    assert done.resumed in (40, 60), "it goes on where it was"
    lines[70] = ",".join([*cells[:2], "9007199254740993.5", *cells[3:]])
    file.write_text("\n".join(lines))
    with pytest.raises((BadInputError, NotExactError), match="line 71: Column 'debts'"):
        score_table(ws, version, file, out, fresh=True)
    with pytest.raises((BadInputError, NotExactError), match="line 71"):
        score_table(ws, version, file, tmp_path / "other.csv")
    loans(100, 3).write_csv(file)
    with pytest.raises(ConflictError, match="another run: source differ"):
        score_table(ws, version, file, tmp_path / "other.csv")
    assert score_table(ws, version, file, tmp_path / "other.csv", fresh=True).rows == 100


def test_a_table_whose_first_rows_cannot_be_scored_leaves_no_trace(ws, version, tmp_path):
    (tmp_path / "in.csv").write_text("income,debts,sex\n1.5,many,f\n")
    with pytest.raises(BadInputError, match=r"in\.csv, line 2"):
        score_table(ws, version, tmp_path / "in.csv", tmp_path / "out.csv")
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


def test_what_cannot_be_done_is_said_before_a_row_is_scored(ws, version, watched, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).write_csv(file)

    def refused(told: str, error: type = BadInputError, /, **more) -> None:
        given = {"reference": version, "given": file, "out": out} | more
        with pytest.raises(error, match=told):
            score_table(ws, **given)

    refused("has no version 9", NotFoundError, reference="loans/9")
    refused("no endpoint|There is no", NotFoundError, endpoint="nowhere")
    refused("neither with .csv nor", out=tmp_path / "out.txt")
    refused("is a folder", out=_folder(tmp_path / "folder.csv"))
    refused("is the file itself", out=file)
    refused("cannot be written", out=tmp_path / "away" / "out.csv")
    refused("There is no file", given=tmp_path / "missing.csv")
    (tmp_path / "head.csv").write_text("income,debts,sex\n")
    refused("has no rows", given=tmp_path / "head.csv")
    (tmp_path / "less.csv").write_text("income,sex\n1.5,f\n")
    refused("no column 'debts'", given=tmp_path / "less.csv")
    loans(5, 3).with_columns(score=0.5).write_csv(tmp_path / "scored.csv")
    refused("a column 'score' already", given=tmp_path / "scored.csv")
    lists = loans(5, 3).with_columns(pl.lit([1, 2]).alias("some"))
    lists.write_parquet(tmp_path / "lists.parquet")
    refused("'some' holds List.*a CSV cannot", given=tmp_path / "lists.parquet")
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
        done = score_table(
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
    first = score_table(ws, version, file, out, endpoint=watched)
    assert score_table(ws, version, file, out, endpoint=watched).done_before
    out.unlink()  # as if it had been killed before the rename
    second = score_table(ws, version, file, out, endpoint=watched)
    assert (first.again, second.again, second.batch) == (False, True, first.batch)
    assert out.is_file()
    assert capture.read(ws.captures(watched), None, None).height == 300
    third = score_table(ws, version, file, tmp_path / "other.csv", endpoint=watched)
    assert third.again, "the form of what is written names no other rows"
    newer = add_version(ws)
    with pytest.raises(ConflictError, match="there already, and not of this run"):
        score_table(ws, newer, file, out, endpoint=watched)
    said = score_table(ws, newer, file, out, endpoint=watched, fresh=True)
    assert not said.again, "scored by another version they are other rows"
    loans(10, 5).write_csv(file)
    score_table(ws, version, file, out, endpoint=watched, batch="night", fresh=True)
    loans(10, 6).write_csv(file)
    with pytest.raises(ConflictError, match="kept with other rows"):
        score_table(ws, version, file, out, endpoint=watched, batch="night", fresh=True)


def test_labels_join_the_ids_that_the_output_has(ws, version, watched, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.parquet"
    loans(50, 3).write_csv(file)
    score_table(ws, version, file, out, endpoint=watched)
    kept = capture.read(ws.captures(watched), None, None)
    assert kept["_id"].to_list() == pl.read_parquet(out)["prediction_id"].to_list()


def test_a_file_that_somebody_else_made_is_not_overwritten(ws, version, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).write_csv(file)
    out.write_text("mine")
    with pytest.raises(ConflictError, match="there already"):
        score_table(ws, version, file, out)
    assert out.read_text() == "mine"
    assert score_table(ws, version, file, out, fresh=True).rows == 5


def test_rows_that_a_monitor_refuses_leave_no_file(ws, version, watched, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).with_columns(nr=pl.lit(None)).write_csv(file)
    with pytest.raises(BadInputError, match=r"in\.csv, line 2: an id is text"):
        score_table(ws, version, file, out, endpoint=watched, columns=IDS)
    assert not out.exists()


KILLED = """
import sys
from pathlib import Path
from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.workspace.batches.running import score_table
from mainspring.workspace.feeding import reading
from mainspring.workspace.opening import open_workspace
reading.ROWS_AT_ONCE = 100
root = Path(sys.argv[1])
settings = Settings(root=str(root / "project"), home=str(root / "home"))
ws = open_workspace(settings, clock=TurnedClock(float(sys.argv[2])))
score_table(
    ws, "loans/1", root / "in", root / "out.parquet", endpoint="arrivals", workers=1,
    bad_rows=root / "bad.jsonl",
)
"""


@pytest.mark.parametrize(
    "point", ["batch.rows:2", "batch.part:3", "feed.published:1", "batch.put:1"]
)
def test_killed_anywhere_it_goes_on_and_the_output_has_the_same_bytes(
    ws, version, watched, tmp_path, monkeypatch, point
):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 100)
    folder = _folder(tmp_path / "in")
    for place in range(2):
        rows = loans(250, place).with_columns(debts=pl.col("debts").cast(str))
        rows[7, "debts"] = "many"
        rows.write_csv(folder / f"{place}.csv")
    given = {"bad_rows": tmp_path / "bad.jsonl", "endpoint": watched}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(ws.clock.now())],
        env={**os.environ, "MAINSPRING_KILL_AT": point, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    with pytest.raises(ConflictError, match=r"(another run: .*version|not of this run)"):
        score_table(ws, add_version(ws), folder, tmp_path / "out.parquet", **given)
    done = score_table(ws, version, folder, tmp_path / "out.parquet", **given, workers=2)
    assert (done.rows, done.bad) == (498, 2)
    scored_before = {"batch.rows:2": 99, "batch.part:3": 249}.get(point, 498)
    assert done.resumed == scored_before
    whole = score_table(ws, version, folder, tmp_path / "whole.parquet", bad_rows=tmp_path / "b")
    assert whole.resumed == 0
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert (tmp_path / "bad.jsonl").read_bytes() == (tmp_path / "b").read_bytes()
    kept = capture.read(ws.captures(watched), None, None)
    assert kept["_id"].n_unique() == kept.height == 498, "watched once"
    assert not list(tmp_path.glob(".*"))


def test_two_runs_do_not_write_one_output(ws, version, tmp_path):
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    loans(5, 3).write_csv(file)
    with Parts(out, {}, fresh=False), pytest.raises(ConflictError, match="just now"):
        score_table(ws, version, file, out)


def test_rows_that_cannot_be_scored_are_set_aside_with_their_reason(ws, version, tmp_path):
    rows = loans(60, 3).with_columns(debts=pl.col("debts").cast(str))
    for row in (4, 5, 59):
        rows[row, "debts"] = f"many {row}"
    rows.write_csv(tmp_path / "in.csv")
    out, bad = tmp_path / "out.parquet", tmp_path / "bad.jsonl"
    done = score_table(ws, version, tmp_path / "in.csv", out, bad_rows=bad)
    assert (done.rows, done.bad, done.bad_rows) == (57, 3, str(bad))
    told = [msgspec.json.decode(line) for line in bad.read_bytes().splitlines()]
    assert [one["line"] for one in told] == [6, 7, 61]
    assert {(one["file"], one["field"]) for one in told} == {("in.csv", "debts")}
    assert "'many 4'" in told[0]["why"]
    assert told[0]["row"]["nr"] == "L3-4"
    places = pl.read_parquet(out)["prediction_id"].str.split("-").list.last().cast(int)
    assert sorted({*range(60)} - {*places}) == [4, 5, 59], "an id is a row's place in the source"


def test_a_folder_and_a_pattern_are_scored_in_the_order_of_their_paths(ws, version, tmp_path):
    folder = _folder(tmp_path / "days")
    loans(30, 2).write_parquet(folder / "b.parquet")
    loans(20, 1).write_csv(folder / "a.csv")
    loans(10, 3).write_ndjson(_folder(folder / "c") / "d.jsonl")
    (folder / "notes.md").write_text("no rows")
    _folder(folder / ".hidden")
    loans(10, 9).write_csv(folder / ".hidden" / "x.csv")
    done = score_table(ws, version, folder, tmp_path / "out")
    assert done.rows == 60
    files = sorted((tmp_path / "out").iterdir())
    assert [one.name for one in files] == [f"part-{n:08d}.parquet" for n in range(3)]
    nrs = [nr for one in files for nr in pl.read_parquet(one)["nr"].to_list()]
    assert nrs == [
        f"L{seed}-{n}" for seed, rows in ((1, 20), (2, 30), (3, 10)) for n in range(rows)
    ]
    assert score_table(ws, version, folder, tmp_path / "out").done_before
    some = score_table(ws, version, tmp_path / "days" / "[ab].*", tmp_path / "some.jsonl")
    assert some.rows == 50
    with pytest.raises(BadInputError, match="No file is called"):
        score_table(ws, version, tmp_path / "x*.csv", tmp_path / "none.csv")


def test_what_a_query_answers_is_scored(ws, version, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 40)
    rows = loans(100, 3)
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    with closing(sqlite3.connect(tmp_path / "bank.db")) as bank:
        bank.execute("create table loans (nr text, income real, debts integer, sex text)")
        bank.executemany("insert into loans values (?, ?, ?, ?)", rows.drop("paid").rows())
        bank.commit()
    query, out = "select * from loans where sex = 'f' order by nr", tmp_path / "out.parquet"
    done = score_table(ws, version, url, out, query=query)
    wanted = rows.filter(pl.col("sex") == "f").sort("nr")
    found = pl.read_parquet(out)
    assert done.rows == wanted.height
    assert found["nr"].to_list() == wanted["nr"].to_list()
    assert found["score"].to_numpy() == pytest.approx(scores_of(ws, wanted)[:, 0], abs=1e-12)
    with pytest.raises(BadInputError, match=r"cannot be answered: no such table"):
        score_table(ws, version, url, tmp_path / "no.csv", query="select * from none")
    with pytest.raises(BadInputError, match="is asked something"):
        score_table(ws, version, url, tmp_path / "no.csv")
    with pytest.raises(BadInputError, match=r"and 'rows\.csv' is none"):
        score_table(ws, version, "rows.csv", tmp_path / "no.csv", query=query)


def test_a_query_that_answers_otherwise_is_not_gone_on_with(ws, version, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 10)
    loans(30, 3).write_parquet(tmp_path / "kept.parquet")
    with closing(sqlite3.connect(tmp_path / "bank.db")) as bank:
        bank.execute("create table loans (nr text, income real, debts integer, sex text)")
        bank.executemany("insert into loans values (?, ?, ?, ?)", loans(30, 3).drop("paid").rows())
        bank.commit()
    real, calls = Parts.keep, []

    def fails(self, number, *more):
        calls.append(number)
        if number == 2:
            raise OSError(28, "No space left on device")
        real(self, number, *more)

    given = (ws, version, f"sqlite:///{tmp_path / 'bank.db'}", tmp_path / "out.csv")
    query = {"query": "select * from loans order by nr"}
    monkeypatch.setattr(Parts, "keep", fails)
    with pytest.raises(BadInputError, match=r"cannot be written.*No space") as told:
        score_table(*given, **query)
    assert "goes on where it was" in told.value.hint
    monkeypatch.setattr(Parts, "keep", real)
    with closing(sqlite3.connect(tmp_path / "bank.db")) as bank:
        bank.execute("update loans set income = 7 where nr = 'L3-0'")
        bank.commit()
    for _ in range(2):
        with pytest.raises(ConflictError, match="answers otherwise than when the run began"):
            score_table(*given, **query)
    assert score_table(*given, **query, fresh=True).rows == 30

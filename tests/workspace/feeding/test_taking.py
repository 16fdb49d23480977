"""A batch of predictions is kept whole or not at all, and once however often it is sent."""

import json
import os
import signal
import subprocess
import sys
import threading

import polars as pl
import pytest
from world import DAY, FIRST, NOW, answered

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.monitoring import labels, windows
from mainspring.scaling.serving import capture, endpoints, shelf, staging
from mainspring.workspace import acts
from mainspring.workspace.feeding import declared, reading, taking
from mainspring.workspace.feeding.naming import Columns


def kept(ws, endpoint="fraud") -> pl.DataFrame:
    return capture.read(ws.captures(endpoint))


def known_labels(ws) -> pl.DataFrame:
    return ws.read(Permission.READ, lambda tx: labels.read(tx, "fraud"))


def test_rows_land_where_those_of_our_own_endpoints_do(fraud, feed):
    rows = answered(300, 5)
    fed = feed(rows)
    assert (fed.rows, fed.labels, fed.again, fed.late) == (300, 300, False, 0)
    assert fed.columns == Columns(id="request_id", time="ts", score=["score"], label="label")
    found = kept(fraud)
    assert found["_id"].to_list() == rows["request_id"].to_list()
    assert found["_score"].to_list() == rows["score"].to_list()
    assert found["_version"].unique().to_list() == [1]
    assert found.columns[-2:] == ["x", "city"]
    assert set(known_labels(fraud)["_id"]) == set(rows["request_id"])
    assert capture.watermark(fraud.captures("fraud")) == rows["ts"].max()


def test_the_same_rows_again_change_nothing(fraud, feed):
    rows = answered(50, 5)
    first = feed(rows)
    assert feed(rows) == pl_replace(first, again=True)
    assert kept(fraud).height == 50
    named = feed(answered(20, 6), batch="monday")
    assert feed(answered(20, 6), batch="monday") == pl_replace(named, again=True)
    with pytest.raises(ConflictError, match="kept with other rows"):
        feed(answered(20, 7), batch="monday")
    assert kept(fraud).height == 70


def pl_replace(fed: taking.Fed, **changes) -> taking.Fed:
    import msgspec

    return msgspec.structs.replace(fed, **changes)


def test_an_id_that_comes_twice_is_one_row(fraud, feed):
    rows = answered(50, 5)
    assert feed(pl.concat([rows, rows.head(10)])).doubled == 10
    feed(rows.tail(20), batch="sent by a second collector")
    assert kept(fraud).height == 50


@pytest.mark.parametrize("row", [0, 99_000])
def test_of_a_file_with_a_broken_line_nothing_is_kept(fraud, tmp_path, row, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 1_000)
    monkeypatch.setattr(staging, "ROWS_A_FILE", 2_000)
    lines = [json.dumps(one) for one in answered(5_000, 5).to_dicts()]
    row = min(row, 4_999)
    broken = json.loads(lines[row]) | {"score": "high"}
    lines[row] = json.dumps(broken)
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(BadInputError, match=f"line {row + 1}: a score is a number"):
        taking.feed(fraud, "fraud", file)
    assert kept(fraud).height == 0
    assert known_labels(fraud).height == 0
    assert list((fraud.captures("fraud") / staging.FOLDER).iterdir()) == []
    lines[row] = json.dumps(broken | {"score": 0.5})
    file.write_text("\n".join(lines))
    assert taking.feed(fraud, "fraud", file).rows == 5_000


def test_rows_in_any_order_and_of_mixed_types_are_taken(fraud, tmp_path):
    rows = answered(40, 5).sample(40, shuffle=True, seed=1).to_dicts()
    rows[3]["x"] = "many"
    rows[4]["x"] = None
    rows[5] |= {"extra": {"a": 1}}
    del rows[6]["city"]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    assert taking.feed(fraud, "fraud", file).rows == 40
    found = kept(fraud)
    assert found["_time"].is_sorted()
    assert found["x"].dtype == pl.String, "for a monitor to count what is none"
    assert found["extra"].drop_nulls().to_list() == ['{"a":1}']


def test_what_a_monitor_was_told_of_columns_it_remembers(ws, feed):
    told = Columns(id="request_id", time="ts", score=["p"], label="late")
    rows = answered(500, 0).rename({"score": "p", "label": "late"})
    declared.create(ws, "fraud", baseline=rows, columns=told)
    fed = feed(rows.with_columns(score=pl.lit(3)))
    assert fed.columns == told


def test_a_served_or_unknown_endpoint_takes_no_rows(ws, feed):
    with pytest.raises(NotFoundError):
        feed(answered(5, 1))
    ws.write(Permission.SERVE, lambda tx: endpoints.ensure(tx, "fraud", "fraud", at=NOW))
    with pytest.raises(ConflictError, match="is served here"):
        feed(answered(5, 1))


def test_rows_older_than_what_was_judged_are_late(fraud, feed, judge):
    feed(answered(300, 1, day=0))
    feed(answered(300, 2, day=1))
    judge()
    fed = feed(answered(30, 3, day=0))
    assert fed.late == 30
    assert fraud.read(Permission.READ, lambda tx: windows.monitor(tx, "fraud")).late == 30


def test_a_batch_may_be_a_window_of_its_own(ws, feed, judge):
    from mainspring import sdk

    declared.create(ws, "fraud", baseline=answered(2_000, 0), policy=sdk.Monitor("batch"))
    for seed in (1, 2):
        feed(answered(400, seed))
        ws.clock.turn(60)
    [first, second] = judge()
    assert (first.rows, second.rows) == (400, 400)
    assert judge() == []


def test_batches_fed_at_once_are_each_kept_once(fraud, tmp_path):
    files = []
    for seed in range(4):
        answered(100, seed + 1).write_csv(tmp_path / f"{seed}.csv")
        files += [tmp_path / f"{seed}.csv"] * 2
    threads = [threading.Thread(target=taking.feed, args=(fraud, "fraud", file)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert kept(fraud).height == 400
    assert shelf.read_index(fraud.captures("fraud")).fed.keys().__len__() == 4


KILL = """
import sys
from pathlib import Path
from mainspring.ground.settings import Settings
from mainspring.workspace.feeding.taking import feed
from mainspring.workspace.opening import open_workspace
ws = open_workspace(Settings(root=sys.argv[1], home=sys.argv[2]))
print(feed(ws, "fraud", Path(sys.argv[3]), batch="b").rows)
"""


@pytest.mark.parametrize("point", ["feed.moved", "feed.published", "feed.kept"])
def test_killed_anywhere_and_sent_again_a_batch_is_there_once(fraud, tmp_path, point):
    file = tmp_path / "rows.csv"
    answered(200, 1).write_csv(file)

    def send(kill_at: str | None) -> subprocess.CompletedProcess[str]:
        environment = dict(os.environ)
        if kill_at:
            environment["MAINSPRING_KILL_AT"] = f"{kill_at}:1"
        words = [fraud.settings.root, str(fraud.home), str(file)]
        return subprocess.run(
            [sys.executable, "-c", KILL, *words],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    assert send(point).returncode == -signal.SIGKILL
    assert kept(fraud).height in (0, 200), "all of a batch, or none"
    again = send(None)
    assert again.stdout.strip() == "200", again.stderr
    assert kept(fraud).height == 200
    assert known_labels(fraud).height == 200
    shelf.compact(fraud.captures("fraud"))
    assert kept(fraud).height == 200
    folder = fraud.captures("fraud")
    assert {p.name for p in folder.glob("*.parquet")} == {
        file.name for file in shelf.read_index(folder).files
    }


def test_small_batches_are_joined_into_larger_files(fraud, feed):
    for seed in range(12):
        feed(answered(20, seed + 1))
    folder = fraud.captures("fraud")
    assert shelf.crowded(folder) is not None
    shelf.compact(folder)
    assert len(shelf.read_index(folder).files) == 1
    assert kept(fraud).height == 240


def test_labels_may_come_later_by_the_users_own_ids(fraud, feed, judge):
    rows = answered(400, 1)
    feed(rows.drop("label"))
    feed(answered(10, 2, day=1))
    acts.add_labels(fraud, "fraud", rows["request_id"].to_list(), rows["label"].to_list())
    [window] = judge()
    assert window.labelled == 400
    assert window.performance is not None
    assert window.performance["verdict"] == "quiet"


@pytest.mark.parametrize("batch", ["", "x" * 129, "a\nb"])
def test_a_batch_needs_a_name_that_can_be_kept(fraud, feed, batch):
    if batch == "":
        assert feed(answered(5, 1), batch=batch).batch.startswith("sha256:")
        return
    with pytest.raises(BadInputError):
        feed(answered(5, 1), batch=batch)


def test_a_row_from_a_clock_that_jumped_moves_the_watermark_no_further_than_now(fraud, feed):
    rows = answered(100, 1).with_columns(
        ts=pl.when(pl.col("request_id") == "order-1-50")
        .then(pl.lit(FIRST + 10_000 * DAY))
        .otherwise("ts")
    )
    assert feed(rows).ahead == 1
    assert capture.watermark(fraud.captures("fraud")) == NOW + capture.AHEAD_S


def test_many_rows_are_fed_in_bounded_memory(fraud, tmp_path):
    """Measured in a process of its own; the parts are the same however many there are."""
    file = tmp_path / "rows.csv"
    answered(60_000, 1).write_csv(file)
    # Not ru_maxrss: that of a process begins with what its parent held, these tests and all.
    script = KILL + (
        "from pathlib import Path\n"
        "told = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "print(int(told) // 1024)\n"
    )
    words = [fraud.settings.root, str(fraud.home), str(file)]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    rows, peak_mb = done.stdout.split()
    assert int(rows) == 60_000
    assert int(peak_mb) < 900
    assert kept(fraud).height == 60_000

"""The capture log: nothing twice, nothing hidden, whatever dies and whenever."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mainspring.scaling.serving import capture, shelf
from mainspring.scaling.serving.capture import Batch, CaptureWriter


def batch(writer: CaptureWriter, rows: int, at: float, *, other: bool = False) -> Batch:
    return Batch(
        first=writer.reserve(rows),
        received=at + 1,
        times=np.full(rows, at),
        columns={
            "x": np.linspace(0, 1, rows),
            "n": np.arange(rows) + 2**60,
            "m": np.array([np.nan, *range(rows - 1)], dtype=np.float64),
            "c": ["Ulm", *([None] * (rows - 1))],
            "b": np.ones(rows, dtype=bool),
        },
        types={"x": "float", "n": "int", "m": "int", "c": "str", "b": "bool"},
        versions=np.full(rows, 3),
        scores=np.full((rows, 1), 0.1),
        other_versions=np.full(rows, 4) if other else None,
        other_scores=np.full((rows, 1), 0.2) if other else None,
    )


def fill(folder: Path, days: int = 3, rows: int = 5) -> CaptureWriter:
    writer = CaptureWriter(folder)
    for day in range(days):
        assert writer.append(batch(writer, rows, day * 86_400.0, other=day % 2 == 1))
    assert writer.flush()
    return writer


def test_every_row_comes_back_as_it_was(tmp_path) -> None:
    writer = fill(tmp_path)
    for state in ("open", "sealed", "folded"):
        if state == "sealed":
            writer.close()
        if state == "folded":
            assert capture.compact(tmp_path) == 15
        rows = capture.read(tmp_path).sort("_id")
        assert rows["_id"].n_unique() == rows.height == 15, state
        assert rows["_id"][0].startswith(writer.boot)
        assert rows["n"].max() == 2**60 + 4
        assert rows["m"].null_count() == 3
        assert str(rows.schema["m"]) == "Int64"
        assert sorted(rows["c"].drop_nulls().to_list()) == ["Ulm"] * 3
        assert rows["x"].sort().to_list() == sorted(np.linspace(0, 1, 5).tolist() * 3)
        assert rows["_other_version"].drop_nulls().to_list() == [4] * 5
        assert rows["_other_score"].null_count() == 10
        assert rows["_score"].to_list() == [0.1] * 15
        assert capture.watermark(tmp_path) == 2 * 86_400.0
        assert capture.oldest(tmp_path) == 0.0


def test_only_the_span_asked_for_is_read(tmp_path) -> None:
    fill(tmp_path).close()
    assert capture.read(tmp_path, 86_400.0, 2 * 86_400.0)["_time"].unique().to_list() == [86_400.0]
    capture.compact(tmp_path)
    assert capture.read(tmp_path, 86_400.0, 2 * 86_400.0).height == 5
    assert capture.read(tmp_path, columns=["x"]).columns[-1] == "x"
    assert capture.read(tmp_path / "nowhere").height == 0
    assert capture.watermark(tmp_path / "nowhere") is None


def test_a_torn_tail_is_passed_over_and_the_rest_is_kept(tmp_path) -> None:
    fill(tmp_path).close()
    (segment,) = tmp_path.glob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-7])
    assert capture.read(tmp_path).height in (5, 10)


def test_a_damaged_frame_hides_no_other(tmp_path) -> None:
    writer = CaptureWriter(tmp_path)
    for day in range(3):
        writer.append(batch(writer, 5, day * 1.0))
        writer.flush()
    writer.close()
    (segment,) = tmp_path.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[40] ^= 0xFF
    segment.write_bytes(bytes(data))
    assert capture.read(tmp_path)["_time"].unique().sort().to_list() == [1.0, 2.0]


def test_a_writer_that_was_killed_leaves_every_written_row(tmp_path) -> None:
    code = f"""
import numpy as np, sys, pathlib
from mainspring.scaling.serving.capture import Batch, CaptureWriter
w = CaptureWriter(pathlib.Path({str(tmp_path)!r}))
for i in range(50):
    w.append(Batch(w.reserve(1), 0.0, np.array([float(i)]), {{"x": np.zeros(1)}},
        {{"x": "float"}}, np.ones(1, dtype=np.int64), np.zeros((1, 1))))
w.flush()
print("written", flush=True)
sys.stdin.read()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert child.stdout.readline() == b"written\n"
        assert capture.seal_orphans(tmp_path) == 0, "its writer lives"
        assert capture.sealed(tmp_path) == []
        child.send_signal(signal.SIGKILL)
        child.wait()
        (left,) = tmp_path.glob("*.open")
        left.write_bytes(left.read_bytes() + b"MSF1 half a fra")
        assert capture.read(tmp_path).height == 50
        assert len(capture.sealed(tmp_path)) == 1
        assert capture.compact(tmp_path) == 50
        assert capture.read(tmp_path)["_id"].n_unique() == 50
        assert capture.watermark(tmp_path) == 49.0
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@pytest.mark.parametrize("at", ["_write_parquet", "_write_index", "_delete"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_anywhere_in_a_fold_leaves_each_row_exactly_once(
    tmp_path, monkeypatch, at, after
) -> None:
    fill(tmp_path).close()
    real = getattr(shelf, at)

    class CrashError(BaseException):
        pass

    def crash(*args):
        if after:
            real(*args)
        raise CrashError

    calls = {"_delete": 1}  # tidying up deletes first, before anything is folded

    def later(*args):
        if calls.get(at, 0):
            calls[at] -= 1
            return real(*args)
        return crash(*args)

    monkeypatch.setattr(shelf, at, later)
    with pytest.raises(CrashError):
        capture.compact(tmp_path)
    monkeypatch.undo()
    for _ in range(2):
        assert capture.read(tmp_path)["_id"].n_unique() == capture.read(tmp_path).height == 15
        capture.compact(tmp_path)
    assert list(tmp_path.glob("*.seg")) == []
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert list(tmp_path.glob("*.part")) == []


def test_small_files_are_joined_so_that_they_stay_few(tmp_path) -> None:
    for hour in range(35):
        writer = CaptureWriter(tmp_path)
        writer.append(batch(writer, 4, hour * 3600.0))
        writer.close()
        capture.compact(tmp_path)
    assert capture.read(tmp_path)["_id"].n_unique() == 140
    assert len(list(tmp_path.glob("*.parquet"))) < 2 * shelf.ALIKE


def test_the_budget_drops_the_oldest_and_counts_them(tmp_path) -> None:
    for day in range(4):
        writer = CaptureWriter(tmp_path)
        writer.append(batch(writer, 200, day * 86_400.0))
        writer.close()
        capture.compact(tmp_path)
    whole = sum(path.stat().st_size for path in tmp_path.glob("*.parquet"))
    assert capture.enforce_budget(tmp_path, 10 * whole) == capture.Dropped()
    dropped = capture.enforce_budget(tmp_path, whole // 2)
    assert dropped.rows in (400, 600)
    assert capture.read(tmp_path)["_time"].min() == dropped.rows / 200 * 86_400.0
    assert shelf.read_index(tmp_path).dropped_rows == dropped.rows
    taken = capture.use(tmp_path)
    assert taken.bytes <= whole // 2 + 1000  # what counts, and the index
    assert (taken.dropped_rows, taken.dropped_bytes) == (dropped.rows, dropped.bytes)
    assert capture.use(tmp_path / "nothing") == capture.Use()
    assert capture.watermark(tmp_path) == 3 * 86_400.0


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path) -> None:
    writer = CaptureWriter(tmp_path, queue_rows=10)
    began = time.perf_counter()
    taken = [writer.append(batch(writer, 6, 0.0)) for _ in range(3)]
    assert time.perf_counter() - began < 30.0  # one that waits would wait for ever
    assert taken[0]
    assert not all(taken)
    writer.flush()
    writer.close()
    assert writer.dropped_rows == 6 * taken.count(False)
    assert capture.read(tmp_path).height == 6 * taken.count(True)


def test_a_disk_that_fails_is_counted_and_ends_nothing(tmp_path, monkeypatch) -> None:
    writer = CaptureWriter(tmp_path)
    real = os.write

    def full(fd, data):
        real(fd, data[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mainspring.scaling.serving.recorder.os.write", full)
    writer.append(batch(writer, 5, 0.0))
    assert writer.flush()
    monkeypatch.undo()
    writer.append(batch(writer, 5, 1.0))
    writer.close()
    assert writer.dropped_rows == 5
    assert "No space" in writer.trouble
    assert capture.read(tmp_path)["_time"].unique().to_list() == [1.0]


def test_reading_goes_on_while_others_write_and_fold(tmp_path) -> None:
    import threading

    writer = CaptureWriter(tmp_path, seal_rows=50)
    stop = threading.Event()

    def fold() -> None:
        while not stop.is_set():
            capture.compact(tmp_path)

    thread = threading.Thread(target=fold)
    thread.start()
    try:
        seen = 0
        for turn in range(40):
            writer.append(batch(writer, 20, float(turn)))
            writer.flush()
            rows = capture.read(tmp_path)
            assert rows["_id"].n_unique() == rows.height == 20 * (turn + 1)
            seen = rows.height
        assert seen == 800
    finally:
        stop.set()
        thread.join()
        writer.close()

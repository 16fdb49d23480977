"""The capture log: nothing twice, nothing hidden, whatever dies and whenever."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.scaling.serving import capture, losses, recorder, sampling, shelf
from mainspring.scaling.serving.capture import Batch, CaptureWriter
from waiting import until


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


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes half a frame and no more, until it is given room; over in no time."""
    monkeypatch.setattr(recorder, "RETRY_S", 0.01)
    monkeypatch.setattr(losses, "OVER_S", 0.05)
    real = os.write
    refused = []

    def full(fd, data):
        refused.append(len(data))
        real(fd, data[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mainspring.scaling.serving.recorder.os.write", full)

    class Disk:
        def refuses(self) -> None:
            until(lambda: len(refused) > 1)

        def has_room(self) -> None:
            monkeypatch.setattr("mainspring.scaling.serving.recorder.os.write", real)

    return Disk()


def test_rows_wait_for_a_disk_that_is_full_and_none_is_lost(tmp_path, full_disk) -> None:
    writer = CaptureWriter(tmp_path)
    writer.append(batch(writer, 5, 0.0))
    full_disk.refuses()
    writer.append(batch(writer, 5, 1.0))
    assert "No space" in writer.trouble
    assert writer.queued_rows == 10
    full_disk.has_room()
    assert writer.flush(60)
    until(lambda: writer.trouble == "")
    assert writer.queued_bytes == 0
    writer.close()
    assert (writer.written_rows, writer.dropped_rows) == (10, 0)
    assert capture.read(tmp_path)["_time"].unique().sort().to_list() == [0.0, 1.0]


def test_what_a_full_disk_costs_is_counted_and_told_until_it_is_over(tmp_path, full_disk) -> None:
    writer = CaptureWriter(tmp_path, queue_rows=12)
    taken = [writer.append(batch(writer, 5, float(turn))) for turn in range(4)]
    assert taken == [True, True, False, False]
    until(lambda: any(one.lost == 10 for one in losses.told(tmp_path)))
    (loss,) = losses.told(tmp_path)
    assert (loss.writer, loss.until) == (writer.boot, None)
    assert "No space" in loss.why
    full_disk.has_room()
    until(lambda: losses.told(tmp_path)[0].until is not None)
    assert not losses.forget(tmp_path, writer.boot), "it lives"
    writer.close()
    assert writer.status()["dropped_rows"] == 10
    assert capture.read(tmp_path).height == 10
    assert losses.forget(tmp_path, writer.boot)
    assert losses.told(tmp_path) == []


def test_an_endpoint_starts_on_a_disk_that_takes_nothing(tmp_path) -> None:
    (tmp_path / "file").touch()
    writer = CaptureWriter(tmp_path / "file" / "captures")
    writer.append(batch(writer, 5, 0.0))
    until(lambda: writer.trouble != "")
    writer.close()
    assert writer.dropped_rows == 5


def test_a_writer_that_lost_nothing_leaves_no_note(tmp_path) -> None:
    fill(tmp_path).close()
    assert list(tmp_path.glob("*.losses")) == []


def test_the_trouble_of_a_writer_that_died_is_over(tmp_path) -> None:
    one = losses.Losses(tmp_path, "00")
    one.note(5.0, 3, 7, "full")
    os.close(one._fd)  # as the kernel does for who dies
    (loss,) = losses.told(tmp_path)
    assert loss.until is not None
    assert loss.lost == 10, "what waited in its memory is lost too"
    assert losses.forget(tmp_path, "00")


def test_one_wide_request_does_not_fill_the_memory(tmp_path) -> None:
    writer = CaptureWriter(tmp_path, queue_bytes=1_000_000)
    wide = replace(batch(writer, 1, 0.0), columns={"c": ["x" * 2_000_000]}, types={"c": "str"})
    assert not writer.append(wide)
    assert writer.append(batch(writer, 1, 0.0))
    writer.close()
    assert (writer.dropped_rows, writer.written_rows) == (1, 1)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.floats(0, 1))
def test_a_row_is_drawn_by_its_id_alone(boot, first, share) -> None:
    draw = sampling.Draw(f"{boot:x}")
    drawn = draw.several(np.arange(first, first + 50), share)
    assert drawn.tolist() == [draw.one(n, share) for n in range(first, first + 50)]
    more = draw.several(np.arange(first, first + 50), min(1.0, share * 2))
    assert (more | ~drawn).all(), "who is drawn at a share is drawn at a larger one"


def test_a_share_of_the_rows_is_recorded_and_it_is_known_which(tmp_path) -> None:
    writer = CaptureWriter(tmp_path)
    for turn in range(20):
        writer.append(batch(writer, 100, float(turn)), 0.2)
    for turn in range(50):
        writer.append(batch(writer, 1, 20.0 + turn), 0.2)
    pair = batch(writer, 10, 100.0, other=True)
    writer.append(pair, 0.2)
    whole = batch(writer, 10, 200.0)
    writer.append(whole, 1.0)
    writer.close()
    for _ in range(2):
        rows = capture.read(tmp_path)
        sampled = rows.filter(pl.col("_share") < 1.0)
        assert 290 < sampled.height < 530
        assert sampled["_share"].unique().to_list() == [0.2]
        assert rows.filter(pl.col("_time") >= 100.0)["_share"].null_count() == 20
        assert sampled["_id"].n_unique() == sampled.height
        assert sampled.height + writer.sampled_out_rows == 2050
        gone = sorted(set(writer.ids(0, 2070)) - set(rows["_id"]))
        assert all(sampling.not_drawn(tmp_path, gone))
        assert not any(sampling.not_drawn(tmp_path, sampled["_id"].to_list()))
        capture.compact(tmp_path)
    assert not any(sampling.not_drawn(tmp_path, ["0123456789ab-7", "your-own-7", "x"]))


def test_a_row_with_an_id_of_the_clients_own_is_drawn_by_it(tmp_path) -> None:
    ids = [f"order-{n}" for n in range(400)]
    kept = []
    for name in ("one", "two"):
        writer = CaptureWriter(tmp_path / name)
        writer.append(replace(batch(writer, 400, 0.0), ids=ids), 0.25)
        writer.close()
        kept.append(set(capture.read(tmp_path / name)["_id"]))
        told = sampling.not_drawn(tmp_path / name, ids)
        assert told == [one not in kept[-1] for one in ids]
    assert kept[0] == kept[1], "whoever answers"
    assert 60 < len(kept[0]) < 140


def test_a_row_tells_who_answered_how_long_it_took_and_the_clients_own_ids(tmp_path) -> None:
    writer = CaptureWriter(tmp_path)
    one = replace(batch(writer, 2, 0.0), champion=3, seconds=0.25, inference="mine-1")
    two = replace(batch(writer, 2, 1.0), champion=4, seconds=0.5, request="r-2")
    writer.append(one)
    writer.append(two)
    writer.append(batch(writer, 1, 2.0))
    writer.close()
    for _ in range(2):
        rows = capture.read(tmp_path, about=True).sort("_time")
        assert rows["_role"].to_list() == ["champion"] * 2 + ["challenger"] * 2 + [None]
        assert rows["_ms"].to_list()[:4] == [250.0, 250.0, 500.0, 500.0]
        assert rows["_inference"].to_list() == ["mine-1", "mine-1", None, None, None]
        assert rows["_request"].to_list() == [None, None, "r-2", "r-2", None]
        assert not {"_ms", "_role", "_inference"} & set(capture.read(tmp_path).columns)
        capture.compact(tmp_path)


def test_a_flipped_byte_of_a_segment_is_named_set_aside_and_counted(tmp_path, caplog) -> None:
    writer = CaptureWriter(tmp_path)
    for day in range(3):
        writer.append(batch(writer, 5, day * 1.0))
        writer.flush()
    writer.close()
    (segment,) = tmp_path.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(b"MSF1", 10) + 60] ^= 0x01
    segment.write_bytes(bytes(data))
    assert capture.compact(tmp_path) == 10
    assert capture.read(tmp_path)["_time"].unique().sort().to_list() == [0.0, 2.0]
    assert f"{segment.name} is damaged" in caplog.text
    assert shelf.read_index(tmp_path).damaged == {segment.name: 5}
    assert (tmp_path / "damaged" / segment.name).read_bytes() == bytes(data)
    assert capture.use(tmp_path).damaged_rows == 5


@given(st.data())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_flipped_bit_of_a_parquet_file_is_never_read_as_data(tmp_path, data) -> None:
    folder = tmp_path / os.urandom(4).hex()
    for day in range(2):
        writer = CaptureWriter(folder)
        writer.append(batch(writer, 5, float(day)))
        writer.close()
        capture.compact(folder)
    victim = min(folder.glob("*.parquet"))
    content = bytearray(victim.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    victim.write_bytes(bytes(content))
    os.utime(victim, ns=(1, 1))  # as another process that never saw it
    rows = capture.read(folder)
    assert rows["_time"].unique().to_list() == [1.0]
    assert shelf.read_index(folder).damaged == {victim.name: 5}
    assert (folder / "damaged" / victim.name).exists()
    assert capture.compact(folder) == 0
    assert capture.read(folder).height == 5


def test_files_of_before_there_were_checksums_are_read(tmp_path) -> None:
    fill(tmp_path).close()
    capture.compact(tmp_path)
    index = shelf.read_index(tmp_path)
    with shelf.changing(tmp_path):
        files = [msgspec.structs.replace(file, digest="") for file in index.files]
        shelf.replace(tmp_path, msgspec.structs.replace(index, files=files))
    assert capture.read(tmp_path).height == 15


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

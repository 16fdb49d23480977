"""Captured rows that are lost are an alarm that people see, and that ends with the trouble."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mainspring.monitoring import alarms
from mainspring.scaling.serving import capture, losses, recorder
from mainspring.scaling.serving.segments import Batch
from waiting import until


@pytest.fixture
def folder(home):
    return home.ws.captures("flights")


def batch(first: int, at: float) -> Batch:
    ones = np.ones(5, dtype=np.int64)
    return Batch(
        first, at, np.full(5, at), {"x": np.ones(5)}, {"x": "float"}, ones, ones[:, None] / 2
    )


def looked(home):
    home.settle()
    return home.state("capture", "lost")


def test_a_full_disk_is_an_alarm_until_rows_are_written_again(home, folder, monkeypatch) -> None:
    monkeypatch.setattr(recorder, "RETRY_S", 0.01)
    monkeypatch.setattr(losses, "OVER_S", 0.05)
    real = os.write

    def full(fd, data):
        raise OSError(28, "No space left on device")

    writer = capture.CaptureWriter(folder, clock=home.clock, queue_rows=5)
    monkeypatch.setattr("mainspring.scaling.serving.recorder.os.write", full)
    assert writer.append(batch(0, home.clock.now()))
    assert not writer.append(batch(5, home.clock.now()))
    until(lambda: any(one.lost == 5 for one in losses.told(folder)))
    state = looked(home)
    assert (state.state, state.value) == ("ALARM", 5.0)
    assert "No space left on device" in state.reason
    (open_one,) = home.read(lambda tx: alarms.open_alarms(tx, "flights"))
    assert (open_one.kind, open_one.subject) == ("capture", "lost")
    monkeypatch.setattr("mainspring.scaling.serving.recorder.os.write", real)
    until(lambda: losses.told(folder)[0].until is not None)
    state = looked(home)
    assert state.state == "OK"
    assert "5 were lost" in state.reason
    assert home.read(lambda tx: alarms.open_alarms(tx, "flights")) == []
    writer.close()
    home.settle()
    assert list(folder.glob("*.losses")) == [], "people were told: the note may go"


def test_what_was_lost_while_nobody_could_be_told_is_told_afterwards(home, folder) -> None:
    folder.mkdir(parents=True)
    one = losses.Losses(folder, "00ff")
    one.note(home.clock.now(), 7, 0, "No space left on device")
    one.close(home.clock.now() + 30)
    state = looked(home)
    assert state.state == "OK"
    assert "7 were lost within 30 s" in state.reason
    ended = home.read(lambda tx: alarms.get(tx, state.alarm))
    assert ended.outcome == "dismissed"
    assert looked(home) == state, "once"


def test_damaged_rows_are_an_alarm_as_long_as_their_file_lies_aside(home, folder) -> None:
    writer = capture.CaptureWriter(folder, clock=home.clock)
    for turn in range(3):
        writer.append(batch(5 * turn, home.clock.now()))
        assert writer.flush(60)
    writer.close()
    (segment,) = folder.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(b"MSF1", 10) + 60] ^= 0x01
    segment.write_bytes(bytes(data))
    home.settle()
    state = home.state("capture", "damaged")
    assert (state.state, state.value) == ("ALARM", 5.0)
    assert segment.name in state.reason
    assert capture.read(folder).height == 10
    (folder / "damaged" / segment.name).unlink()
    writer = capture.CaptureWriter(folder, clock=home.clock)
    writer.append(batch(0, home.clock.now()))
    writer.close()
    home.settle()
    assert home.state("capture", "damaged").state == "OK"

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments import frames, journal
from mainspring.experiments.frames import encode
from mainspring.experiments.journal import Journal, bytes_from, is_alive, listed
from mainspring.ground.errors import BadInputError, StoreError, TooLargeError

FLOATS = st.floats(allow_nan=True, allow_infinity=True, width=64)
STEPS = st.integers(-(2**63), 2**63 - 1) | st.none()
POINTS = st.builds(
    frames.Points,
    st.just("run_1"),
    STEPS,
    st.floats(0, 1e12),
    st.dictionaries(st.text(min_size=1, max_size=5), FLOATS, max_size=4),
)


def whole(folder: Path, name: str) -> bytes:
    """Return the whole stream of a journal."""
    parts, data = listed(folder)[name], b""
    while more := bytes_from(parts, len(data), 1 << 30):
        data += more
    return data


def a_point(step: int) -> bytes:
    return encode(frames.Points("run_1", step, 5.0, {"loss": 0.5}))


@given(st.lists(POINTS, max_size=5))
def test_frames_come_back_bit_equal(given_frames: list[frames.Points]) -> None:
    data = b"".join(frames.packed(encode(one)) for one in given_frames)
    got = frames.read(data)
    assert b"".join(frames.packed(encode(one)) for one in got.frames) == data
    assert (got.size, got.damaged) == (len(data), False)


def test_the_payload_of_a_nan_is_kept() -> None:
    import struct

    odd = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_1234))[0]
    [back] = frames.read(frames.packed(encode(frames.Points("r", 0, 1.0, {"x": odd})))).frames
    assert isinstance(back, frames.Points)
    assert struct.pack("<d", back.values["x"]) == struct.pack("<d", odd)


@given(st.lists(POINTS, min_size=1, max_size=4), st.data())
def test_a_torn_tail_is_not_read_wherever_it_is_torn(
    several: list[frames.Points], data: st.DataObject
) -> None:
    packed = [frames.packed(encode(one)) for one in several]
    stream = b"".join(packed)
    at = data.draw(st.integers(0, len(stream)))
    ends = [sum(map(len, packed[:n])) for n in range(len(packed) + 1)]
    got = frames.read(stream[:at])
    assert got.size == max(end for end in ends if end <= at)
    assert not got.damaged


@given(st.lists(POINTS, min_size=3, max_size=5), st.data())
def test_a_damaged_frame_with_whole_ones_behind_it_is_told_of(
    several: list[frames.Points], data: st.DataObject
) -> None:
    packed = [frames.packed(encode(one)) for one in several]
    at = data.draw(st.integers(0, len(packed[1]) - 1))
    bad = bytearray(packed[1])
    bad[at] ^= data.draw(st.integers(1, 255))
    got = frames.read(b"".join([packed[0], bytes(bad), *packed[2:]]))
    assert (got.size, got.damaged) == (len(packed[0]), True)


@pytest.mark.parametrize("body", [b"\x00", encode(["nonsense", "run_1"]), encode(["points", 7])])
def test_a_whole_frame_that_says_nothing_known_is_refused(body: bytes) -> None:
    with pytest.raises(BadInputError, match="says something unknown"):
        frames.read(frames.packed(body))


@pytest.mark.parametrize("step", [2**63, 2**64 - 1])
def test_a_step_beyond_64_bits_is_refused(step: int) -> None:
    with pytest.raises(BadInputError):
        frames.read(frames.packed(encode(["points", "run_1", step, 1.0, {}])))


def test_a_frame_has_a_largest_size() -> None:
    with pytest.raises(TooLargeError, match="at once"):
        frames.packed(b"x" * (frames.MAX_FRAME + 1))


def test_a_journal_goes_on_in_another_file_and_stays_one_stream(tmp_path: Path) -> None:
    one = Journal(tmp_path, turn_bytes=200)
    for step in range(20):
        one.append(a_point(step))
    parts = listed(tmp_path)[one.id]
    assert len(parts) > 3
    got = frames.read(whole(tmp_path, one.id))
    assert [p.step for p in got.frames if isinstance(p, frames.Points)] == list(range(20))
    assert one.end == got.size
    with pytest.raises(StoreError, match="no file"):
        bytes_from(parts[1:], 0, 10)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    one = Journal(tmp_path / "new" / "place")
    one.append(a_point(0))
    [part] = listed(one.folder)[one.id]
    assert part.path.stat().st_mode & 0o777 == 0o600
    assert one.folder.stat().st_mode & 0o777 == 0o700
    assert one.folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_journal_is_alive_until_its_process_lets_go(tmp_path: Path) -> None:
    one = Journal(tmp_path, turn_bytes=100)
    one.append(a_point(0))
    name = one.id
    assert is_alive(tmp_path, name)
    for step in range(10):
        one.append(a_point(step))
        assert is_alive(tmp_path, name)
    one.close()
    assert not is_alive(tmp_path, name)
    one.append(a_point(0))
    assert one.id != name


def test_threads_append_whole_frames(tmp_path: Path) -> None:
    one = Journal(tmp_path, turn_bytes=2_000)

    def work(number: int) -> None:
        for step in range(200):
            one.append(a_point(number * 1000 + step))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = [p.step for p in frames.read(whole(tmp_path, one.id)).frames]  # type: ignore[union-attr]
    assert sorted(got) == sorted(n * 1000 + s for n in range(4) for s in range(200))
    for n in range(4):
        assert [s for s in got if s // 1000 == n] == [n * 1000 + s for s in range(200)]


FORK = """
import os, sys
from pathlib import Path
from mainspring.experiments import frames
from mainspring.experiments.journal import Journal
one = Journal(Path(sys.argv[1]))
body = frames.encode(frames.Points("run_1", os.getpid(), 1.0, {}))
one.append(body)
before = one.generation, one.id
child = os.fork()
one.append(frames.encode(frames.Points("run_1", os.getpid(), 1.0, {})))
assert (one.generation, one.id) == before if child else one.id != before[1]
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_the_child_of_a_fork_has_a_journal_of_its_own(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FORK, str(tmp_path)], check=True)
    journals = listed(tmp_path)
    assert len(journals) == 2
    counts = [len(frames.read(whole(tmp_path, name)).frames) for name in journals]
    assert sorted(counts) == [1, 2]


def test_a_full_disk_acknowledges_nothing_and_leaves_no_half_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Journal(tmp_path)
    one.append(a_point(0))
    write = os.write
    monkeypatch.setattr(journal.os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    with pytest.raises(StoreError, match="full"):
        one.append(a_point(1))

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal.os, "write", refuse)
    with pytest.raises(StoreError, match="No space left"):
        one.append(a_point(2))
    monkeypatch.setattr(journal.os, "write", write)
    one.append(a_point(3))
    assert [p.step for p in frames.read(whole(tmp_path, one.id)).frames] == [0, 3]  # type: ignore[union-attr]


def test_after_a_failed_flush_nothing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Journal(tmp_path)
    one.append(a_point(0))

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journal.os, "fdatasync", fail)
    with pytest.raises(StoreError, match="failed to flush"):
        one.flush()
    with pytest.raises(StoreError, match="failed to flush"):
        one.append(a_point(1))

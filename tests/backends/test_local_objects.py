"""What is a folder's own: modes, order of flushes, leftovers, failing disks."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.backends.objects import local
from mainspring.backends.objects.local import LocalObjects
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import DamagedError, StoreError
from mainspring.ground.identity import sha256


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "objects")


def test_files_and_folders_are_for_the_owner_alone(objects: LocalObjects, tmp_path: Path) -> None:
    digest = objects.put(b"secret")
    path = tmp_path / "objects" / digest[:2] / digest[2:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, tmp_path / "objects" / "tmp"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list((tmp_path / "objects" / "tmp").iterdir()) == []


@pytest.mark.parametrize("refused", ["nothing", "at once", "as it begins within a page", "at all"])
def test_long_pieces_go_straight_to_the_disk_where_they_can(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    real, straight = fcntl.fcntl, []

    def turn(number: object, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL and flags & os.O_DIRECT:
            if refused == "at once":
                raise OSError(errno.EINVAL, "Invalid argument")
            straight.append(refused)
        return real(number, command, flags)

    wrote = local.write_all

    def write(file: BinaryIO, data: bytes | memoryview) -> None:
        if real(file, fcntl.F_GETFL) & os.O_DIRECT and refused.startswith("as it"):
            raise OSError(errno.EINVAL, "Invalid argument")
        wrote(file, data)

    monkeypatch.setattr(fcntl, "fcntl", turn)
    monkeypatch.setattr(local, "write_all", write)
    monkeypatch.setattr(local, "_STRAIGHT", 1 << 20)
    data = os.urandom((3 << 20) + 77)
    room = memoryview(mmap.mmap(-1, 4 << 20))
    room[: len(data)] = data
    first = 5 if refused == "at all" else 1 << 20  # what follows then begins within a block
    cuts = [0, first, 2 << 20, 3 << 20, len(data)]
    pieces = (room[low:high] for low, high in pairwise(cuts))
    digest = objects.put_file(pieces)
    assert (digest, objects.get(digest)) == (sha256(data), data)
    assert bool(straight) == (refused not in ("at all", "at once"))
    assert objects.part(digest, 7, 2 << 20) == data[7 : 7 + (2 << 20)]


def test_bytes_are_flushed_before_their_name_and_the_name_before_the_answer(
    objects: LocalObjects, tmp_path: Path, monkeypatch
) -> None:
    seen: list[str] = []
    fsync, link = os.fsync, os.link

    def flush(number: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "link", lambda a, b: (seen.append("name"), link(a, b)))
    objects.put(b"x")
    assert seen == ["file", "folder", "name", "folder"], "the first folder is the new shard's"
    seen.clear()
    objects.put(b"x")
    assert seen == ["folder"], "whoever put it first may not have flushed the name yet"


def test_after_a_failed_flush_nothing_is_written_any_more(
    objects: LocalObjects, monkeypatch
) -> None:
    kept = objects.put(b"kept")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="failed to flush"):
            objects.put(b"lost")
    with pytest.raises(StoreError, match="writing has stopped"):
        objects.put(b"refused")
    with pytest.raises(StoreError, match="writing has stopped"):
        objects.put(b"kept")
    assert objects.get(kept) == b"kept"


def test_a_full_disk_is_an_error_and_not_the_end(objects: LocalObjects, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mainspring.backends.objects.local.write_all", fail)
        with pytest.raises(StoreError, match="no room left"):
            objects.put(b"x")
    assert objects.get(objects.put(b"x")) == b"x"


def test_a_torn_file_is_healed_by_the_next_put(objects: LocalObjects, tmp_path: Path) -> None:
    digest = objects.put(b"whole")
    (tmp_path / "objects" / digest[:2] / digest[2:]).write_bytes(b"who")
    assert objects.put(b"whole") == digest
    assert objects.get(digest) == b"whole"


def test_a_file_system_without_links_will_do(objects: LocalObjects, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    assert objects.get(objects.put(b"x")) == b"x"


def test_leftovers_of_dead_writers_are_swept_after_an_hour(tmp_path: Path) -> None:
    LocalObjects(tmp_path)
    old, young = tmp_path / "tmp" / "old", tmp_path / "tmp" / "young"
    old.touch()
    young.touch()
    clock = TurnedClock(old.stat().st_mtime + 3700)
    os.utime(young, (clock.now(), clock.now()))
    LocalObjects(tmp_path, clock)
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["young"]


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="use the folder"):
        LocalObjects(tmp_path / "file")


@given(st.binary(max_size=2000))
def test_any_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    objects = LocalObjects(tmp_path_factory.getbasetemp() / "any")
    assert objects.put(data) == sha256(data)
    assert objects.get(sha256(data)) == data


def test_where_blocks_can_be_shared_nothing_is_copied_and_all_is_verified(
    objects: LocalObjects, tmp_path: Path, monkeypatch
) -> None:
    asked = []

    def clone(number: int, what: int, source: int) -> int:
        asked.append(what)
        os.pwrite(number, os.pread(source, 1 << 20, 0), 0)  # as a file system does that can
        return 0

    digest = objects.put(b"x" * 1000)
    monkeypatch.setattr("mainspring.backends.objects.local.fcntl.ioctl", clone)
    monkeypatch.setattr("mainspring.backends.objects.local.write_all", None)
    objects.fetch(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"x" * 1000
    assert asked == [0x4004_9409]
    (tmp_path / "objects" / digest[:2] / digest[2:]).write_bytes(b"y" * 1000)
    with pytest.raises(DamagedError):
        objects.fetch(digest, tmp_path / "other")
    assert not (tmp_path / "other").exists()


AT_THE_END = """
import sys, threading
from pathlib import Path
from mainspring.backends.objects.local import LocalObjects

def late() -> None:
    threading.main_thread().join()  # no thread pool can be made from here on
    pieces = [Path(sys.argv[2]).read_bytes()]
    sys.stdout.write(LocalObjects(Path(sys.argv[1])).put_file(pieces))

threading.Thread(target=late).start()
"""


def test_what_comes_as_an_interpreter_ends_is_kept_as_well(tmp_path: Path) -> None:
    large = os.urandom(3 << 20)
    (tmp_path / "large").write_bytes(large)
    words = [sys.executable, "-c", AT_THE_END, str(tmp_path / "objects"), str(tmp_path / "large")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == sha256(large)
    assert LocalObjects(tmp_path / "objects").get(done.stdout) == large

"""Of what a call prints its head and its tail are kept, whatever the file system can."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.backends.executors import printed
from mainspring.backends.executors.printed import Printed


def kept(path: Path, *parts: bytes, head: int = 100_000, tail: int = 100_000) -> bytes:
    log = Printed(str(path), head, tail)
    for part in parts:
        log.write(part)
    log.close()
    return path.read_bytes()


def test_what_is_short_is_kept_as_it_is_after_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    assert kept(path, b"one\n", b"two\n") == b"before\none\ntwo\n"


@pytest.mark.parametrize("holes", [True, False])
def test_of_what_is_long_head_and_tail_are_kept_with_a_line_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holes: bool
) -> None:
    if not holes:
        monkeypatch.setattr(printed, "_punch", lambda *_: False)
    lines = [f"{number:09d}\n".encode() * 1_000 for number in range(300)]
    found = kept(tmp_path / "log", *lines)
    whole = b"".join(lines)
    head, words, tail = found.partition(b"\n... ")
    words, _, tail = tail.partition(b" ...\n")
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert (len(head), len(tail)) == (100_000, 100_000)
    assert words.decode() == "2,800,000 bytes of what was printed are left out here"


def test_a_file_that_is_followed_takes_little_room_while_it_grows(tmp_path: Path) -> None:
    log = Printed(str(tmp_path / "log"), 100_000, 100_000)
    most = 0
    for _ in range(200):
        log.write(b"x" * 50_000)
        found = (tmp_path / "log").stat()
        most = max(most, found.st_blocks * 512)
    log.close()
    assert most < 1_000_000


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 60_000), max_size=12), st.booleans())
def test_nothing_is_told_to_be_missing_that_is_there(
    tmp_path: Path, sizes: list[int], holes: bool
) -> None:
    """Bytes kept and bytes left out are all the bytes there were."""
    path = tmp_path / "any"
    path.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        if not holes:
            patch.setattr(printed, "_punch", lambda *_: False)
        found = kept(path, *(b"y" * size for size in sizes), head=9_000, tail=5_000)
    out = 0
    if b"... " in found:
        out = int(found.partition(b"... ")[2].partition(b" ")[0].replace(b",", b""))
    assert found.count(b"y") - (found.count(b"bytes") if out else 0) + out == sum(sizes)


def test_a_disk_without_room_loses_output_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Printed(str(tmp_path / "log"))
    log.write(b"first\n")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(printed.os, "write", full)
        log.write(b"lost\n" * 10)
    log.write(b"last\n")
    log.close()
    found = (tmp_path / "log").read_bytes()
    assert found.startswith(b"first\nlast\n")
    assert b"50 bytes of what was printed are left out here" in found

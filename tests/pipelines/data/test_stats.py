"""What is remembered of files is the truth: after any edits it says what a full reading says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.pipelines.data import stats
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.walk import Found, walk

SECOND = 1_000_000_000
edits = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "sub/c"]),
        st.sampled_from(["write", "same size", "turn back", "replace", "remove", "look"]),
        st.integers(0, 9),
    ),
    max_size=12,
)


def look(home: Path, place: Path) -> dict[str, str]:
    """Look at a place as the workspace does; return the digests."""
    seen = stats.now_ns()
    state = stats.load(home, place)
    files, refused = walk(place)
    assert not refused
    digests = {}
    for file in files:
        data = (place / file.path).read_bytes()
        digests[file.path] = state.known(file) or hashlib.sha256(data).hexdigest()
    rows = {**state.rows, **stats.rows_of(files, digests, seen)}
    stats.save(home, State(place=str(place), rows=rows))
    return digests


@settings(max_examples=60)
@given(edits)
def test_any_edits_are_seen(tmp_path_factory: pytest.TempPathFactory, edits: list) -> None:
    home, place = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("place")
    (place / "sub").mkdir()
    for path, what, number in edits:
        file = place / path
        before = file.stat() if file.exists() else None
        if what == "remove":
            file.unlink(missing_ok=True)
        elif what == "replace":
            (place / "aside").write_bytes(b"%d" % number)
            (place / "aside").replace(file)
        elif what == "write":
            file.write_bytes(b"x" * number)
        elif what in ("same size", "turn back") and before is not None:
            with file.open("r+b") as opened:  # the same inode, and no other size
                opened.write(b"%d" % number * (before.st_size > 0))
            if what == "turn back":
                os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        told = look(home, place)
        files = [file for file in place.rglob("*") if file.is_file()]
        truth = {
            str(one.relative_to(place)): hashlib.sha256(one.read_bytes()).hexdigest()
            for one in files
        }
        assert told == truth


def found(mtime: int, ctime: int) -> Found:
    return Found("a", 1, mtime, ctime, 7, False)


def test_a_file_is_remembered_only_when_its_clock_has_ticked() -> None:
    fine = 5 * SECOND + 123_456_789
    assert not stats.is_settled(found(fine, fine), fine + 40_000_000)
    assert stats.is_settled(found(fine, fine), fine + 60_000_000)
    assert not stats.is_settled(found(fine + SECOND, fine), fine + 60_000_000)  # from the future
    coarse = 5 * SECOND  # a file system that keeps whole seconds, or two
    assert not stats.is_settled(found(coarse, coarse), coarse + 2 * SECOND)
    assert stats.is_settled(found(coarse, coarse), coarse + 3 * SECOND)


def test_any_sign_of_change_counts(tmp_path: Path) -> None:
    one = Found("a", 1, 10, 20, 7, False)
    rows = stats.rows_of([one], {"a": "ab" * 32}, 10 * SECOND)
    state = State(place="x", rows=rows)
    assert state.known(one) == "ab" * 32
    for field in ("size", "mtime_ns", "ctime_ns", "inode"):
        assert state.known(one._replace(**{field: 99})) is None
    assert state.known(one._replace(path="b")) is None


def test_a_damaged_memory_is_none(tmp_path: Path) -> None:
    place = tmp_path / "place"
    rows = {"a": (1, 2, 3, 4, bytes(32))}
    stats.save(tmp_path / "home", State(place=str(place), rows=rows))
    assert stats.load(tmp_path / "home", place).rows == rows
    [file] = (tmp_path / "home").iterdir()
    whole = file.read_bytes()
    for data in (whole[:-1], whole[:10], b"", whole[:-1] + b"?"):
        file.write_bytes(data)
        assert stats.load(tmp_path / "home", place).rows == {}

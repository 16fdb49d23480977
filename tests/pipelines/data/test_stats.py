"""What is remembered of files is the truth: after any edits it says what a full reading says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.pipelines.data import manifest, stats
from mainspring.pipelines.data.seen import Seen
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.walk import Row

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
    at = stats.now_ns()
    seen = Seen(place, stats.load(home, place))
    assert not seen.refused
    unknown = seen.files(unknown=True)
    assert len(unknown) == seen.unknown
    seen.learn(hashlib.sha256((place / file.path).read_bytes()).digest() for file in unknown)
    content, folders = seen.to_remember("folder", at)
    stats.save(home, State(place=str(place), content=content, folders=folders))
    lines = [(f.path, f.size, seen.known()[f.path], f.executable) for f in seen.files()]
    assert seen.content("folder") == manifest.digest_of_lines("folder", lines)
    return seen.known()


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


def row(mtime: int, ctime: int) -> Row:
    return ("a", 1, mtime, ctime, 7, False)


def test_a_file_is_remembered_only_when_its_clock_has_ticked() -> None:
    fine = 5 * SECOND + 123_456_789
    assert not stats.is_settled(row(fine, fine), fine + 40_000_000)
    assert stats.is_settled(row(fine, fine), fine + 60_000_000)
    assert not stats.is_settled(row(fine + SECOND, fine), fine + 60_000_000)  # from the future
    coarse = 5 * SECOND  # a file system that keeps whole seconds, or two
    assert not stats.is_settled(row(coarse, coarse), coarse + 2 * SECOND)
    assert stats.is_settled(row(coarse, coarse), coarse + 3 * SECOND)


def test_any_sign_of_change_counts_and_only_what_has_one_is_read_again(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    for name in "ab":
        (place / name).write_text(name)
    first = Seen(place, State(place=str(place)))
    first.learn([b"\xaa" * 32, b"\xbb" * 32])
    content, folders = first.to_remember("folder", stats.now_ns() + 3 * SECOND)
    state = State(place=str(place), content=content, folders=folders)
    assert Seen(place, state).as_before
    [(packed, digests)] = folders.values()
    rows = stats.unpack(packed)
    for field in range(1, 5):
        was = [(*rows[0][:field], 99, *rows[0][field + 1 :]), rows[1]]
        told = State(place=str(place), content=content, folders={"": (stats.pack(was), digests)})
        again = Seen(place, told)
        assert not again.as_before
        assert [file.path for file in again.files(unknown=True)] == ["a"]
        assert again.content("folder") == ""
        assert again.known() == {"b": "bb" * 32}
    (place / "b").unlink()
    assert not Seen(place, state).as_before
    (place / "a").unlink()
    assert not Seen(place, state).as_before


def test_a_damaged_memory_is_none(tmp_path: Path) -> None:
    place = tmp_path / "place"
    rows = {"": (b"some rows", bytes(32))}
    stats.save(tmp_path / "home", State(place=str(place), folders=rows))
    assert stats.load(tmp_path / "home", place).folders == rows
    [file] = (tmp_path / "home").iterdir()
    whole = file.read_bytes()
    for data in (whole[:-1], whole[:10], b"", whole[:-1] + b"?"):
        file.write_bytes(data)
        assert stats.load(tmp_path / "home", place).folders == {}

"""Folders are gone through in the order of whole paths, one in memory at a time."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.pipelines.data.manifest import Entry
from mainspring.pipelines.data.seen import Seen, beside
from mainspring.pipelines.data.stats import UNKNOWN, State
from mainspring.pipelines.data.walk import Found

names = st.sampled_from(["a", "a!", "a-b", "a.txt", "a0", "b", "ü"])
trees = st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=8)


@settings(max_examples=40)
@given(trees)
def test_files_come_in_the_order_of_their_paths(tmp_path_factory: object, paths: set[str]) -> None:
    place = tmp_path_factory.mktemp("place")  # type: ignore[attr-defined]
    wanted = []
    for path in sorted(paths):
        if not any(other.startswith(f"{path}/") for other in paths):  # it is a folder of others
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(path)
            wanted.append(path)
    seen = Seen(place, State(place=str(place)))
    assert [file.path for file, _ in seen.each()] == wanted
    seen.learn(bytes([number]) * 32 for number in range(1, len(wanted)))  # one lacks
    assert [digest[0] for _, digest in seen.each()] == [*range(1, len(wanted)), 0][: len(wanted)]
    assert [file.path for file, _ in seen.each(unknown=True)] == wanted[-1:]
    assert (seen.unknown, seen.content("folder") == "") == (len(wanted[-1:]), bool(wanted))


def found(path: str) -> Found:
    return Found(path, 1, 2, 3, 4, False)


@given(st.sets(names), st.sets(names))
def test_two_lists_are_gone_through_side_by_side(here: set[str], held: set[str]) -> None:
    files = [(found(path), UNKNOWN) for path in sorted(here)]
    entries = [Entry(path, 1, "ab" * 32) for path in sorted(held)]
    told = list(beside(iter(files), iter(entries)))
    both = [(file and file.path, entry and entry.path) for file, _, entry in told]
    paths = sorted(here | held)
    assert both == [(p if p in here else None, p if p in held else None) for p in paths]


def test_a_folder_deeper_than_calls_may_be_is_gone_through(tmp_path: Path) -> None:
    depth = 1200
    state = State(place=str(tmp_path))
    seen = Seen(tmp_path, state)
    packed = Seen(_with_a_file(tmp_path), state)._folders[""]
    seen._folders = {"a/" * depth: packed}
    assert [file.path for file, _ in seen.each()] == ["a/" * depth + "x"]


def _with_a_file(place: Path) -> Path:
    (place / "x").write_text("x")
    return place

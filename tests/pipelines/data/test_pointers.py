"""Pointers are small, sorted, and say plainly when two branches disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.data import pointers
from mainspring.pipelines.data.versions import DataVersion

VERSION = DataVersion(
    name="flights",
    number=7,
    digest="ab" * 32,
    manifest="cd" * 32,
    kind="folder",
    created=1.0,
    by="owner",
    files=3,
    bytes=12,
)


def test_a_pointer_is_six_sorted_lines_and_git_is_kept_from_the_data(tmp_path: Path) -> None:
    place = tmp_path / "my flights"
    (tmp_path / ".gitignore").write_text("*.tmp")
    file = pointers.write(place, VERSION)
    assert file.read_text().splitlines()[1:] == [
        "bytes = 12",
        f'digest = "{"ab" * 32}"',
        "files = 3",
        'kind = "folder"',
        'name = "flights"',
        "number = 7",
    ]
    assert pointers.read(file) == pointers.of_version(VERSION)
    pointers.write(place, VERSION)
    assert (tmp_path / ".gitignore").read_text() == "*.tmp\n/my\\ flights\n"
    assert list(pointers.below(tmp_path)) == [(file, place)]


def test_a_conflict_is_told_as_one(tmp_path: Path) -> None:
    file = pointers.write(tmp_path / "flights", VERSION)
    text = file.read_text()
    file.write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n")
    with pytest.raises(BadInputError, match="in conflict: two branches") as caught:
        pointers.read(file)
    assert "git checkout --ours" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("number = 7", 'number = "7"'),
        ("number = 7\n", ""),
        ("number = 7", "number = 7\nmore = 1"),
        ('"folder"', '"cupboard"'),
        ('"flights"', '"../flights"'),
        ("abab", "xyz!"),
        ("=", ""),
    ],
)
def test_what_is_no_pointer_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    file = pointers.write(tmp_path / "flights", VERSION)
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(BadInputError):
        pointers.read(file)
    with pytest.raises(BadInputError, match="There is no pointer"):
        pointers.read(tmp_path / "other.mainspring")

"""A manifest says what a version holds, whatever way its bytes are kept."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError, DamagedError
from mainspring.ground.ports import Objects
from mainspring.pipelines.data import manifest
from mainspring.pipelines.data.manifest import LEAF, Entry, Part, settled

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return open_objects(str(tmp_path / "objects"))


def test_the_digest_of_a_folder_is_that_of_its_lines() -> None:
    held = settled("folder", [Entry("b/x", 1, B, True), Entry("a", 1, A)])
    lines = f"a\x001\x00{A}\x00\x00\nb/x\x001\x00{B}\x00x\x00\n".encode()
    assert held.digest == hashlib.sha256(lines).hexdigest()


def test_the_digest_of_a_file_is_that_of_its_bytes() -> None:
    assert settled("table", [Entry("any name", 1, A)]).digest == A


def test_where_the_bytes_are_is_no_part_of_the_digest() -> None:
    plain = settled("folder", [Entry("a", 5, A)])
    packed = settled("folder", [Entry("a", 5, A, False, (Part(B, 7, 5),), B)])
    assert plain.digest == packed.digest
    assert plain.objects == {A}
    assert packed.objects == {B}


def test_an_empty_file_needs_no_object() -> None:
    assert settled("file", [Entry("a", 0, hashlib.sha256(b"").hexdigest())]).objects == set()


names = st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="/\\"), min_size=1
)


@given(st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=6))
def test_what_is_kept_comes_back(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str]
) -> None:
    objects = open_objects(str(tmp_path_factory.getbasetemp() / "objects"))
    try:
        held = settled("folder", [Entry(path, 1, A, len(path) % 2 == 0) for path in paths])
    except BadInputError:  # a file and a folder at once, or a name of dots
        return
    assert manifest.read(manifest.write(held, objects), objects) == held


@given(st.lists(st.lists(st.sampled_from(["a", "a!", "a.b", "b"]), min_size=1).map("/".join)))
def test_paths_in_order_lie_in_one_folder_or_are_refused(paths: list[str]) -> None:
    in_order = all(one < other for one, other in itertools.pairwise(paths))
    clash = any(other.startswith(f"{one}/") for one in paths for other in paths)
    entries = [Entry(path, 1, A) for path in paths]
    if in_order and not clash:
        assert list(manifest.checked(entries)) == entries
    else:
        with pytest.raises(BadInputError):
            list(manifest.checked(entries))


def test_what_is_kept_as_it_comes_says_what_it_holds(objects: Objects) -> None:
    many = [Entry(f"{n:06}", n, A) for n in range(3 * LEAF)]
    held = settled("folder", many)
    told = manifest.stream("folder", iter(many), objects)
    assert (told.digest, told.files, told.size) == (held.digest, len(many), held.size)
    assert told.manifest == manifest.write(held, objects)
    opened = manifest.Opened(told.manifest, objects)
    assert (opened.kind, opened.count, list(opened.entries)) == ("folder", len(many), many)
    assert manifest.stream("file", [many[1]], objects).digest == A
    with pytest.raises(BadInputError, match="one file, found 2"):
        manifest.stream("file", many[:2], objects)


def test_one_new_file_writes_one_leaf_anew(objects: Objects) -> None:
    many = [Entry(f"f/{n:06}", 1, A) for n in range(5 * LEAF)]
    before = manifest.write(settled("folder", many), objects)
    after = manifest.write(settled("folder", [*many, Entry("f/004000x", 1, B)]), objects)
    was, now = set(manifest.leaves(before, objects)), set(manifest.leaves(after, objects))
    assert len(was) > 2
    assert len(now - was) == 1
    assert len(manifest.read(after, objects).entries) == 5 * LEAF + 1


@pytest.mark.parametrize(
    "path", ["/a", "../a", "a/../b", "a//b", ".", "", "a\\b", "a\nb", "\udcff", "a/"]
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(BadInputError, match="path"):
        settled("folder", [Entry(path, 1, A)])


@given(st.text(st.sampled_from("a./\\\n\x7f\ud800ü "), max_size=9))
def test_a_path_is_plain_or_refused(path: str) -> None:
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") for part in parts) and not set(path) & set(
        "\\\n\ud800"
    )
    if plain:
        assert manifest.check_path(path) == path
    else:
        with pytest.raises(BadInputError):
            manifest.check_path(path)


def test_a_manifest_from_elsewhere_leads_nowhere_either(objects: Objects) -> None:
    leaf = objects.put(msgspec.json.encode([Entry("../../etc/passwd", 1, A)]))
    top = {"format": 1, "kind": "folder", "leaves": [{"object": leaf, "count": 1}]}
    with pytest.raises(DamagedError, match="leads outside"):
        manifest.read(objects.put(msgspec.json.encode(top)), objects)
    with pytest.raises(DamagedError, match="no manifest"):
        manifest.read(objects.put(b"[]"), objects)


def test_a_file_cannot_be_a_folder_too_or_stand_there_twice() -> None:
    with pytest.raises(BadInputError, match="'a' is a file and a folder"):
        settled("folder", [Entry("a", 1, A), Entry("a/b/c", 1, A)])
    with pytest.raises(BadInputError, match="twice"):
        settled("folder", [Entry("a", 1, A), Entry("a", 1, B)])
    with pytest.raises(BadInputError, match="one file, found 2"):
        settled("table", [Entry("a", 1, A), Entry("b", 1, B)])

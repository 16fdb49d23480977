"""Adding keeps each byte once, and nothing at all of what cannot be kept whole."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_data import Opener, bytes_of, kept, settle

from mainspring.ground.errors import BadInputError, StoreError
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines.data import fetching, manifest, pointers, versions
from mainspring.workspace.data import adding, getting
from mainspring.workspace.opening import Workspace, open_workspace


def test_a_folder_comes_back_byte_for_byte(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    version = adding.add(ws, folder, message="May is in")
    assert (version.reference, version.kind, version.files) == ("flights@1", "folder", 23)
    got = getting.get(ws, "flights", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)
    assert (got.written, got.kept) == (23, 0)


def test_small_files_share_an_object_and_equal_ones_their_bytes(
    ws: Workspace, tmp_path: Path
) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for number in range(300):
        (place / f"{number}").write_bytes(os.urandom(1000))
        (place / f"{number}-again").write_bytes((place / f"{number}").read_bytes())
    added = adding.added(ws, place)
    assert added.stored == 300_000
    held = manifest.read(added.version.manifest or "", ws.objects)
    assert len(held.objects) == 1
    shutil.copytree(place, tmp_path / "copy")
    assert adding.added(ws, tmp_path / "copy", name="other").stored == 0


def test_what_was_not_touched_is_not_read(ws: Workspace, folder: Path) -> None:
    settle(folder)
    adding.add(ws, folder)
    again = adding.added(ws, folder)
    assert (again.read, again.stored, again.new, again.version.number) == (0, 0, False, 1)
    (folder / "run.sh").chmod(0o644)
    changed = adding.added(ws, folder)
    assert (changed.read, changed.stored, changed.new) == (1, 0, True)


@pytest.mark.parametrize("gone", [8, 0], ids=["changed", "inserted"])
def test_eight_bytes_in_a_large_file_cost_a_chunk(
    ws: Workspace, tmp_path: Path, large: bytes, gone: int
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(large)
    first = adding.added(ws, file)
    assert first.stored == len(large)
    changed = large[: 4 << 20] + b"8 bytes!" + large[(4 << 20) + gone :]
    file.write_bytes(changed)
    before = kept(ws)
    second = adding.added(ws, file)
    assert second.version.number == 2
    assert kept(ws) - before <= 5_000_000
    for number, data in ((1, large), (2, changed)):
        out = tmp_path / f"out{number}"
        getting.get(ws, f"large@{number}", out)
        assert out.read_bytes() == data


def test_a_large_file_that_was_renamed_or_grew_is_known_again(
    ws: Workspace, tmp_path: Path, large: bytes
) -> None:
    (tmp_path / "a.bin").write_bytes(large)
    adding.add(ws, tmp_path / "a.bin", name="one")
    (tmp_path / "b.bin").write_bytes(large + os.urandom(1000))
    added = adding.added(ws, tmp_path / "b.bin", name="two")
    assert added.stored <= 5 << 20


edits = st.lists(
    st.tuples(st.integers(0, 6 << 20), st.binary(max_size=40), st.integers(0, 3 << 20)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=3)
@given(edits)
def test_any_edits_come_back(
    tmp_path_factory: pytest.TempPathFactory, large: bytes, edits: list
) -> None:
    place = tmp_path_factory.mktemp("edits")
    ws = open_workspace(Settings(root=str(place), home=str(place / "home"), capture=False))
    try:
        data = large[: 6 << 20]
        for number, (at, new, gone) in enumerate([(0, b"", 0), *edits], 1):
            data = data[:at] + new + data[at + gone :] + new
            (place / "data.bin").write_bytes(data)
            version = adding.add(ws, place / "data.bin")
            [entry] = manifest.read(version.manifest or "", ws.objects).entries
            assert fetching.read(entry, ws.objects) == data
            assert version.number <= number
    finally:
        ws.close()


def test_an_object_that_is_gone_is_kept_again(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    version = adding.add(ws, folder)
    for digest in manifest.read(version.manifest or "", ws.objects).objects:
        assert ws.objects.delete(digest, 1e12)
    (folder / "new").write_text("new")
    adding.add(ws, folder)
    getting.get(ws, "flights", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)


def test_what_cannot_be_kept_adds_nothing(ws: Workspace, folder: Path) -> None:
    (folder / "sub" / "link").symlink_to("00.csv")
    with pytest.raises(BadInputError, match="sub/link is a symbolic link") as caught:
        adding.add(ws, folder)
    assert caught.value.field == "path"
    assert ws.read(Permission.READ, versions.names) == []
    with pytest.raises(BadInputError, match="There is no file or folder"):
        adding.add(ws, folder / "nowhere")
    with pytest.raises(BadInputError, match="is a folder, and a table is one file"):
        adding.add(ws, folder / "sub" / "deep", kind="table")


def test_a_file_that_cannot_be_read_is_named(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def open_(path, *more, **named):
        if str(path).endswith("07.csv"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *more, **named)

    monkeypatch.setattr(os, "open", open_)
    with pytest.raises(BadInputError, match=r"sub/07\.csv cannot be read: Permission denied"):
        adding.add(ws, folder)


def test_a_full_disk_is_told_and_nothing_is_half_added(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mainspring.backends.objects.local.write_all", full)
        with pytest.raises(StoreError, match="no room left"):
            adding.add(ws, folder)
    assert ws.read(Permission.READ, versions.names) == []
    with monkeypatch.context() as patch:
        patch.setattr("mainspring.pipelines.data.stats._write", full)
        version = adding.add(ws, folder)  # room for the data, none for the memory of it
    assert version.number == 1
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkstemp", full)
        with pytest.raises(StoreError, match=r"flights\.mainspring cannot be written"):
            pointers.write(folder, version)
        with pytest.raises(StoreError, match=r"(?i)no (space|room) left"):
            getting.get(ws, "flights", folder.parent / "out")
    getting.get(ws, "flights", folder.parent / "out")  # there is room again
    assert bytes_of(folder.parent / "out") == bytes_of(folder)


def test_a_disk_that_cannot_be_read_is_told(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_source: object, size: int = 0) -> Iterator[memoryview]:
        yield memoryview(b"a part")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("mainspring.pipelines.data.large.blocks", broken)
    with pytest.raises(StoreError, match="Input/output error"):
        adding.add(ws, folder)
    assert ws.read(Permission.READ, versions.names) == []


def test_two_who_add_at_once_both_get_what_they_added(
    ws: Workspace, folder: Path, tmp_path: Path
) -> None:
    others = []
    for number in range(3):
        other = tmp_path / f"other{number}"
        shutil.copytree(folder, other)
        (other / "mine").write_text(str(number))
        others.append(other)
    made: dict[int, int] = {}

    def go(number: int) -> None:
        made[number] = adding.add(ws, others[number], name="flights").number

    threads = [threading.Thread(target=go, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made.values()) == [1, 2, 3]
    for number, version in made.items():
        getting.get(ws, f"flights@{version}", tmp_path / f"out{number}")
        assert bytes_of(tmp_path / f"out{number}") == bytes_of(others[number])


def test_homes_on_postgresql_and_s3_keep_data_too(
    homes: Opener, folder: Path, tmp_path: Path, new_database, s3
) -> None:
    ws = homes(database=new_database(), objects=s3)
    adding.add(ws, folder)
    (folder / "large.bin").write_bytes((folder / "large.bin").read_bytes() + b"more")
    assert adding.added(ws, folder).stored < 5 << 20
    getting.get(ws, "flights@2", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)

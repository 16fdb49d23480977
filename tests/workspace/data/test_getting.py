"""Bringing a version touches nothing that a person changed, and links spoil nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from kept_data import Opener, bytes_of, settle

from mainspring.ground.errors import BadInputError, ConflictError, DamagedError
from mainspring.pipelines.data import manifest, pointers
from mainspring.workspace.data import adding, getting, looking
from mainspring.workspace.opening import Workspace


def state(ws: Workspace, place: Path) -> str:
    return looking.status(ws.home, place, looking.in_home(lambda: ws)).state


@pytest.fixture
def two(ws: Workspace, folder: Path) -> list[dict]:
    """Two versions of a folder: one file changed, one went, one came."""
    adding.add(ws, folder)
    first = bytes_of(folder)
    (folder / "run.sh").write_text("exit 1\n")
    (folder / "sub" / "05.csv").unlink()
    (folder / "new").write_text("new")
    adding.add(ws, folder)
    return [first, bytes_of(folder)]


def test_versions_replace_each_other_and_leave_what_is_your_own(
    ws: Workspace, two: list[dict], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    getting.get(ws, "flights@1", out)
    assert state(ws, out) == "clean"
    (out / "mine.txt").write_text("mine")
    got = getting.get(ws, "flights@2", out)
    assert (got.written, got.removed, got.extra) == (2, 1, 1)
    assert bytes_of(out) == {**two[1], "mine.txt": (b"mine", False)}
    back = getting.get(ws, "flights@1", out)
    assert (back.written, back.removed) == (2, 1)
    assert bytes_of(out) == {**two[0], "mine.txt": (b"mine", False)}


def test_what_was_changed_here_is_overwritten_only_by_force(
    ws: Workspace, two: list[dict], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    getting.get(ws, "flights@1", out)
    (out / "sub" / "03.csv").write_text("mine")
    before = bytes_of(out)
    with pytest.raises(ConflictError, match=r"sub/03\.csv in .* would be overwritten") as caught:
        getting.get(ws, "flights@2", out)
    assert "--force" in caught.value.hint
    assert bytes_of(out) == before
    getting.get(ws, "flights@2", out, force=True)
    assert bytes_of(out) == two[1]


def test_what_is_in_the_way_stays_whatever_is_asked(
    ws: Workspace, two: list[dict], tmp_path: Path
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (out / "new").mkdir(parents=True)
    with pytest.raises(ConflictError, match="new in"):
        getting.get(ws, "flights@2", out, force=True)
    (out / "new").rmdir()
    (out / "sub").symlink_to(outside)
    with pytest.raises(ConflictError, match="sub in"):
        getting.get(ws, "flights@2", out, force=True)
    assert list(outside.iterdir()) == []


def test_a_file_may_become_a_folder_and_a_folder_a_file(
    ws: Workspace, tmp_path: Path, large: bytes
) -> None:
    place, out = tmp_path / "place", tmp_path / "out"
    (place / "b" / "c").mkdir(parents=True)
    (place / "a").write_text("a")
    (place / "b" / "c" / "d").write_bytes(large[:100])
    adding.add(ws, place)
    (place / "a").unlink()
    (place / "b" / "c" / "d").unlink()
    (place / "b" / "c").rmdir()
    (place / "b").rmdir()
    (place / "a").mkdir()
    (place / "a" / "x").write_text("x")
    (place / "b").write_text("b")
    adding.add(ws, place)
    for number in (1, 2, 1):
        getting.get(ws, f"place@{number}", out)
        assert len(bytes_of(out)) == 2
        assert looking.status(ws.home, out, lambda: ws).state == "clean"
    (out / "b" / "mine").write_text("mine")
    before = bytes_of(out)
    with pytest.raises(ConflictError, match="b in"):
        getting.get(ws, "place@2", out)
    assert bytes_of(out) == before


def test_no_link_leads_a_version_out_of_its_place(ws: Workspace, tmp_path: Path) -> None:
    place, out, outside = tmp_path / "place", tmp_path / "out", tmp_path / "outside"
    (place / "a" / "b").mkdir(parents=True)
    (place / "a" / "b" / "c").write_text("c")
    adding.add(ws, place)
    (outside / "b").mkdir(parents=True)
    out.mkdir()
    (out / "a").symlink_to(outside)
    with pytest.raises(ConflictError, match=r"a in .* would be overwritten"):
        getting.get(ws, "place", out, force=True)
    assert list((outside / "b").iterdir()) == []


@pytest.mark.parametrize("link", getting.LINKS)
def test_however_it_is_linked_it_is_the_same_and_spoils_nothing(
    ws: Workspace, folder: Path, tmp_path: Path, link: str
) -> None:
    adding.add(ws, folder)
    out = tmp_path / "out"
    getting.get(ws, "flights", out, link=link)
    assert bytes_of(out) == bytes_of(folder)
    assert state(ws, out) == "clean"
    file = out / "sub" / "07.csv"
    if link in ("hardlink", "symlink"):
        file.chmod(0o600)  # somebody insists
        assert file.is_symlink() == (link == "symlink")
    file.write_text("changed through the link")
    assert state(ws, out) == "changed"
    getting.get(ws, "flights", tmp_path / "other", link=link)  # the store gives what it kept
    assert bytes_of(tmp_path / "other") == bytes_of(folder)


def test_a_file_goes_where_one_says(ws: Workspace, folder: Path, tmp_path: Path, monkeypatch):
    adding.add(ws, folder / "run.sh", name="script")
    monkeypatch.chdir(tmp_path)
    getting.get(ws, "script")
    getting.get(ws, "script", tmp_path / "other.sh")
    (tmp_path / "into").mkdir()
    getting.get(ws, "script", tmp_path / "into")
    for file in ("run.sh", "other.sh", "into/run.sh"):
        assert (tmp_path / file).read_text() == "#!/bin/sh\n"
        assert (tmp_path / file).stat().st_mode & 0o100
        assert state(ws, tmp_path / file) == "clean"
    adding.add(ws, folder, name="many")
    with pytest.raises(ConflictError, match="is a file already"):
        getting.get(ws, "many", tmp_path / "run.sh")


def test_damaged_bytes_are_not_written(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    version = adding.add(ws, folder)
    held = manifest.read(version.manifest or "", ws.objects)
    entry = next(one for one in held.entries if one.path == "sub/07.csv")
    [part] = entry.parts
    file = ws.home / "objects" / part.object[:2] / part.object[2:]
    data = bytearray(file.read_bytes())
    data[part.offset] ^= 1
    file.chmod(0o600)
    file.write_bytes(bytes(data))
    with pytest.raises(DamagedError, match=r"sub/07\.csv is damaged"):
        getting.get(ws, "flights", tmp_path / "out")
    assert not (tmp_path / "out" / "sub" / "07.csv").exists()


def test_pointers_bring_what_a_clone_lacks(
    ws: Workspace, folder: Path, tmp_path: Path, homes: Opener
) -> None:
    version = adding.add(ws, folder)
    clone = tmp_path / "clone" / "data"
    clone.mkdir(parents=True)
    pointers.write(clone / "flights", version)
    missing = looking.status(ws.home, clone / "flights", looking.in_home(lambda: ws))
    assert (missing.state, missing.name, missing.number) == ("missing", "flights", 1)
    [got] = getting.by_pointers(tmp_path / "clone", partial(getting.get, ws))
    assert bytes_of(clone / "flights") == bytes_of(folder)
    assert (got.version.number, state(ws, clone / "flights")) == (1, "clean")
    with pytest.raises(BadInputError, match="There is no pointer below"):
        getting.by_pointers(folder, partial(getting.get, ws))


def test_status_names_every_difference(ws: Workspace, folder: Path) -> None:
    assert state(ws, folder) == "untracked"
    adding.add(ws, folder)
    (folder / "run.sh").chmod(0o644)
    (folder / "sub" / "03.csv").write_text("x")
    (folder / "sub" / "04.csv").unlink()
    (folder / "new").write_text("x")
    (folder / "link").symlink_to("new")
    told = looking.status(ws.home, folder, looking.in_home(lambda: ws))
    assert (told.state, told.added, told.removed) == ("changed", ["new"], ["sub/04.csv"])
    assert told.changed == ["run.sh", "sub/03.csv"]
    assert told.refused == ["link is a symbolic link: put the file itself there"]


def test_a_clean_place_needs_no_database(ws: Workspace, folder: Path) -> None:
    settle(folder)
    adding.add(ws, folder)

    def refuse() -> Workspace:
        raise AssertionError

    told = looking.status(ws.home, folder, refuse)
    assert (told.state, told.read) == ("clean", 0)

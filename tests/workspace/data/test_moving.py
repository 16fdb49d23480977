"""Versions move to folders, buckets and homes: what lacks, and by content, not by number."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_data import Opener, bytes_of

from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import manifest, versions
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.archive.writing import export
from mainspring.workspace.data import adding, getting, moving
from mainspring.workspace.opening import Workspace


@pytest.fixture(params=["folder", "bucket", "home"])
def remote(request, tmp_path: Path, homes: Opener) -> str:
    if request.param == "folder":
        return str(tmp_path / "remote")
    if request.param == "bucket":
        return request.getfixturevalue("s3")
    homes("theirs/.mainspring")
    return str(tmp_path / "theirs")


def test_what_is_pushed_can_be_pulled(
    ws: Workspace, homes: Opener, folder: Path, tmp_path: Path, remote: str
) -> None:
    adding.add(ws, folder, message="first")
    [sent] = moving.push(ws, remote)
    assert (sent.number, sent.objects > 0) == (1, True)
    (folder / "new").write_text("new")
    adding.add(ws, folder)
    again = moving.push(ws, remote, ["flights"])
    assert again[0].objects == 0
    assert again[1].bytes < 100_000  # the new file and the new manifest
    other = homes("other")
    adding.add(other, folder / "run.sh", name="flights")  # their number 1 is something else
    pulled = moving.pull(other, remote, ["flights"])
    assert [(one.number, one.there) for one in pulled] == [(2, 1), (3, 2)]
    assert [one.number for one in moving.pull(other, remote)] == [2, 3]  # once
    getting.get(other, "flights@3", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)
    log = other.read(Permission.READ, lambda tx: versions.every(tx, "flights"))
    assert [one.message for one in log] == ["", "first", ""]


def test_one_version_is_named(ws: Workspace, homes: Opener, folder: Path, tmp_path: Path) -> None:
    first = adding.add(ws, folder)
    (folder / "new").write_text("new")
    adding.add(ws, folder)
    remote = str(tmp_path / "remote")
    moving.push(ws, remote)
    for name, text, number in (
        ("a", "flights@1", 1),
        ("b", f"flights@{first.digest[:9]}", 1),
        ("c", "flights@latest", 2),
    ):
        [moved] = moving.pull(homes(name), remote, [text])
        assert moved.there == number
    with pytest.raises(NotFoundError, match="'flights@7' there"):
        moving.push(ws, remote, ["flights@7"])
    with pytest.raises(BadInputError, match="There is no folder"):
        moving.pull(ws, str(tmp_path / "nowhere"))
    with pytest.raises(BadInputError, match="A remote is"):
        moving.push(ws, "ftp://example.org/x")


def test_what_is_damaged_there_is_not_pulled(
    ws: Workspace, homes: Opener, folder: Path, tmp_path: Path
) -> None:
    version = adding.add(ws, folder)
    remote = tmp_path / "remote"
    moving.push(ws, str(remote))
    digest = next(iter(manifest.read(version.manifest or "", ws.objects).objects))
    file = remote / digest[:2] / digest[2:]
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(bytes(data))
    other = homes("other")
    with pytest.raises(DamagedError):
        moving.pull(other, str(remote))
    assert other.read(Permission.READ, versions.names) == []


def test_an_archive_takes_data_along(
    ws: Workspace, homes: Opener, folder: Path, tmp_path: Path
) -> None:
    adding.add(ws, folder)
    export(ws, tmp_path / "all.msar")
    other = homes("other")
    take_in(other, tmp_path / "all.msar")
    getting.get(other, "flights@1", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)

"""What a real DVC keeps becomes versions: by today, by history, from cache and remotes."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from mainspring.backends.objects.s3 import open_bucket
from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.ground.unpacking import unpack
from mainspring.pipelines.data import fetching, manifest, versions
from mainspring.testing.s3 import S3Server
from mainspring.workspace.from_dvc import bringing, places, pointers
from mainspring.workspace.opening import Workspace, open_workspace

KEPT = Path(__file__).with_name("repository.tar.xz")
OLD, NEW = b"day,late\n1,0.5\n2,1.5\n", b"day,late\n1,0.5\n2,1.5\n3,2.5\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    with tarfile.open(KEPT) as held:
        unpack(held, tmp_path)
    return tmp_path / "repository"


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    given = Settings(root=str(tmp_path), home=str(tmp_path / "home"))
    with contextlib.closing(open_workspace(given)) as found:
        yield found


def files(ws: Workspace, reference: str) -> dict[str, bytes]:
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, reference))
    held = manifest.read(version.manifest or "", ws.objects)
    return {one.path: fetching.read(one, ws.objects) for one in held.entries}


IMAGES = {"a.txt": b"one", "copy.txt": b"one", "deep/b.txt": b"two"}


def test_what_is_kept_today_is_brought_from_the_cache_or_the_remote(
    ws: Workspace, repository: Path
) -> None:
    found = bringing.bring(ws, repository)
    assert [(one.path, one.version) for one in found.brought] == [
        ("images", "images@1"),
        ("out", "out@1"),
        ("rows.csv", "rows@1"),
    ]
    assert files(ws, "rows@1") == {"rows.csv": NEW}
    assert files(ws, "images@1") == IMAGES
    assert files(ws, "out@1") == {"days.txt": b"day\n1\n2\n3\n"}
    shutil.rmtree(repository / ".dvc" / "cache")
    assert [one.new for one in bringing.bring(ws, repository).brought] == [False] * 3
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, "images@1"))
    assert version.meta["dvc"]["told_in"] == "images.dvc"


def test_history_makes_a_version_of_each_commit(ws: Workspace, repository: Path) -> None:
    found = bringing.bring(ws, repository / "nowhere" / "..", history=True)
    assert found.missing == []
    rows = [one for one in found.brought if one.path == "rows.csv"]
    assert [one.version for one in rows] == ["rows@1", "rows@2"]
    assert (files(ws, "rows@1"), files(ws, "rows@2")) == ({"rows.csv": OLD}, {"rows.csv": NEW})
    every = ws.read(Permission.READ, lambda tx: versions.every(tx, "rows"))
    assert [one.message for one in every] == ["A third row, and the days of all", "The first rows"]
    assert every[0].meta["dvc"]["commit"] == rows[1].commit
    assert len([one for one in found.brought if one.path == "images"]) == 1, "it did not change"
    again = bringing.bring(ws, repository, history=True, only="images")
    assert [one.new for one in again.brought] == [False]


def test_what_is_nowhere_is_told_and_of_history_the_rest_is_brought(
    ws: Workspace, repository: Path
) -> None:
    md5 = hashlib.md5(OLD).hexdigest()
    for place in (repository / ".dvc" / "cache", repository.parent / "remote"):
        (place / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    found = bringing.bring(ws, repository, history=True)
    assert [(one.path, one.md5) for one in found.missing] == [("rows.csv", md5)]
    with pytest.raises(NotFoundError, match="are not in"):
        bringing.bring(ws, repository, remote=str(repository))
    assert files(ws, "rows@1") == {"rows.csv": NEW}


def test_bytes_of_another_md5_are_refused(ws: Workspace, repository: Path) -> None:
    md5 = hashlib.md5(NEW).hexdigest()
    file = repository / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    file.chmod(0o644)
    file.write_bytes(b"something else")
    with pytest.raises(DamagedError, match="does not have its md5"):
        bringing.bring(ws, repository, only="rows.csv")
    remote = str(repository.parent / "remote")
    assert bringing.bring(ws, repository, only="rows.csv", remote=remote).brought[0].new
    assert not bringing.bring(ws, repository, only="rows.csv", remote="store").brought[0].new


def old(place: Path, name: str, data: bytes, kept: bytes | None = None) -> None:
    """Keep a file as DVC 2 did: no word of the hash, and its own layout."""
    md5 = hashlib.md5(data if kept is None else kept).hexdigest()
    (place / f"{name}.dvc").write_text(f"outs:\n- md5: {md5}\n  path: {name}\n")
    file = place / ".dvc" / "cache" / md5[:2] / md5[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


@pytest.mark.parametrize("piece", [1, 2, 3, 1 << 20])
def test_what_dvc_2_kept_is_read_with_its_md5_of_text(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(places, "_PIECE", piece)
    place = tmp_path / "old"
    (place / ".dvc").mkdir(parents=True)
    text = b"a\r\nb\r\r\n\rc\r"
    old(place, "windows.txt", text, text.replace(b"\r\n", b"\n"))
    old(place, "plain.bin", b"\x00\r\n")
    found = bringing.bring(ws, place)
    assert [one.version for one in found.brought] == ["plain@1", "windows@1"]
    assert files(ws, "windows@1") == {"windows.txt": text}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("outs:\n- md5: nothing\n  path: x\n", "which is none"),
        ("outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: ../../x\n", "leads outside"),
        ("outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  path: /etc/x\n", "leads outside"),
        ("outs: 3\n", "no list"),
        ("[1, 2]", "not as DVC writes it"),
        ("a: [", "is no YAML"),
        ("outs: []\n", "Nothing there is kept by DVC"),
    ],
)
def test_a_pointer_that_is_none_is_named(
    ws: Workspace, tmp_path: Path, told: str, why: str
) -> None:
    place = tmp_path / "bad"
    (place / ".dvc").mkdir(parents=True)
    (place / "x.dvc").write_text(told)
    with pytest.raises(BadInputError, match=why):
        bringing.bring(ws, place)


def test_a_list_that_leads_outside_is_refused(ws: Workspace, tmp_path: Path) -> None:
    place = tmp_path / "bad"
    cache = place / ".dvc" / "cache" / "files" / "md5"
    listed = b'[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "../../out"}]'
    md5 = hashlib.md5(listed).hexdigest()
    (cache / md5[:2]).mkdir(parents=True)
    (cache / md5[:2] / f"{md5[2:]}.dir").write_bytes(listed)
    (place / "x.dvc").write_text(f"outs:\n- md5: {md5}.dir\n  path: x\n  hash: md5\n")
    with pytest.raises(BadInputError, match="leads outside"):
        bringing.bring(ws, place)


def test_a_stage_in_a_folder_of_its_own_is_found_there(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "dvc.yaml").write_text("stages:\n  a:\n    cmd: x\n    wdir: in\n")
    (tmp_path / "sub" / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  a:\n    outs:\n"
        "    - {path: o.txt, hash: md5, md5: d41d8cd98f00b204e9800998ecf8427e}\n"
        "    - {path: s3://far/away, etag: x}\n"
    )
    [found] = pointers.outs(pointers.Working(tmp_path))
    assert (found.path, found.legacy) == ("sub/in/o.txt", False)
    with pytest.raises(NotFoundError, match="no repository of DVC"):
        pointers.root_of(tmp_path.parent)


def test_what_dvc_leaves_to_git_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: x\n    outs: [o.txt]\n"
        "    metrics:\n    - eval/m.json:\n        cache: false\n    plots: [p.csv]\n"
    )
    empty = "hash: md5, md5: d41d8cd98f00b204e9800998ecf8427e"
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  a:\n    outs:\n"
        f"    - {{path: eval/m.json, {empty}}}\n    - {{path: o.txt, {empty}}}\n"
        f"    - {{path: p.csv, {empty}}}\n"
    )
    found = pointers.outs(pointers.Working(tmp_path))
    assert [one.path for one in found] == ["o.txt", "p.csv"]


def test_a_remote_in_a_bucket_is_read(ws: Workspace, repository: Path) -> None:
    with S3Server() as server:
        url = server.bucket("dvc-store")
        _, store = open_bucket(url)
        remote = repository.parent / "remote"
        for file in remote.rglob("*"):
            if file.is_file():
                obstore.put(store, file.relative_to(remote).as_posix(), file.read_bytes())
        found = bringing.bring(ws, repository, remote=url)
        assert len(found.brought) == 3
        with pytest.raises(NotFoundError, match="are not in s3://"):
            places.write("0" * 32, False, places.places(repository, url), Path("/nonexistent"))
    assert files(ws, "images@1") == IMAGES

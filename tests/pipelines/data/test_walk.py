"""What lies in a folder is found, and what cannot be kept is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.data.walk import refuse, walk


def test_everything_that_cannot_be_kept_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a b ü.csv").write_text("1")
    (tmp_path / "link").symlink_to("good")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        Path(os.fsdecode(b"caf\xe9")).write_text("1")
        Path("a\nb").write_text("1")
        Path("back\\slash").write_text("1")
        files, refused = walk(tmp_path)
    assert [file.path for file in files] == ["good/a b ü.csv"]
    assert {one.path: one.why.partition(":")[0] for one in refused} == {
        "link": "is a symbolic link",
        "pipe": "is a pipe",
        "socket": "is a socket",
        "caf\udce9": "has a name that is not UTF-8, or not plain",
        "a\nb": "has a name that is not UTF-8, or not plain",
        "back\\slash": "has a name that is not UTF-8, or not plain",
    }
    with pytest.raises(BadInputError, match=r"pipe is a pipe.*and 1 more") as caught:
        refuse(refused)
    str(caught.value).encode()  # it can be printed


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "shut").mkdir()
    real = os.scandir

    def scandir(path: str):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert walk(tmp_path)[1] == [("shut", "cannot be read: Permission denied")]


def test_links_of_our_own_making_are_followed_and_folders_apart_are_not(tmp_path: Path) -> None:
    ours, home = tmp_path / "ours", tmp_path / "data" / ".mainspring"
    ours.mkdir()
    home.mkdir(parents=True)
    (ours / "a").write_bytes(b"12345")
    (home / "secret").write_text("x")
    (tmp_path / "data" / "a").symlink_to(ours / "a")
    (tmp_path / "data" / ".mainspring-part-x").write_text("of one that was killed")
    files, refused = walk(tmp_path / "data", apart=[home], ours=ours)
    assert [(file.path, file.size) for file in files] == [("a", 5)]
    assert refused == []

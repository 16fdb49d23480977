"""An archive is unpacked within its place, and nothing of it leads anywhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from mainspring.ground.errors import DamagedError
from mainspring.ground.unpacking import unpack


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    held.seek(0)
    return tarfile.open(fileobj=held)


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o755 if name == "run" else 0o600
    return info


def test_files_and_folders_are_written_and_who_may_run_is_kept(tmp_path: Path) -> None:
    folder = named("deep", tarfile.DIRTYPE)
    with archive((folder, b""), (named("deep/er/a"), b"one"), (named("run"), b"#!")) as tar:
        unpack(tar, tmp_path)

    assert (tmp_path / "deep" / "er" / "a").read_bytes() == b"one"
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "deep" / "er" / "a").stat().st_mode & 0o111 == 0


@pytest.mark.parametrize(
    "member",
    [
        named("../out"),
        named("a/../../out"),
        named("/out"),
        named("link", tarfile.SYMTYPE, "/etc/passwd"),
        named("hard", tarfile.LNKTYPE, "../out"),
        named("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: member.name,
)
def test_what_leads_out_of_the_place_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with archive((member, b"")) as tar, pytest.raises(DamagedError):
        unpack(tar, inside)

    assert list(inside.iterdir()) == []
    assert not (tmp_path / "out").exists()

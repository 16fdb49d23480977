"""What 0.6 kept is read, brought back and added to: a file of it lies here as it was pushed."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path

from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import manifest, stats, versions
from mainspring.workspace.data import adding, getting, moving
from mainspring.workspace.opening import Workspace

KEPT = Path(__file__).parent / "kept" / "by-0.6.tar.xz"
DIGESTS = {
    1: "ef818c585739fc99abc185fcad37ffbfc0d049f1bfdbe6973226c1c0b7a0822f",
    2: "99b5f6ade3f33f5db18abb5ee2d45a6aec889d65d798f346a8f358e75719d70c",
}


def test_versions_of_0_6_are_read_brought_back_and_added_to(ws: Workspace, tmp_path: Path) -> None:
    with tarfile.open(KEPT) as packed:
        packed.extractall(tmp_path / "old")
    moving.pull(ws, str(tmp_path / "old" / "remote"))
    first = random.Random(1).randbytes(40_000) * 150
    second = first[:3_000_000] + b"8 bytes!" + first[3_000_008:]
    for number, large in ((1, first), (2, second)):
        digest = DIGESTS[number]
        getting.get(ws, f"flights@{digest}", tmp_path / f"out{number}")
        assert (tmp_path / f"out{number}" / "large.bin").read_bytes() == large
        assert (tmp_path / f"out{number}" / "run.sh").stat().st_mode & 0o100
    out = tmp_path / "out2"
    last = ws.read(Permission.READ, lambda tx: versions.newest(tx, "flights"))
    assert last is not None
    assert adding.add(ws, out, name="flights").reference == last.reference  # the same digest
    entries = {one.path: one for one in manifest.read(last.manifest or "", ws.objects).entries}
    assert entries["large.bin"].chunks  # as 0.6 kept it
    (out / "large.bin").write_bytes(second + b"behind")
    assert adding.added(ws, out, name="flights").stored <= 100
    getting.get(ws, "flights@latest", tmp_path / "out3")
    assert (tmp_path / "out3" / "large.bin").read_bytes() == second + b"behind"


def test_what_0_6_remembered_of_a_place_is_its_version_and_no_file(tmp_path: Path) -> None:
    with tarfile.open(KEPT) as packed:
        packed.extract("state", tmp_path)
    state = stats.of_file(tmp_path / "state")
    assert state is not None
    assert (state.name, state.number, state.digest) == ("flights", 2, DIGESTS[2])
    assert (state.content, state.folders) == ("", {})

"""kill -9 at each point of adding, bringing, pushing and collecting: done again, it is whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kept_data import Opener, bytes_of

from mainspring.ground.killpoints import ENVIRONMENT
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import versions
from mainspring.workspace.data import adding, getting, moving, trees
from mainspring.workspace.data.places import trees_folder
from mainspring.workspace.keeping import pruning
from mainspring.workspace.opening import Workspace

CODE = """
import sys
from pathlib import Path
from mainspring.ground.settings import Settings
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import versions
from mainspring.workspace.data import adding, getting, moving, trees
from mainspring.workspace.keeping import pruning
from mainspring.workspace.opening import open_workspace

root = Path(sys.argv[1])
ws = open_workspace(Settings(root=str(root), home=str(root / "home"), capture=False))
{work}
"""
WORK = {
    "add": "adding.add(ws, root / 'flights')",
    "get": "getting.get(ws, 'flights@1', root / 'out')",
    "push": "moving.push(ws, str(root / 'remote'))",
    "tree": "trees.tree(ws, ws.read(Permission.READ, lambda tx: versions.resolve(tx, 'flights')))",
    "gc": "pruning.prune(ws, young_s=-1e9)",
}


def killed(root: Path, what: str, at: str) -> None:
    """Do something in a process of its own that dies at a point."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(work=WORK[what]), str(root)],
        env={**os.environ, ENVIRONMENT: at},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(
    "at",
    [
        "data.packed:1",
        "data.manifest:1",
        *(
            pytest.param(at, marks=pytest.mark.soak)
            for at in ("data.pack:1", "data.stored:1", "data.stored:2", "data.added:1")
        ),
    ],
)
def test_adding(homes: Opener, folder: Path, tmp_path: Path, at: str) -> None:
    homes().close()
    killed(tmp_path, "add", at)
    ws = homes()
    there = ws.read(Permission.READ, versions.names)
    assert len(there) == (at == "data.added:1")
    assert adding.add(ws, folder).number == 1
    getting.get(ws, "flights", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)


def test_bringing(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    adding.add(ws, folder)
    out = tmp_path / "out"
    killed(tmp_path, "get", "data.fetched:9")
    assert bytes_of(out).items() <= bytes_of(folder).items()  # what is there is whole
    (out / ".mainspring-part-left").write_text("as of one that died while writing")
    got = getting.get(ws, "flights@1", out)
    assert got.kept >= 1
    assert bytes_of(out) == bytes_of(folder)


@pytest.mark.parametrize(
    "at", ["data.fetched:9", pytest.param("data.made:1", marks=pytest.mark.soak)]
)
def test_making_a_copy_that_runs_read(
    ws: Workspace, folder: Path, tmp_path: Path, at: str
) -> None:
    version = adding.add(ws, folder)
    killed(tmp_path, "tree", at)
    assert [one.name[:8] for one in trees_folder(ws.home).iterdir()] == [".making-"]
    tree = trees.tree(ws, version)  # no run sees a half
    assert bytes_of(tree) == bytes_of(folder)
    assert [one.name for one in trees_folder(ws.home).iterdir()] == [tree.name]


def test_bringing_another_version(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    adding.add(ws, folder)
    first = bytes_of(folder)
    for file in (folder / "sub").glob("*.csv"):
        file.write_text(f"other {file.name}")
    adding.add(ws, folder)
    getting.get(ws, "flights@2", tmp_path / "out")
    killed(tmp_path, "get", "data.fetched:9")
    getting.get(ws, "flights@1", tmp_path / "out")  # half of each is nobody's own work
    assert bytes_of(tmp_path / "out") == first


@pytest.mark.parametrize(
    "at", ["data.copied:1", pytest.param("data.moved:1", marks=pytest.mark.soak)]
)
def test_pushing(ws: Workspace, homes: Opener, folder: Path, tmp_path: Path, at: str) -> None:
    adding.add(ws, folder)
    killed(tmp_path, "push", at)
    other = homes("other")
    assert moving.pull(other, str(tmp_path / "remote")) == []  # no version that is not whole
    [moved] = moving.push(ws, str(tmp_path / "remote"))
    assert at != "data.moved:1" or moved.objects == 0  # nothing is sent twice
    moving.pull(other, str(tmp_path / "remote"))
    getting.get(other, "flights", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)


def test_collecting(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    adding.add(ws, folder)
    for file in sorted((folder / "sub").glob("*.csv"))[2:]:
        file.unlink()
    shutil.rmtree(folder / "sub" / "deep")
    adding.add(ws, folder)
    ws.write(Permission.LOG, lambda tx: versions.remove(tx, "flights", 1))
    killed(tmp_path, "gc", "data.repacked:1")
    getting.get(ws, "flights@2", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)
    pruning.prune(ws, young_s=-1e9)
    assert pruning.prune(ws, young_s=-1e9).objects == 0

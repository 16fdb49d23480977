"""Hundreds of thousands of small files: added, looked at, changed, read by a run and collected.

Each is done by a process of its own, which says how much memory it had at most.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kept_data import Opener, settle

from mainspring.workspace.data import getting, looking

pytestmark = pytest.mark.soak

COUNT = int(os.environ.get("MANY_FILES", "600000"))
LOOK = """
import resource, sys
from pathlib import Path
from mainspring.workspace.data import looking

def never(*_):
    raise AssertionError("nothing differs")

told = looking.status(Path(sys.argv[1]), Path(sys.argv[2]), never)
assert told.state == "clean", told
used = resource.getrusage(resource.RUSAGE_SELF)
[peak] = [one.split()[1] for one in open("/proc/self/status") if one.startswith("VmHWM")]
print(told.files, told.read, used.ru_utime + used.ru_stime, int(peak) // 1024)
"""
WORK = """
import sys
from pathlib import Path
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines.data import versions
from mainspring.workspace.data import adding, trees
from mainspring.workspace.keeping import pruning
from mainspring.workspace.opening import open_workspace

root = Path(sys.argv[1])
ws = open_workspace(Settings(root=str(root), home=str(root / "home"), capture=False))
{work}
ws.close()
[peak] = [one.split()[1] for one in open("/proc/self/status") if one.startswith("VmHWM")]
print(*told, int(peak) // 1024)
"""
ADD = "one = adding.added(ws, root / 'many'); told = (one.version.number, one.stored, one.read)"
GC = "told = (pruning.prune(ws, young_s=-1e9).objects,)"
TREE = """
version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, "many@2"))
told = (sum(1 for file in trees.tree(ws, version).rglob("*") if file.is_file()),)
"""


def done(root: Path, work: str) -> list[int]:
    """Do something in a process of its own; return what it told, and its memory in MB."""
    code = WORK.format(work=work)
    ended = subprocess.run(
        [sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True, check=True
    )
    return [int(word) for word in ended.stdout.split()]


def test_hundreds_of_thousands_of_files(homes: Opener, tmp_path: Path) -> None:
    place = tmp_path / "many"
    for number in range(COUNT):
        folder = place / f"{number // 1000:03}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}").write_bytes(b"%d " % number * 50)
    settle(place)
    number, _, read, peak_mb = done(tmp_path, ADD)
    assert (number, read) == (1, COUNT)
    assert peak_mb < 400  # 294 measured
    ended = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path / "home"), str(place)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    files, read_again, cpu_s, peak = ended.stdout.split()
    assert (int(files), int(read_again)) == (COUNT, 0)
    assert float(cpu_s) < 30  # 3 s on an idle machine
    assert int(peak) < 300  # 110 measured
    (place / "000" / "000007").write_bytes(b"changed")
    ws = homes()
    told = looking.status(ws.home, place, looking.in_home(lambda: ws))
    assert (told.changed, told.added, told.removed) == (["000/000007"], [], [])
    number, stored, _, peak_mb = done(tmp_path, ADD)
    assert (number, stored) == (2, 7)
    assert peak_mb < 400  # 150 measured
    gone, peak_mb = done(tmp_path, GC)
    assert gone == 0
    assert peak_mb < 400  # 144 measured
    count, peak_mb = done(tmp_path, TREE)
    assert count == COUNT
    assert peak_mb < 400  # 178 measured
    out = tmp_path / "out"
    assert getting.get(ws, "many@1", out).written == COUNT
    assert (out / "000" / "000007").read_bytes() == b"7 " * 50
    assert getting.get(ws, "many@2", out).written == 1

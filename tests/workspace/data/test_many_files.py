"""Hundreds of thousands of small files: added, looked at, changed and brought back."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from kept_data import Opener, settle

from mainspring.workspace.data import adding, getting, looking
from mainspring.workspace.keeping import pruning

pytestmark = pytest.mark.soak

COUNT = 600_000
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


def test_six_hundred_thousand_files(homes: Opener, tmp_path: Path) -> None:
    place = tmp_path / "many"
    for number in range(COUNT):
        folder = place / f"{number // 1000:03}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}").write_bytes(b"%d " % number * 50)
    settle(place)
    ws = homes()
    first = adding.added(ws, place)
    assert (first.version.files, first.read) == (COUNT, COUNT)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(ws.home), str(place)],
        capture_output=True,
        text=True,
        check=True,
    )
    files, read, cpu_s, peak_mb = done.stdout.split()
    assert (int(files), int(read)) == (COUNT, 0)
    assert float(cpu_s) < 30  # 3 s on an idle machine
    assert int(peak_mb) < 300  # 110 measured
    (place / "000" / "000007").write_bytes(b"changed")
    told = looking.status(ws.home, place, looking.in_home(lambda: ws))
    assert (told.changed, told.added, told.removed) == (["000/000007"], [], [])
    second = adding.added(ws, place)
    assert (second.version.number, second.stored) == (2, 7)
    out = tmp_path / "out"
    assert getting.get(ws, "many@1", out).written == COUNT
    assert (out / "000" / "000007").read_bytes() == b"7 " * 50
    assert getting.get(ws, "many@2", out).written == 1
    assert pruning.prune(ws, young_s=-1e9).objects == 0
    used_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert used_mb < 2_500, f"{used_mb:,.0f} MB, {os.getpid()}"

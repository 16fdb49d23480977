"""The kernel keeps calls to their limits where it may be asked to, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mainspring.backends.executors import groups
from mainspring.backends.executors.groups import Place
from mainspring.backends.executors.local import LocalExecutor
from mainspring.ground.errors import MemoryLimitError
from mainspring.ground.ports import Call
from mainspring.testing.executor import all_gone, pids_in, wait_for

MB = 1_000_000
FIRST = "35 30 0:31 {} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
FIRST += "36 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
SECOND = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def system(root: Path, mounts: str, own: str, files: dict[str, str]) -> Path:
    """Write what a system says of its groups into a folder."""
    told = {"proc/self/mountinfo": mounts, "proc/self/cgroup": own}
    told |= {f"sys/fs/cgroup/{path}": text for path, text in files.items()}
    for path, text in told.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root / "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("mounted", "inner"), [("/", "docker/box"), ("/docker", "box"), ("/docker/box", "")]
)
def test_of_version_1_groups_are_made_below_our_own(
    tmp_path: Path, mounted: str, inner: str
) -> None:
    told = {f"memory/{inner}/memory.use_hierarchy": "1\n"}
    own = "5:cpu,cpuacct:/a\n4:memory:/docker/box\n1:name=systemd:/\n0::/\n"
    there = system(tmp_path, FIRST.format(mounted), own, told)
    place, why = groups.looked(tmp_path)
    assert place == Place(1, there / "memory" / inner, there / "cpu,cpuacct/a"), why


def test_where_a_group_would_escape_the_limits_above_none_is_made(tmp_path: Path) -> None:
    told = {"memory/box/memory.use_hierarchy": "0\n"}
    system(tmp_path, FIRST.format("/"), "4:memory:/box\n", told)
    assert groups.looked(tmp_path) == (None, "limits of groups do not hold for those below them")


@pytest.mark.parametrize("handed", [True, False])
def test_of_version_2_groups_are_made_beside_ours_where_the_parent_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed: bool
) -> None:
    told = {
        "system.slice/ours.service/engine/cgroup.type": "domain\n",
        "system.slice/ours.service/cgroup.controllers": "cpuset cpu io memory pids\n",
        "system.slice/ours.service/cgroup.subtree_control": "cpu\n",
    }
    there = system(tmp_path, SECOND, "0::/system.slice/ours.service/engine\n", told)
    service = there / "system.slice/ours.service"

    def marked(path: Path, name: str) -> bytes:
        if handed and (path, name) == (service, "user.delegate"):
            return b"1"
        raise OSError(61, "No data available")

    monkeypatch.setattr(os, "getxattr", marked, raising=False)
    place, why = groups.looked(tmp_path)
    if handed:
        assert place == Place(2, service, service)
        assert (service / "cgroup.subtree_control").read_text() == "+memory"
    else:
        assert (place, "is not handed over" in why) == (None, True)


def test_of_version_2_the_root_may_have_processes_and_groups(tmp_path: Path) -> None:
    told = {"cgroup.controllers": "memory\n", "cgroup.subtree_control": "memory\n"}
    there = system(tmp_path, SECOND, "0::/\n", told)
    assert groups.looked(tmp_path) == (Place(2, there, None), "")
    (there / "cgroup.controllers").write_text("")  # they belong to version 1
    assert groups.looked(tmp_path)[1] == "the group above has no limits of memory to give"


def test_a_system_without_groups_says_so(tmp_path: Path) -> None:
    assert groups.looked(tmp_path) == (None, "this system has no control groups")
    system(tmp_path, "", "", {})
    assert groups.looked(tmp_path) == (None, "no control groups are to be seen here")


THEIRS = """
import os, subprocess, sys, time

def beside(_):
    # What takes the memory is a process that the call began; the call outlives it and fails.
    code = "held = bytearray(300_000_000); import time; time.sleep(600)"
    done = subprocess.run([sys.executable, "-c", code])
    raise RuntimeError(f"it ended with {done.returncode}")

def member(payload):
    with open(payload["file"], "w") as out:
        out.write(f"{os.getpid()}\\n")
    time.sleep(600)
"""


def names() -> set[str]:
    place = groups.found().place
    every = {place.memory, place.cpu or place.memory} if place else set()
    return {one.name for folder in every for one in folder.glob("mainspring-*")}


def test_a_call_whose_child_takes_too_much_is_ended_and_its_group_is_gone(tmp_path: Path) -> None:
    (tmp_path / "their_groups.py").write_text(THEIRS)
    executor = LocalExecutor(tmp_path / "run")
    try:
        wanted = Call(target="their_groups:beside", payload={}, path=[str(tmp_path)])
        outcome = executor.run(
            Call(
                **{f: getattr(wanted, f) for f in wanted.__struct_fields__}
                | {"memory": 200 * MB, "cpus": 1}
            )
        )
    finally:
        executor.close()
    assert outcome.code == MemoryLimitError.code, outcome
    assert outcome.error.endswith("MB of memory and was ended; its limit is 200 MB")
    assert f"-{os.getpid()}-" not in "".join(names())


def test_what_a_killed_owner_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "their_groups.py").write_text(THEIRS)
    script = (
        "from pathlib import Path\n"
        "from mainspring.backends.executors.local import LocalExecutor\n"
        "from mainspring.ground.ports import Call\n"
        f"here = {str(tmp_path)!r}\n"
        "member = Call(target='their_groups:member', payload={'file': here + '/pids'},\n"
        "              path=[here], memory=200_000_000)\n"
        "LocalExecutor(Path(here) / 'run').run(member)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    with subprocess.Popen([sys.executable, "-c", script], env=environ) as owner:
        pids = pids_in(tmp_path / "pids")
        mine = {name for name in names() if f"-{owner.pid}-" in name}
        assert bool(mine) == (groups.found().place is not None)
        assert not set(groups.sweep()) & mine, "its maker lives"
        os.kill(owner.pid, signal.SIGKILL)
    assert wait_for(lambda: all_gone(pids), 60)
    groups.sweep()  # as every executor does when it starts, another test's too
    assert not names() & mine

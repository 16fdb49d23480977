"""Steps that do what no step should: each ends with words, and the engine goes on."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mainspring.engine import tasks
from mainspring.ground.objects import Run, RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import runs as pipelines
from mainspring.workspace import engines, opening, running
from mainspring.workspace.opening import Workspace, open_workspace
from waiting import until

LIGHT = tuple(one for one in opening.PRELOAD if one not in opening.HEAVY)
PROJECT = """
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mainspring as ms


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("and not even that")


class Stranger:
    def __reduce__(self):
        raise TypeError("it will not be kept")


@ms.step
def first(how: str) -> str:
    return how


@ms.step
def misbehave(how: str):
    if how == "exit":
        os._exit(0)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "closed stdout":
        print("before")
        sys.stdout.close()
        os.close(1)
    if how == "mute":
        raise Mute
    if how == "stranger":
        return Stranger()
    if how == "no cwd":
        here = Path("gone").resolve()
        here.mkdir()
        os.chdir(here)
        here.rmdir()
    if how == "children":
        found = [subprocess.Popen(["sleep", "600"])]
        found += [subprocess.Popen(["sleep", "600"], start_new_session=True)]
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                Path("grandchild").write_text(str(os.getpid()))
                time.sleep(600)
            os._exit(0)
        while not Path("grandchild").exists() or not Path("grandchild").read_text():
            time.sleep(0.01)
        pids = [str(one.pid) for one in found] + [Path("grandchild").read_text()]
        Path("pids").write_text(" ".join(pids))
        return "left them"
    if how == "forever":
        daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path("pids").write_text(f"{os.getpid()} {daemon.pid}")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    if how == "much":
        block = b"y" * 99 + b"\\n"
        for _ in range(100):
            os.write(1, block * 100_000)
        print("the end")
    if how == "fill":
        if Path("full").exists():  # where no small disk can be mounted
            from mainspring.backends.objects import local

            def no_room(file, data):
                raise OSError(errno.ENOSPC, "No space left on device")

            local.write_all = no_room
        return b"x" * 20_000_000
    return "well"


@ms.pipeline
def main(how: str):
    return misbehave(first(how))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give one home for all of them: whatever they do, the engine goes on."""
    with opened(tmp_path_factory.mktemp("house")) as ws:
        yield ws


@contextmanager
def opened(root: Path) -> Iterator[Workspace]:
    """Open a home whose steps need no model."""
    (root / "project.py").write_text(PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "PRELOAD", LIGHT)
        ws = open_workspace(Settings(root=str(root), home=str(root / "home"), lease_s=30.0))
        try:
            yield ws
        finally:
            ws.close()


def pids_of(ws: Workspace) -> Path:
    """Return the file a step tells its processes by, which is not there yet."""
    for name in ("pids", "grandchild"):
        Path(ws.settings.root, name).unlink(missing_ok=True)
    return Path(ws.settings.root, "pids")


def run(ws: Workspace, how: str) -> tuple[Run, StepRecord]:
    name = running.start_run(ws, "main", {"how": how})
    ended = engines.drive(ws, name)
    return ended, step_of(ws, name)


def step_of(ws: Workspace, name: str) -> StepRecord:
    return ws.read(Permission.READ, lambda tx: pipelines.get(tx, name, "misbehave"))


def gone(pid: str) -> bool:
    return (
        not Path("/proc", pid).exists()
        and subprocess.run(["ps", "-p", pid], capture_output=True, check=False).returncode == 1
    )


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "ended with exit status 0 before it returned"),
        ("signal", "killed by SIGSEGV"),
        ("mute", "Mute"),
        ("stranger", "Stranger"),
    ],
)
def test_a_step_that_does_not_return_fails_with_words(
    house: Workspace, how: str, words: str
) -> None:
    ended, step = run(house, how)
    assert (ended.status, step.state) == (RunStatus.FAILED, "failed")
    assert words in step.error


@pytest.mark.parametrize("how", ["closed stdout", "no cwd"])
def test_a_step_that_takes_things_away_from_itself_still_ends_well(
    house: Workspace, how: str
) -> None:
    ended, step = run(house, how)
    assert (ended.status, step.error) == (RunStatus.FINISHED, "")


def test_what_a_step_leaves_behind_ends_with_it_in_sessions_of_its_own_too(
    house: Workspace,
) -> None:
    pids = pids_of(house)
    ended, _ = run(house, "children")
    assert ended.status is RunStatus.FINISHED
    for pid in pids.read_text().split():
        assert gone(pid)


def test_cancel_ends_all_that_a_step_began_though_it_will_not_listen(
    house: Workspace,
) -> None:
    pids = pids_of(house)
    name = running.start_run(house, "main", {"how": "forever"})
    thread = threading.Thread(target=lambda: engines.drive(house, name))
    thread.start()
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    running.cancel(house, name)
    thread.join(60)
    assert house.read(Permission.READ, lambda tx: running.state(tx, name))[0].status == "cancelled"
    for pid in pids.read_text().split():
        until(lambda pid=pid: gone(pid))  # type: ignore[misc]


def test_a_step_that_prints_a_gigabyte_costs_megabytes(house: Workspace) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended, step = run(house, "much")
    assert ended.status is RunStatus.FINISHED
    assert step.log is not None
    kept = house.objects.get(step.log)
    assert len(kept) < 5_000_000
    assert kept.endswith(b"the end\n")
    assert b"bytes of what was printed are left out here" in kept
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 60_000


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """On a disk of its own where we may mount one; else the disk says that it is full."""
    with opened(tmp_path) as house:
        objects, full = Path(house.settings.home) / "objects", tmp_path / "full"
        small = _small_disk(objects)
        ballast = objects / "ballast" if small else full
        ballast.write_bytes(b"\0" * (16 << 20 if small else 1))
        try:
            name = running.start_run(house, "main", {"how": "fill"})
            thread = threading.Thread(target=lambda: engines.drive(house, name))
            thread.start()
            until(lambda: "no room" in _task_error(house, name))
            assert step_of(house, name).state != "failed"
            assert house.objects.has(_first_output(house, name))  # reading goes on
            ballast.unlink()
            thread.join(60)
            assert step_of(house, name).state == "done"
        finally:
            if small:
                subprocess.run(["umount", "--lazy", str(objects)], check=True)


def _small_disk(folder: Path) -> bool:
    """Mount a disk of 24 MB over a folder of objects; return whether we may."""
    asked = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(asked, check=False, capture_output=True).returncode:
        return False
    (folder / "tmp").mkdir(mode=0o700)
    return True


def _task_error(ws: Workspace, name: str) -> str:
    found = ws.read(Permission.READ, lambda tx: tasks.get(tx, f"{name}:misbehave"))
    return "" if found is None else found.error


def _first_output(ws: Workspace, name: str) -> str:
    return ws.read(Permission.READ, lambda tx: pipelines.output_of(tx, name, "first"))[0]

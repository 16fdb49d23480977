"""Control groups of calls: a limit on memory and cpus that the kernel itself keeps.

A group is made below our own one, never beside it, so that what bounds us bounds our steps too.
Under version 1 any process may be moved into such a group. Under version 2 a group that has
processes bounds none below it; there one is made only where that rule does not hold (the root), or
below the parent of ours if the system's manager has marked it as handed over
(``Delegate=yes`` with ``DelegateSubgroup=``): we move ourselves and others nowhere.

Each group's name says who made it. What one that was killed left behind is taken away by the next.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

PERIOD_US = 100_000  #: over which cpu time is counted
_NAME = re.compile(r"mainspring-(\d+)-(\d+)-(\d+)-\d+")
_END_S = 1.0  # how long members that were killed are waited for
_numbers = itertools.count(1)


class Place(NamedTuple):
    """Where groups are made: a folder for memory, and one for cpus, of one version."""

    version: int
    memory: Path
    cpu: Path | None  #: the same folder under version 2; None: cpus cannot be bounded


class Found(NamedTuple):
    """Whether groups can be made here."""

    place: Place | None
    why: str  #: there is none


class Group:
    """The control group of one call; a :class:`memory.Watch` that the kernel keeps."""

    def __init__(self, place: Place, memory: int | None, cpus: int | None) -> None:
        """Make it.

        Raises:
            OSError: if the system refuses.
        """
        self.limit, self._version = memory or 0, place.version
        self.folders: list[Path] = []  #: a process that joins all of them is a member
        name = f"mainspring-{_who()}-{next(_numbers)}"
        try:
            if memory is not None:
                self._memory = self._made(place.memory / name)
                self._bound_memory(memory)
            if cpus is not None and place.cpu is not None:
                self._bound_cpu(self._made(place.cpu / name), cpus)
        except OSError:
            self.remove()
            raise

    @property
    def peak(self) -> int:
        """Bytes, the most that its members held at a time."""
        name = "memory.max_usage_in_bytes" if self._version == 1 else "memory.peak"
        try:
            return int((self._memory / name).read_text("ascii"))
        except (OSError, ValueError):  # a kernel before 5.19 does not count it
            return self.limit

    def over(self, pid: int) -> bool:  # noqa: ARG002  as of a Watch
        """Return whether the kernel has ended a member for its memory."""
        if not self.limit:
            return False
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        with suppress(OSError, ValueError):
            lines = (self._memory / name).read_text("ascii").splitlines()
            told = dict(line.split() for line in lines)
            return int(told.get("oom_kill", 0)) > 0
        return False

    def remove(self) -> None:
        """End what is still in it, and take it away."""
        for folder in self.folders:
            remove(folder)

    def _made(self, folder: Path) -> Path:
        if folder not in self.folders:
            folder.mkdir()
            self.folders.append(folder)
        return folder

    def _bound_memory(self, limit: int) -> None:
        first = self._version == 1
        _write(self._memory / ("memory.limit_in_bytes" if first else "memory.max"), limit)
        # Without these it would go on in swap, and others of the call would outlive the first.
        with suppress(OSError):
            if first:
                _write(self._memory / "memory.memsw.limit_in_bytes", limit)
            else:
                _write(self._memory / "memory.swap.max", 0)
                _write(self._memory / "memory.oom.group", 1)

    def _bound_cpu(self, folder: Path, cpus: int) -> None:
        if self._version == 1:
            _write(folder / "cpu.cfs_period_us", PERIOD_US)
            _write(folder / "cpu.cfs_quota_us", cpus * PERIOD_US)
        else:
            _write(folder / "cpu.max", f"{cpus * PERIOD_US} {PERIOD_US}")


def of(memory: int | None, cpus: int | None) -> Group | None:
    """Return a new group that keeps to limits; None where there are none, or can be no groups."""
    if memory is None and cpus is None:
        return None
    place = found().place
    if place is None or (memory is None and place.cpu is None):
        return None
    try:
        return Group(place, memory, cpus)
    except OSError:  # such as too many of them: it is watched then
        return None


@cache
def found() -> Found:
    """Return where groups can be made, tried with one and a process in it; else why not."""
    place, why = looked()
    if place is None:
        return Found(None, why)
    try:
        _try(place)
    except OSError as error:
        if place.cpu is None:
            return Found(None, f"{error.strerror}: {error.filename or place.memory}")
        try:
            place = place._replace(cpu=None)
            _try(place)
        except OSError as again:
            return Found(None, f"{again.strerror}: {again.filename or place.memory}")
    return Found(place, "")


def looked(root: Path = Path("/")) -> tuple[Place | None, str]:
    """Return where groups might be made, by what the system says below ``root``; else why not."""
    try:
        mounts = (root / "proc/self/mountinfo").read_text("utf-8").splitlines()
        own = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return None, "this system has no control groups"
    paths = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in own if line.count(":") > 1}
    first = {name: _folder(root, mounts, paths, name) for name in ("memory", "cpu")}
    if first["memory"] is not None:
        memory = first["memory"]
        with suppress(OSError):
            if (memory / "memory.use_hierarchy").read_text("ascii").strip() == "1":
                return Place(1, memory, first["cpu"]), ""
        return None, "limits of groups do not hold for those below them"
    return _second(_folder(root, mounts, paths, ""))


def _second(own: Path | None) -> tuple[Place | None, str]:
    """Return where groups of version 2 might be made, that of ours being known."""
    if own is None:
        return None, "no control groups are to be seen here"
    parent = own
    if (own / "cgroup.type").exists():  # the root alone has none
        parent = own.parent
        if not _is_handed_over(parent):
            return None, "the group above ours is not handed over to us (Delegate=)"
    try:
        there = (parent / "cgroup.controllers").read_text("ascii").split()
        if "memory" not in there:
            return None, "the group above has no limits of memory to give"
        given = (parent / "cgroup.subtree_control").read_text("ascii").split()
        for name in ("memory", "cpu"):
            if name in there and name not in given:
                _write(parent / "cgroup.subtree_control", f"+{name}")
    except OSError as error:
        return None, f"{error.strerror}: {error.filename or parent}"
    return Place(2, parent, parent if "cpu" in there else None), ""


def _is_handed_over(folder: Path) -> bool:
    for name in ("user.delegate", "trusted.delegate"):  # systemd's marks; the second for root
        with suppress(OSError, AttributeError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _folder(root: Path, mounts: Sequence[str], paths: dict[str, str], name: str) -> Path | None:
    """Return the folder of the group that we are in, of a controller; version 2 has no name."""
    path = next((path for key, path in paths.items() if name in key.split(",")), None)
    if path is None:
        return None
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        fields = before.split()
        words = options.split(" ")[-1].split(",")
        if kind != ("cgroup" if name else "cgroup2") or (name and name not in words):
            continue
        inner = os.path.relpath(path, fields[3])
        if not inner.startswith(".."):
            return root / fields[4].lstrip("/") / inner
    return None


def _try(place: Place) -> None:
    """Make a group, put a process into it, take it away; raises OSError where that cannot be."""
    sweep(place)
    group = Group(place, 64 << 20, 1)
    try:
        with subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL) as one:  # noqa: S607
            try:
                for folder in group.folders:
                    _write(folder / "cgroup.procs", one.pid)
            finally:
                one.kill()
        group.over(0)
    finally:
        group.remove()


def join(folders: Sequence[str]) -> None:
    """Become a member of groups, with all that we begin from now on."""
    for folder in folders:
        _write(Path(folder) / "cgroup.procs", os.getpid())


def sweep(place: Place | None = None) -> list[str]:
    """Take away the groups of makers that are dead; return their names."""
    if place is None:
        place, _ = looked()
    gone = []
    for folder in {place.memory, place.cpu or place.memory} if place else ():
        with suppress(OSError):
            left = [one for one in sorted(folder.glob("mainspring-*")) if _is_left(one.name)]
            gone += [one.name for one in left if remove(one)]
    return gone


def remove(folder: Path) -> bool:
    """End the members of a group and take it away; return whether it is gone."""
    until = time.monotonic() + _END_S
    while True:
        with suppress(FileNotFoundError):
            try:
                folder.rmdir()
            except OSError:  # it has members
                for pid in _members(folder):
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
            else:
                return True
        if not folder.exists():
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.005)


def _members(folder: Path) -> list[int]:
    with suppress(OSError):
        found = (folder / "cgroup.procs").read_text("ascii").split()
        return [int(word) for word in found if word != "0"]  # 0: of processes that we cannot see
    return []


def _is_left(name: str) -> bool:
    """Return whether a group is one whose maker is dead."""
    told = _NAME.fullmatch(name)
    if told is None or told[1] != _space():
        return False  # not ours, or of one whose processes have other numbers than we see
    return told[3] != _began(int(told[2]))


def _who() -> str:
    """Return what tells this process from all others, those that had its number before too."""
    return f"{_space()}-{os.getpid()}-{_began(os.getpid())}"


def _space() -> str:
    return re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))


def _began(pid: int) -> str:
    """Return when a process began, in ticks since the machine did; empty if there is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    return ""


def _write(file: Path, value: object) -> None:
    file.write_text(str(value), "ascii")

"""Run a command, and all it starts, in a control group that holds its memory to a limit."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_FIRST = _GROUPS / "memory"  # the controllers of version 1 lie in folders of their own


@contextmanager
def capped(limit: int) -> Iterator[Path]:
    """Give a control group whose members hold at most ``limit`` bytes, the page cache among them.

    Raises:
        OSError: if this user may not make one; as root in a machine or container it may.
    """
    parent = _FIRST if _FIRST.is_dir() else _GROUPS
    group = parent / f"mainspring-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        name = "memory.limit_in_bytes" if parent == _FIRST else "memory.max"
        (group / name).write_text(str(limit), "ascii")
        yield group
    finally:
        group.rmdir()


def run_in(group: Path, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a member of a group; what it starts is in it from its first moment."""

    def join() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()), "ascii")

    return subprocess.run(command, preexec_fn=join, capture_output=True, text=True, **options)  # type: ignore[call-overload]


def killed_for_memory(group: Path) -> int:
    """Return how many members the kernel has killed because the limit was reached."""
    file = group / ("memory.oom_control" if group.parent == _FIRST else "memory.events")
    told = dict(line.split() for line in file.read_text("ascii").splitlines())
    return int(told["oom_kill"])


def peak(group: Path) -> int:
    """Return the most bytes that the members held at a time, the page cache among them."""
    name = "memory.max_usage_in_bytes" if group.parent == _FIRST else "memory.peak"
    return int((group / name).read_text("ascii"))

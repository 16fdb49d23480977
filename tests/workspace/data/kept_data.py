"""What lies in a folder, and what a home keeps: for the tests of data."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mainspring.pipelines.data import stats
from mainspring.pipelines.data.walk import walk
from mainspring.workspace.opening import Workspace

Opener = Callable[..., Workspace]


def bytes_of(place: Path) -> dict[str, tuple[bytes, bool]]:
    """Return what lies in a folder: bytes, and whether a file is executable."""
    return {
        str(file.relative_to(place)): (file.read_bytes(), bool(file.stat().st_mode & 0o100))
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }


def settle(place: Path) -> None:
    """Wait until the clock of the file system has ticked since anything here was changed."""
    files, _ = walk(place)
    while not all(stats.is_settled(file, stats.now_ns()) for file in files):
        time.sleep(0.01)


def kept(ws: Workspace) -> int:
    """Return how many bytes the objects of a home have."""
    return sum(one.size for one in ws.objects.each())

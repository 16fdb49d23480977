"""Marks by which one process of this machine can tell that another is dead.

A mark names a process beyond its number, which the system gives out again: by when it started,
and by the boot and the namespace in which the number means anything. Whoever cannot tell, such as
a process of another machine or a system without ``/proc``, never says that another is dead.
"""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from pathlib import Path

from mainspring.ground.identity import sha256

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def mark() -> str:
    """Return the mark of this process; only its number where more cannot be known.

    >>> is_dead(mark()), is_dead("4194304.1@elsewhere"), is_dead("")
    (False, False, False)
    """
    pid, place = os.getpid(), _place()
    begun = _begun(pid)
    return f"{pid}.{begun}@{place}" if place and begun else str(pid)


def is_dead(of: str) -> bool:
    """Return whether the process of a mark is surely gone; what ends in a colon is its name."""
    process, _, place = of.rpartition(":")[2].partition("@")
    number, _, begun = process.partition(".")
    if not place or place != _place() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    now = _begun(int(number))
    return bool(now) and now != begun  # of a zombie "gone", of another process another


def _begun(pid: int) -> str:
    """Return when a process started, in ticks since the boot; nothing if nobody may see it."""
    with suppress(OSError):
        # The name in brackets may hold anything; what follows it are plain fields.
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        fields = told.rpartition(")")[2].split()
        return "gone" if fields[0] in "ZX" else fields[19]
    return ""


@functools.cache
def _place() -> str:
    """Return where process numbers mean the same: this boot, this namespace."""
    with suppress(OSError):
        return sha256(f"{_BOOT.read_text()} {_NAMESPACE.readlink()}".encode())[:12]
    return ""

"""What a running home says of itself: one lock, one small file. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

LOCK = Path("run") / "up.lock"
STATE = Path("run") / "supervisor.json"
_LOOKS, _LOOK_S = 20, 0.01


def take_lock(home: Path) -> int | None:
    """Return a descriptor that holds the home for this process, or None if another has it.

    The kernel lets go of it when the process dies, so no lock is ever stale. Who only looks
    whether the home is up (:func:`is_up`) holds it for a moment; that is waited out.
    """
    file = home / LOCK
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(_LOOKS):
        if (held := _locked(file, fcntl.LOCK_EX)) is not None:
            return held
        time.sleep(_LOOK_S)
    return None


def is_up(home: Path) -> bool:
    """Return whether a supervisor holds the home."""
    file = home / LOCK
    if not file.exists():
        return False
    # Shared: of several who look at once none takes another for a supervisor.
    descriptor = _locked(file, fcntl.LOCK_SH)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _locked(file: Path, how: int) -> int | None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def read_state(home: Path) -> dict[str, Any]:
    """Return what the supervisor wrote last, or nothing; :func:`is_up` says if it still holds."""
    try:
        found = json.loads((home / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_state(home: Path, state: dict[str, Any]) -> None:
    """Write what others may know, whole or not at all."""
    file = home / STATE
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(state, handle)
    new.replace(file)


def is_ours(pid: int) -> bool:
    """Return whether a process lives and is one of ours, as far as the system tells."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    command = Path(f"/proc/{pid}/cmdline")
    try:
        return b"mainspring" in command.read_bytes()
    except OSError:  # no /proc on this system, or it ended this moment
        return not Path("/proc/self").exists()

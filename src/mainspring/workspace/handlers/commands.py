"""Run a command of the queue in this process's group, at most once at a time and to one end."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mainspring.ground.errors import BadInputError


def run(payload: dict[str, Any]) -> dict[str, Any]:
    """Run a command to its end and return its exit code.

    Who runs it holds a lock that its processes inherit. A worker that takes over from one that
    only looked dead therefore waits until the command has ended, and then takes its exit code
    from a file instead of running it again.

    Raises:
        BadInputError: if there is no such program or folder.
    """
    place = Path(payload["place"])
    with locked(place.with_suffix(".lock")) as lock:
        told = place.with_suffix(".code")
        if told.exists():
            return {"code": int(told.read_text("ascii"))}
        code = _run(payload, lock)
        new = told.with_suffix(".new")
        new.write_text(str(code), "ascii")
        new.replace(told)
        return {"code": code}


@contextmanager
def locked(file: Path) -> Iterator[int]:
    """Hold a lock for as long as the block, or a process started in it, lasts."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("Another worker's process of this entry still runs; waiting.\n")
            sys.stderr.flush()
            fcntl.flock(number, fcntl.LOCK_EX)
        yield number
    finally:
        os.close(number)


def _run(payload: dict[str, Any], lock: int) -> int:
    words: list[str] = payload["command"]
    try:
        process = subprocess.Popen(  # noqa: S603  what its owner asked to be run
            words,
            cwd=payload["folder"],
            stdin=subprocess.DEVNULL,
            pass_fds=[lock],
        )
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{words[0][:80]!r} cannot be started in {payload['folder']}: {error}.",
            field="command",
        ) from error
    return process.wait()

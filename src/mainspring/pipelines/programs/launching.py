"""Run a command to its end; what it says goes into the step's log, its last words are kept."""

from __future__ import annotations

import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from mainspring.ground.errors import StepFailedError

LAST_LINES = 20
_LONGEST = 2_000  #: of a line that is told in an error
_AFTER_S = 2.0  #: a process that it left behind may hold its stderr open: not waited for longer


def run(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    what: str,
    told: Callable[[str], None] | None = None,
    reason: Callable[[], str] | None = None,
) -> None:
    """Run a command in a folder, its words going where those of this process go.

    ``told`` hears every line of both streams; without it stdout passes untouched. ``reason``
    is asked when it failed: what the program itself left as the reason.

    Raises:
        StepFailedError: if it cannot be started or ends with another code than 0; with the last
            lines of its stderr.
    """
    code, last = ended(command, folder, env, what, told)
    if code:
        raise failed(what, code, last, "" if reason is None else reason())


def ended(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    what: str,
    told: Callable[[str], None] | None = None,
) -> tuple[int, list[str]]:
    """Run a command as :func:`run` does; return its code, below 0 a signal, and its last lines.

    Raises:
        StepFailedError: if it cannot be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own program
            list(command),
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=None if told is None else subprocess.PIPE,
            stderr=subprocess.PIPE if told is None else subprocess.STDOUT,
        )
    except OSError as error:
        raise StepFailedError(
            f"{what} cannot be started: {error.strerror or error}: {command[0]}"
        ) from error
    stream = process.stderr if told is None else process.stdout
    assert stream is not None  # noqa: S101  it was asked for
    around = contextvars.copy_context()  # what hears the lines asks which step it is
    pump = threading.Thread(target=around.run, args=(_pump, stream, last, told), daemon=True)
    pump.start()
    try:
        code = process.wait()
        pump.join(_AFTER_S)
    except BaseException:
        process.kill()  # a Ctrl-C ends it with us
        process.wait()
        raise
    return code, list(last)


def _pump(stream: IO[bytes], last: deque[str], told: Callable[[str], None] | None) -> None:
    out = 2 if told is None else 1
    with stream:
        for raw in iter(lambda: stream.readline(1 << 16), b""):
            view = memoryview(raw)
            while view:
                view = view[os.write(out, view) :]
            line = raw.decode("utf-8", "replace").rstrip()
            last.append(line[:_LONGEST])
            if told is not None:
                told(line)


def failed(what: str, code: int, last: Sequence[str], reason: str) -> StepFailedError:
    """Return the error of a command that ended with a code: its own reason, or its last line."""
    how = f"ended with exit code {code}" if code > 0 else f"was ended by {_signal(-code)}"
    lines = [line for line in last if line.strip()]
    told = reason.strip().partition("\n")[0][:500] or (lines[-1][:500] if lines else "")
    trace = "\n".join(part for part in (reason.strip(), "\n".join(lines)) if part)
    return StepFailedError(f"{what} {how}{f': {told}' if told else '.'}", trace=trace)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

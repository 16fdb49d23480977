"""What a forked process does: become its own group, run one call, tell how it went."""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import io
import logging
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import msgspec

from mainspring.backends.executors import groups, wire
from mainspring.ground import structs
from mainspring.ground.errors import MainspringError, ProjectError, StepFailedError
from mainspring.ground.ports import Call, Outcome

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_THREAD_KEYS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_prctl: Any = None
_pools: Any = None  # the loaded BLAS libraries, found once before the forks


def prepare() -> None:
    """Look up in the fork server what every child will need.

    What a child works out for itself it works out on pages of its own, which costs twice.
    """
    global _prctl, _pools
    structs.prepare()
    tempfile.gettempdir()  # it writes a file to see whether it may
    importlib.invalidate_caches()  # all folders are read anew, by who asks for them
    if sys.platform == "linux":
        _prctl = ctypes.CDLL(None).prctl
    with suppress(ImportError):
        _pools = importlib.import_module("threadpoolctl").ThreadpoolController()


def adopt_orphans() -> None:
    """Become the parent of what our descendants leave behind, instead of the system's first.

    Each child does, so that while a step lives all that it began stays below it, in sessions of
    their own too; and the fork server does, so that it finds below itself what a dead step left.
    """
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """Return the processes whose parent a process with one thread is; Linux only, else none."""
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:  # another system, or a kernel without it
        return []
    return [int(word) for word in told.split()]


def live(
    talk: socket.socket, life: socket.socket, server: int, printing: int | None = None
) -> NoReturn:
    """Run the call that comes over ``talk``; never return into the fork server's loop.

    What it prints goes to the file ``printing``, or to the fork server's log.
    """
    status = 1
    try:
        _print_to(printing)
        _die_with_owner(life, server)
        talk.sendall(wire.PID.pack(os.getpid()))
        order = wire.receive_piece(talk)
        if order:
            wire.send_piece(talk, msgspec.json.encode(_outcome(order)))
            status = 0
    except BaseException:  # noqa: BLE001  the last frame of this process
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _die_with_owner(life: socket.socket, server: int) -> None:
    """Arrange that the kernel ends us when the fork server or its owner dies."""
    os.setsid()
    if sys.platform != "linux":
        return  # there the fork server alone watches the owner
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    adopt_orphans()
    # Closing the far end of `life` counts as input, and input is announced to our whole
    # group by the signal of our choice. It works when the fork server is gone as well.
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    life.setblocking(False)
    with suppress(BlockingIOError):
        if life.recv(1) == b"":  # it happened before we were ready
            os._exit(1)
    if os.getppid() != server:
        os._exit(1)


def _outcome(order: bytes) -> Outcome:
    started = time.perf_counter()
    own: list[str] = []
    try:
        call = msgspec.json.decode(order, type=Call)
        own = [p for p in (*call.path, call.cwd) if p]
        _settle(call)
        value = msgspec.to_builtins(_find(call.target)(call.payload))
        outcome = Outcome(ok=True, value=value)
    except MainspringError as error:
        trace = error.trace if isinstance(error, StepFailedError | ProjectError) else ""
        outcome = Outcome(
            ok=False,
            # In a second line what to do about it.
            error="\n".join(_line(text) for text in (error.message, error.hint) if text),
            code=error.code,
            field=error.field,
            # Ours has its words: a trace that is all our own says no more to anybody.
            trace=trace or _trace(error, own, theirs=True),
            # What the user's function raised, where it was put into one of ours.
            types=_types(error.__cause__ or error),
        )
    except BaseException as error:  # noqa: BLE001  whatever the user's code raises is an outcome
        told = _line(_told(error))
        outcome = Outcome(ok=False, error=told, trace=_trace(error, own), types=_types(error))
    logging.shutdown()
    return msgspec.structs.replace(outcome, wall_s=time.perf_counter() - started)


def _print_to(number: int | None) -> None:
    if number is None:
        os.dup2(2, 1)  # the owner's stdout may be a program's input
        return
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.close(number)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # or nobody could follow it line by line


def _settle(call: Call) -> None:
    """Take the call's place in the system: folder, environment, module path, threads."""
    groups.join(call.groups)
    if call.cwd:
        os.chdir(call.cwd)
    os.environ.update(call.env)
    if "TZ" in call.env:
        time.tzset()  # the zone was read when the server began
    if "TMPDIR" in call.env:
        tempfile.tempdir = None
    sys.path[:0] = call.path
    if "numpy.random" in sys.modules:  # or all children would draw the same numbers
        sys.modules["numpy.random"].seed()
    if _pools is not None:
        wanted = next((v for k in _THREAD_KEYS if (v := os.environ.get(k))), "")
        count = int(wanted) if wanted.isdecimal() else os.cpu_count()
        for library in _pools.lib_controllers:  # limit() would ask each of them what it was
            library.set_num_threads(count)


def _find(target: str) -> Any:
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _types(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__ if kind is not object]


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "failed without a word"


def _trace(error: BaseException, folders: list[str], *, theirs: bool = False) -> str:
    """Return the traceback, from the first frame of the user's own files where there is one.

    ``theirs``: else nothing.
    """
    own = [Path(folder).resolve() for folder in folders]
    frames = _skip(error.__traceback__, 1)
    first = frames
    while first and not _is_own(first.tb_frame.f_code.co_filename, own):
        first = first.tb_next
    if theirs and first is None:
        return ""
    return "".join(traceback.format_exception(type(error), error, first or frames))


def _skip(frames: TracebackType | None, count: int) -> TracebackType | None:
    for _ in range(count):
        frames = frames.tb_next if frames else None
    return frames


def _is_own(file: str, own: list[Path]) -> bool:
    path = Path(file).resolve()
    return any(path.is_relative_to(folder) for folder in own) and "site-packages" not in file

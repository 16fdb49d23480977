"""Run calls on this machine, each in a process forked from a warm server."""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from mainspring.backends.executors import groups, wire
from mainspring.backends.executors.beating import Beat
from mainspring.backends.executors.memory import LOOK_S, Watch
from mainspring.backends.executors.printed import wide_pipe
from mainspring.backends.executors.sinks import Sink, open_sink
from mainspring.ground.errors import DeadlineError, MemoryLimitError, UnavailableError
from mainspring.ground.ports import Call, Outcome
from mainspring.ground.sizes import size

PRELOAD = ("numpy", "polars", "msgspec")
GRACE_S = 2.0  #: from SIGTERM to SIGKILL
START_S = 30.0  #: the most a fork server may take to start before it counts against a call
_AT_ONCE = 4 << 20  # bytes taken from a call before anything else gets its turn
_LISTEN_S = 0.01  # between looks at what a call prints; a pipe holds a megabyte
_MUCH = 1 << 18  # bytes since the last look: it prints faster than we look
_LEFT_BEHIND = 8 << 20  # the most that is taken at the end, if something still prints
ASK_S = 0.1  #: how often ``cancelled`` is asked
SERVER = ("-P", "-m", "mainspring.backends.executors.forkserver")
#: Sets and dicts of text come in the same order in every process, or no step could be made again.
SETTLED = {"PYTHONHASHSEED": "0"}


class LocalExecutor:
    """A :class:`mainspring.ground.ports.Executor` with one fork server, started when needed.

    ``later`` names modules that are imported when nothing is asked of the server, and at the
    latest before the first call that is not ``soon``.
    ``run_dir`` receives ``forkserver.log``. ``preload`` names modules to import before the
    forks; what is not installed is passed over. ``start`` is the command that starts another
    environment's server, and what its variables are; see :mod:`elsewhere`.
    """

    def __init__(
        self,
        run_dir: Path,
        preload: Sequence[str] = PRELOAD,
        *,
        later: Sequence[str] = (),
        grace_s: float = GRACE_S,
        start: tuple[Sequence[str], dict[str, str]] | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._start_with = start
        self._preload, self._later = tuple(preload), tuple(later)
        self._grace_s = grace_s
        self._mutex = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._numbers = itertools.count(1)
        self._closed = False
        self._at_work = 0  # calls

    def run(self, call: Call, cancelled: Callable[[], bool] | None = None) -> Outcome:
        """Run one call to its end; safe to use from several threads."""
        for _ in range(2):
            with self._counted(), _Running(call, cancelled, self) as running:
                outcome = running.to_the_end()
            if outcome is not None:
                return outcome
            # The server was gone before the child existed: nothing has run, so try once more.
        raise UnavailableError("The fork server died twice; see forkserver.log.")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._mutex:
            self._at_work += 1
        try:
            yield
        finally:
            with self._mutex:
                self._at_work -= 1

    def warm(self) -> None:
        """Start the server now, so that the first call finds it ready."""
        with self._mutex:
            self._start()

    def close(self) -> None:
        """End every child."""
        with self._mutex:
            self._closed = True
            self._stop()

    def send(self, kind: bytes, number: int, signum: int, files: Sequence[int] = ()) -> None:
        """Send an order to the server, starting one if there is none."""
        data = wire.ORDER.pack(kind, number, signum)
        with self._mutex:
            for attempt in range(2):
                control = self._start()
                try:
                    socket.send_fds(control, [data], list(files))
                    return
                except OSError as error:
                    self._stop()
                    if attempt:
                        raise UnavailableError(f"The fork server cannot start: {error}") from error

    def next_number(self) -> int:
        """Return a number for a new call."""
        return next(self._numbers)

    @property
    def grace_s(self) -> float:
        """Seconds from SIGTERM to SIGKILL."""
        return self._grace_s

    def _start(self) -> socket.socket:
        if self._closed:
            raise UnavailableError("The executor is closed.")
        if self._control is not None and self._server is not None and self._server.poll() is None:
            return self._control
        self._stop()
        groups.sweep()  # of those before us, who may have been killed
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        program, variables = self._start_with or _ours()
        command = [*program, str(theirs.fileno())]
        command += [",".join(self._preload), ",".join(self._later)]
        with theirs, _own_file(self._run_dir / "forkserver.log") as log:
            self._server = begin(command, theirs, log, variables)
        self._control = ours
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()  # which ends the server and its children
            self._control = None
        if self._server is not None:
            try:
                # With no call at work it has nothing to end, and may be in a long import.
                self._server.wait(5 if self._at_work else 0.02)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None


def begin(
    command: Sequence[str], control: socket.socket, log: BinaryIO, variables: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a fork server that obeys what comes out of ``control``."""
    return subprocess.Popen(  # noqa: S603  our own module
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[control.fileno()],
        env=variables,
        start_new_session=True,  # Ctrl-C is for the owner
    )


def _ours() -> tuple[Sequence[str], dict[str, str]]:
    """Return how a server of our own environment is started."""
    return (sys.executable, *SERVER), {**without_keys(os.environ), **SETTLED}


def without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for code that is not ours: without the key of all secrets."""
    return {name: value for name, value in environ.items() if name != "MAINSPRING_SECRET_KEY"}


def _own_file(path: Path) -> BinaryIO:
    """Open a file to add to, readable by its owner alone, whatever the umask was or is."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(number, 0o600)
    return os.fdopen(number, "ab")


_TIME, _SPACE = ("TimeoutError", "Exception"), ("MemoryError", "Exception")


class _Running:
    """One call on its way: our ends of its sockets, and what is known of it so far."""

    def __init__(
        self, call: Call, cancelled: Callable[[], bool] | None, executor: LocalExecutor
    ) -> None:
        self._call = call
        self._cancelled = cancelled
        self._executor = executor
        self._number = executor.next_number()
        self._printed: Sink | None = None
        self._pipe = -1  # what is printed comes out of it
        self._listen_at = float("inf")  # when to look at it again
        self._heard = bytearray()
        self._began = time.monotonic()
        self._limit_at = float("inf")  # when its time is up
        if call.timeout_s is not None:
            self._limit_at = self._began + call.timeout_s + START_S
        self._beat: Beat | None = None
        if call.beat is not None and call.beat_s is not None:
            self._beat = Beat(call.beat, call.beat_s, self._began + START_S)
        self._group: groups.Group | None = None
        self._watch: Watch | groups.Group | None = None
        self._end_wanted = ""  # why we want it to end
        self._end_code = ""  # of the error that it then is
        self._end_types: list[str] = []  # what the user's own words for it are
        self._kill_at: float | None = None

    def __enter__(self) -> _Running:
        self._talk, talk = socket.socketpair()
        self._life, life = socket.socketpair()
        theirs = []
        try:
            self._bound()
            if self._call.log:
                self._printed = open_sink(self._call)
                self._pipe, out = wide_pipe()
                self._listen_at = 0.0
                theirs.append(out)
            with talk, life:
                files = [talk.fileno(), life.fileno(), *theirs]
                how = wire.SOON if self._call.soon else 0
                self._executor.send(wire.FORK, self._number, how, files)
        except BaseException:
            self.__exit__()
            raise
        finally:
            for number in theirs:
                os.close(number)
        return self

    def __exit__(self, *_: object) -> None:
        self._talk.close()
        self._life.close()
        if self._printed is not None:
            self._take_printed(_LEFT_BEHIND)
            os.close(self._pipe)
            self._printed.close()
            self._printed = None
        if self._group is not None:
            self._group.remove()
            self._group = None

    def _bound(self) -> None:
        """Have the kernel keep the call's limits; else its memory is looked at."""
        call = self._call
        self._group = groups.of(call.memory, call.cpus)
        if self._group is not None:
            folders = [str(folder) for folder in self._group.folders]
            self._call = msgspec.structs.replace(call, groups=folders)
        if call.memory is not None:
            self._watch = self._group or Watch(call.memory)

    def to_the_end(self) -> Outcome | None:
        """Wait for the outcome; None if no child ever existed."""
        # A child that dies early leaves the rest unread.
        with suppress(OSError):
            wire.send_piece(self._talk, msgspec.json.encode(self._call))
        poll = select.poll()
        poll.register(self._talk, select.POLLIN)
        while True:
            if time.monotonic() >= self._listen_at:
                poll.register(self._pipe, select.POLLIN)
                self._listen_at = float("inf")
            ready = [number for number, _ in poll.poll(self._patience_s() * 1000)]
            if self._pipe in ready:
                poll.unregister(self._pipe)
                taken = self._take_printed(_AT_ONCE)
                if taken is not None:
                    # Not at once: a step that prints lines would wake us for each of them.
                    pause_s = 0.0 if taken > _MUCH else _LISTEN_S
                    self._listen_at = time.monotonic() + pause_s
            if self._talk.fileno() in ready:
                try:
                    part = self._talk.recv(1 << 20)
                except ConnectionResetError:
                    part = b""
                if not part:
                    return self._conclude()
                if not self._heard and self._call.timeout_s is not None:
                    # The child exists; a server that took long to start is not its fault.
                    self._limit_at = time.monotonic() + self._call.timeout_s
                if not self._heard and self._beat is not None:
                    self._beat.begin(time.monotonic())
                self._heard += part
            self._end_if_due()

    def _take_printed(self, most: int) -> int | None:
        """Keep what was printed meanwhile; return how much, None if there is no more to come."""
        taken = 0
        while taken < most and self._printed is not None:
            try:
                data = os.read(self._pipe, 1 << 20)
            except BlockingIOError:
                break
            if not data:
                return None
            self._printed.write(data)
            taken += len(data)
        return taken

    def _patience_s(self) -> float:
        now = time.monotonic()
        waits = [60.0, self._listen_at - now]
        if self._cancelled is not None and not self._end_wanted:
            waits.append(ASK_S)
        if self._watch is not None and not self._end_wanted:
            waits.append(LOOK_S)
        if self._kill_at is not None:
            waits.append(self._kill_at - now)
        elif not self._end_wanted:
            waits.append(self._limit_at - now)
            if self._beat is not None:
                waits.append(self._beat.patience_s(now))
        return max(0.001, min(waits))

    def _end_if_due(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._signal(signal.SIGKILL)
        if self._end_wanted:
            return
        if now >= self._limit_at:
            self._end_wanted = f"took longer than {self._call.timeout_s:g} s and was ended"
            self._end_code, self._end_types = DeadlineError.code, ["DeadlineError", *_TIME]
        elif self._beat is not None and self._beat.is_late(now):
            told = f"gave no sign of life for {self._beat.within_s:g} s and was ended"
            self._end_wanted, self._end_code = told, DeadlineError.code
            self._end_types = ["HeartbeatError", "DeadlineError", *_TIME]
        elif self._cancelled is not None and self._cancelled():
            self._end_wanted = "cancelled"
        elif self._too_much():
            self._signal(signal.SIGKILL)  # at once: it would go on to take
            return
        if self._end_wanted:
            self._kill_at = now + self._executor.grace_s
            self._signal(signal.SIGTERM)

    def _too_much(self) -> bool:
        """Return whether the call uses more memory than it may, and say so."""
        watch = self._watch
        if watch is None or len(self._heard) < wire.PID.size:
            return False
        if not watch.over(wire.PID.unpack_from(self._heard)[0]):
            return False
        told = f"used {size(watch.peak)} of memory and was ended"
        self._end_wanted = f"{told}; its limit is {size(watch.limit)}"
        self._end_code, self._end_types = MemoryLimitError.code, ["MemoryLimitError", *_SPACE]
        return True

    def _signal(self, signum: int) -> None:
        with suppress(UnavailableError):
            self._executor.send(wire.SIGNAL, self._number, signum)

    def _conclude(self) -> Outcome | None:
        """Make the outcome of everything that was heard."""
        heard = bytes(self._heard)
        wall_s = time.monotonic() - self._began
        end = heard[-wire.END.size :]
        if not (len(end) == wire.END.size and end.startswith(wire.END_MARK)):
            if len(heard) < wire.PID.size:
                return None
            # The server died, and what the child left behind is ours to end.
            _end_group(wire.PID.unpack_from(heard)[0])
            told = "ended because its fork server died"
            return Outcome(ok=False, error=told, killed=True, wall_s=wall_s)
        _, status, cpu_s, peak_mb = wire.END.unpack(end)
        outcome = _said(heard[wire.PID.size : -wire.END.size]) or _silent(status)
        if not (outcome.ok or self._end_wanted):
            self._too_much()  # the kernel ended it, or one of those that it waited for
        if self._end_wanted:
            why, code = self._end_wanted, self._end_code
            outcome = Outcome(ok=False, error=why, code=code, types=self._end_types)
        return msgspec.structs.replace(
            outcome, wall_s=outcome.wall_s or wall_s, cpu_s=cpu_s, peak_mb=peak_mb
        )


def _said(piece: bytes) -> Outcome | None:
    if len(piece) < wire.LENGTH.size:
        return None
    length = wire.LENGTH.unpack_from(piece)[0]
    body = piece[wire.LENGTH.size :]
    return msgspec.json.decode(body, type=Outcome) if len(body) == length else None


def _silent(status: int) -> Outcome:
    """Return the outcome of a child that ended without a word."""
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        killed = number is signal.SIGKILL
        return Outcome(ok=False, error=f"killed by {number.name}", killed=killed)
    code = os.waitstatus_to_exitcode(status)
    return Outcome(ok=False, error=f"ended with exit status {code} before it returned")


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

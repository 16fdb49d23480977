"""The process that has everything imported and forks one child per call.

It runs nothing of the user's and computes nothing: imports only. A library that has
computed may own threads and locks, and a fork in the middle of those hangs the child. It
keeps one thread, so the state that is copied is a state at rest.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress

from mainspring.backends.executors import child, wire

_LOOKS = 200  # for what dead steps left, a millisecond each: it may have children in turn
_END_S = 1.0  # how long an ending fork server waits for its children to be gone
QUIET = {
    "OPENBLAS_NUM_THREADS": "1",  # or OpenBLAS starts its threads while it is imported
    "OPENBLAS_THREAD_TIMEOUT": "8",  # and in a child they would spin 0.1 s before they rest
    "_RJEM_MALLOC_CONF": "background_thread:false",  # the same for polars' allocator
}


class ForkServer:
    """One owner, any number of children."""

    def __init__(self, control: socket.socket, later: Sequence[str] = ()) -> None:
        self._control = control
        self._later = list(later)  # modules to be imported yet
        self._talks: dict[int, socket.socket] = {}  # by pid
        self._calls: dict[int, int] = {}  # call number to pid
        self._poll = select.poll()
        self._by_number: dict[int, int] = {}  # file number of a talk to pid
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        self._wake_write = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork, signal and reap until the owner is gone; then end every child."""
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        while True:
            # A child that ends must be taken in at once, so nothing is imported beside one.
            idle = self._later and not self._talks
            ready = self._poll.poll(0 if idle else None)
            if idle and not ready:
                self._import(1)
            for number, event in ready:
                if number == self._control.fileno():
                    if not self._obey():
                        self._end_all()
                        return
                elif number == self._wake:
                    os.read(self._wake, 4096)
                elif event and (pid := self._by_number.get(number)):
                    self._forsake(number, pid)
            self._reap()

    def _obey(self) -> bool:
        """Carry out one order; return False if the owner is gone."""
        data, numbers, _, _ = socket.recv_fds(self._control, wire.ORDER.size, 3)
        if not data:
            return False
        kind, call, signum = wire.ORDER.unpack(data)
        if kind == wire.FORK:
            if signum != wire.SOON:
                self._import(len(self._later))
            talk, life = (socket.socket(fileno=number) for number in numbers[:2])
            self._fork(call, talk, life, numbers[2] if len(numbers) > 2 else None)
        elif (pid := self._calls.get(call)) is not None:
            _signal_group(pid, signum)
        return True

    def _import(self, count: int) -> None:
        """Import the next modules; after the last, settle what every child will have."""
        if not count:
            return
        names, self._later = self._later[:count], self._later[count:]
        import_quietly(names)
        if not self._later:
            settle()

    def _fork(
        self, call: int, talk: socket.socket, life: socket.socket, printing: int | None
    ) -> None:
        server = os.getpid()
        try:
            with warnings.catch_warnings():  # from 3.12 on: a library's resting thread is known of
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError:  # no memory, no room for a process: the owner sees a call that ended
            talk.close()
            life.close()
            _close(printing)
            return
        if pid == 0:
            self._become_child()
            child.live(talk, life, server, printing)
        life.close()
        _close(printing)
        self._calls[call] = pid
        self._talks[pid] = talk
        self._by_number[talk.fileno()] = pid
        self._poll.register(talk, 0)  # POLLHUP only: what is said is none of our business

    def _become_child(self) -> None:
        """Let go of everything that belongs to the server."""
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_DFL)
        os.close(self._wake)
        os.close(self._wake_write)
        self._control.close()
        for other in self._talks.values():
            other.close()

    def _forsake(self, number: int, pid: int) -> None:
        """End a child whose owner does not listen any more."""
        self._poll.unregister(number)
        self._by_number.pop(number)
        _signal_group(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Take in the dead, end what they left running, and tell the owner."""
        while True:
            # Look first: as long as it is not taken in, its group cannot be anybody else's.
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            ours = dead.si_pid in self._talks
            if ours:
                _signal_group(dead.si_pid, signal.SIGKILL)
            pid, status, used = os.wait4(dead.si_pid, 0)
            self._end_orphans()
            talk = self._talks.pop(pid, None)
            if talk is None:
                continue
            self._calls = {call: p for call, p in self._calls.items() if p != pid}
            if self._by_number.pop(talk.fileno(), None):
                self._poll.unregister(talk)
            peak = used.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)
            with suppress(OSError):
                talk.setblocking(False)  # an owner that does not read must not stop us
                talk.send(
                    wire.END.pack(wire.END_MARK, status, used.ru_utime + used.ru_stime, peak)
                )
            with suppress(OSError):
                talk.shutdown(socket.SHUT_RDWR)
            talk.close()

    def _end_all(self) -> None:
        for pid in self._talks:
            _signal_group(pid, signal.SIGKILL)
        until = time.monotonic() + _END_S
        while time.monotonic() < until:  # what the dead leave is ours a moment later
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            self._talks.pop(pid, None)
            self._end_orphans()
            if pid == 0:
                time.sleep(0.005)

    def _end_orphans(self) -> None:
        """End what a step that is dead left behind in sessions of its own.

        A step that lives adopts the orphans below it; so a child of ours that is no step's own
        process was left by one that has ended. What it leaves in turn is ours next.
        """
        for _ in range(_LOOKS):
            strays = [pid for pid in child.children_of(os.getpid()) if pid not in self._talks]
            for pid in strays:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    if os.waitpid(pid, os.WNOHANG)[0] == 0:
                        time.sleep(0.001)
            if not strays:
                return


def _close(number: int | None) -> None:
    if number is not None:
        os.close(number)


def _signal_group(pid: int, signum: int) -> None:
    for send in (os.killpg, os.kill):  # the second for a child that is not yet its own leader
        with suppress(ProcessLookupError, PermissionError):
            send(pid, signum)
            return


def import_quietly(names: Sequence[str]) -> None:
    """Import modules without their starting threads; what is not installed is passed over."""
    before = {key: os.environ.get(key) for key in QUIET}
    os.environ.update({k: v for k, v in QUIET.items() if k not in os.environ})
    gc.disable()  # what is imported stays, and is looked through once at the end
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.enable()
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)


def settle() -> None:
    """Make ready what every child will need, and keep its pages from being copied."""
    child.prepare()
    gc.collect()
    gc.freeze()  # or the first collection in every child would copy all these pages


def main() -> None:
    """Import what is wanted, then serve the owner on the inherited socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    first, *more = (words.split(",") for words in sys.argv[2:])
    import_quietly([name for name in first if name])
    settle()
    child.adopt_orphans()
    ForkServer(control, [name for names in more for name in names if name]).serve()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to answer
    main()

"""Keep web, engine and endpoints running as siblings. Standard library only, so it stays small.

Run by ``mainspring up`` as ``python -m mainspring.cli.supervisor --home HOME --port PORT``.
It starts the processes, restarts those that die, starts and stops endpoints as the engine asks,
and on SIGTERM or Ctrl-C drains all of them in order. If it dies itself, however it dies, its
processes see their links close and end too.
"""

import argparse
import contextlib
import json
import logging
import os
import re
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainspring.cli.child import Child, Command
from mainspring.cli.homes import is_ours, read_state, take_lock, write_state
from mainspring.cli.outputs import Outputs
from mainspring.cli.sockets import EndpointSocket, Ports, hold
from mainspring.cli.workers import END_S, Workers
from mainspring.ground import logs
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import ConflictError, MainspringError
from mainspring.ground.logfiles import keep

#: How long each turn of the drain may take before its processes are killed: 9 s in all.
DRAIN = (("web", 3.0), ("endpoint", 3.0), ("project", 0.5), ("engine", 2.5))
TRIM_EVERY_S = 5.0
#: What processes print is taken into the logs this often, and at once when one ends.
TAKE_EVERY_S = 1.0
KEEP_EVERY_S = 600.0
#: After a supervisor was killed, its processes are given this long to be gone.
ORPHANS_S = 5.0
_log = logging.getLogger("mainspring.supervisor")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
#: One process for all endpoints that share one.
HOST = "host"


def own_command(words: list[str], link: int) -> list[str]:
    """Return the command line of one of our processes."""
    # -P: the folder we stand in is the user's, and must not hide our own modules.
    return [sys.executable, "-P", "-m", "mainspring.cli.processes", *words, "--link", str(link)]


class Supervisor:
    """All processes of one home."""

    def __init__(
        self,
        home: Path,
        host: str,
        port: int,
        *,
        command: Command = own_command,
        say: Callable[[str], None] = print,
        report: Callable[[dict[str, Any]], None] = lambda _: None,
        project: bool = False,
        log_days: float = 14.0,
        log_mb: int = 256,
    ) -> None:
        self.home = home
        self.host = host
        self.port = port
        self._command = command
        self._print = say
        self._report = report
        self._log_days, self._log_mb = log_days, log_mb
        self._outputs = Outputs(home, days=log_days, most_mb=log_mb)
        self._children: dict[str, Child] = {}
        self._environ = _environment(home, host, port)
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._ports = Ports(home)
        self._workers: dict[str, Workers] = {}  #: of endpoints that have processes of their own
        self._watched: set[str] = set()  #: whose socket we listen to, as none of their own does
        self._stopping = False
        self._announced = False
        self._started = SystemClock().now()
        self._trimmed = self._taken = time.monotonic()
        self._kept = 0.0
        self._state: dict[str, Any] = {}
        for words in (["web"], ["engine"]):
            self._add(Child(words, command, home))
        if project:
            self._add(Child(["project"], command, home, once=True))

    @property
    def url(self) -> str:
        """Return where the web process answers."""
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"

    def run(self) -> int:
        """Supervise until asked to stop; return the exit code."""
        self._listen_to_signals()
        try:
            while not self._stopping:
                self._turn()
            self._drain()
        finally:
            for child in self._children.values():
                child.kill()
        return 0

    def _listen_to_signals(self) -> None:
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
        self._selector.register(self._wake, selectors.EVENT_READ)

    def _ask_to_stop(self, *_: object) -> None:
        self._stopping = True

    def _add(self, child: Child) -> None:
        self._children[child.name] = child

    def _turn(self) -> None:
        """Start what is due, wait for something to happen, and see what it was."""
        now = time.monotonic()
        for name, workers in self._workers.items():
            workers.look(self._of(name), now)
            self._watch(workers)
        for child in self._children.values():
            if child.wanted and child.process is None and child.due <= now:
                self._start(child)
        self._tell()
        self._wait(self._until_due(now))
        self._look()
        self._look_after_logs(time.monotonic())

    def _look_after_logs(self, now: float) -> None:
        """Take what was printed, and keep all logs within their bounds."""
        if now - self._taken >= TAKE_EVERY_S:
            self._taken = now
            self._outputs.drain()
        if now - self._trimmed > TRIM_EVERY_S:
            self._trimmed = now
            for child in self._children.values():
                child.trim_log()
        if now - self._kept > KEEP_EVERY_S:
            self._kept = now
            at, most = SystemClock().now(), self._log_mb * 1_000_000
            with contextlib.suppress(OSError):
                keep(self.home / "logs", days=self._log_days, most_bytes=most, now=at)

    def _say(self, line: str, level: int = logging.INFO) -> None:
        _log.log(level, "%s", line)
        self._print(line)

    def _start(self, child: Child) -> None:
        self._outputs.prepare(child.name)
        child.start(self._environ)
        self._outputs.follow(child.name, child.pid)
        _log.info("%s started", child.name, extra={"child": child.pid, "restarts": child.restarts})
        self._selector.register(_link(child), selectors.EVENT_READ)

    def _until_due(self, now: float) -> float:
        waits = [TAKE_EVERY_S]
        for child in self._children.values():
            if child.kill_at is not None:
                waits.append(child.kill_at - now)
            elif child.wanted and child.process is None:
                waits.append(child.due - now)
        return max(min(waits), 0.0)

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._wake:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            elif isinstance(key.data, Workers):
                key.data.knock(time.monotonic())

    def _look(self) -> None:
        """Hear messages, reap the dead, kill what has not ended in its time."""
        for child in list(self._children.values()):
            link = child.link
            for message in child.heard():
                self._hear(child, message)
            code = child.reap()
            if link is not None and child.link is None:
                self._selector.unregister(link)
            if code is not None:
                self._ended(child, code)
            elif child.kill_at is not None and time.monotonic() >= child.kill_at:
                child.kill()

    def _ended(self, child: Child, code: int) -> None:
        self._outputs.drain(child.name, final=True)
        if child.words[0] == "endpoint" and child.words[1] in self._workers:
            self._workers[child.words[1]].ended(child)
        if child.wanted:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            self._say(f"{child.name} {how}; it starts again ({child.log})", logging.ERROR)
        elif not self._stopping and not child.once:
            del self._children[child.name]

    def _hear(self, child: Child, message: dict[str, Any]) -> None:
        if "ready" in message:
            child.ready = True
        if child.name == "web" and child.ready and not self._announced:
            self._announced = True
            self._say(f"Mainspring is up at {self.url}")
            self._report({"url": self.url, "pid": os.getpid()})
        if child.words[0] == "endpoint" and child.words[1] in self._workers:
            self._workers[child.words[1]].hear(child, message, time.monotonic())
        if child.name == "engine" and isinstance(message.get("endpoints"), list):
            self._reconcile(message["endpoints"])
        for line in message.get("say", []) if child.name == "project" else []:
            self._say(str(line))

    def _reconcile(self, told: list[Any]) -> None:
        """Have workers for the endpoints that the engine wants, and none for others."""
        if self._stopping:
            return
        found = [{"name": one} if isinstance(one, str) else one for one in told]
        wanted = {one["name"]: one for one in found if _NAME.fullmatch(str(one.get("name")))}
        own = {name: one for name, one in wanted.items() if one.get("place") != "shared"}
        for name in self._workers.keys() - own.keys():
            self._dismiss(name)
        now = time.monotonic()
        for name in sorted(own):
            if name not in self._workers:
                socket_of = EndpointSocket(self.home, name, self._ports.listen(name))
                self._workers[name] = Workers(name, socket_of, self)
            self._workers[name].configure(own[name], now)
        self._host_for(len(wanted) - len(own))

    def _dismiss(self, name: str) -> None:
        """End an endpoint: refuse connections, and let its workers finish what they have."""
        workers = self._workers.pop(name)
        if name in self._watched:
            self._watched.remove(name)
            self._selector.unregister(workers.socket.socket)
        for child in self._of(name):
            self.end(child, END_S)
        workers.socket.close()

    def _host_for(self, endpoints: int) -> None:
        """Have the process that serves all endpoints which share one, if there are any."""
        child = self._children.get(HOST)
        if endpoints and child is None:
            # A space is in no name, so its port is nobody else's.
            shares = self._ports.listen(f"{HOST} ")
            self._add(Child([HOST], self._command, self.home, shares=shares))
        elif child is not None and not endpoints:
            self.end(child, END_S)
            if child.shares is not None:
                child.shares.close()

    def _of(self, name: str) -> list[Child]:
        return [child for child in self._children.values() if child.words == ["endpoint", name]]

    def begin(self, endpoint: str, worker: int) -> Child:
        """Start a worker of an endpoint at the next turn."""
        shares = self._workers[endpoint].socket.socket
        words = ["endpoint", endpoint]
        child = Child(words, self._command, self.home, shares=shares, worker=worker)
        self._add(child)
        return child

    def end(self, child: Child, within_s: float) -> None:
        """Ask a worker to finish what it has; it is killed if it takes longer."""
        if child.process is None:
            del self._children[child.name]
        else:
            child.ask_to_end(within_s)

    def _watch(self, workers: Workers) -> None:
        """Listen to the socket of an endpoint while no worker does, to start one when needed."""
        watched = workers.name in self._watched
        if workers.wanted == 0 and not watched:
            self._watched.add(workers.name)
            self._selector.register(workers.socket.socket, selectors.EVENT_READ, workers)
        elif workers.wanted and watched:
            self._watched.remove(workers.name)
            self._selector.unregister(workers.socket.socket)

    def _drain(self) -> None:
        """End all: 1. no new requests, 2. those in flight are answered, 3. leases given back."""
        self._say("Stopping")
        for kind, seconds in DRAIN:
            kinds = (kind, HOST) if kind == "endpoint" else (kind,)
            ending = [child for child in self._children.values() if child.words[0] in kinds]
            for child in ending:
                child.ask_to_end(seconds)
            for name in list(self._workers) if kind == "endpoint" else ():
                self._dismiss(name)
            while any(child.process for child in ending):
                self._wait(self._until_due(time.monotonic()))
                self._look()
        self._tell()
        (self.home / "run" / "supervisor.json").unlink(missing_ok=True)
        self._say("Stopped")

    def _tell(self) -> None:
        """Write what ``status`` shows, when it has changed."""
        state = {
            "pid": os.getpid(),
            "host": self.host,
            "port": self.port,
            "url": self.url,
            "started": self._started,
            "processes": [
                {"name": c.name, "pid": c.pid, "restarts": c.restarts, "ready": c.ready}
                for c in self._children.values()
                if not c.once
            ],
        }
        if state != self._state:
            try:
                write_state(self.home, state)
                self._state = state
            except OSError as error:  # a full disk: go on serving, try again at the next turn
                self._say(f"run/supervisor.json cannot be written: {error}", logging.ERROR)


def _link(child: Child) -> socket.socket:
    assert child.link is not None  # noqa: S101  it was started this moment
    return child.link


def _environment(home: Path, host: str, port: int) -> dict[str, str]:
    """Return what our processes inherit: this home, and no other server to talk to."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAINSPRING_URL", "MAINSPRING_TOKEN")}
    return kept | {
        "MAINSPRING_HOME": str(home),
        "MAINSPRING_HOST": host,
        "MAINSPRING_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }


def await_orphans(home: Path) -> None:
    """Wait for what a killed supervisor had started: it is ending, and still holds the port."""
    pids = [p.get("pid") for p in read_state(home).get("processes", [])]
    until = time.monotonic() + ORPHANS_S
    while time.monotonic() < until and any(isinstance(p, int) and is_ours(p) for p in pids):
        time.sleep(0.05)


def supervise(home: Path, host: str, port: int, **options: Any) -> int:
    """Hold the home and keep its processes until asked to stop; return the exit code.

    Raises:
        ConflictError: if the home is up already.
        BadInputError: if the port is in use.
    """
    lock = take_lock(home)
    if lock is None:
        state = read_state(home)
        raise ConflictError(
            f"{home} is up already: pid {state.get('pid')} at {state.get('url')}.",
            hint="End it with: mainspring stop",
        )
    try:
        await_orphans(home)
        for folder in (home / "logs", home / "run" / "endpoints"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with hold(host, port) as held:
            found = Supervisor(home, host, held.port, **options)
            bounds = {"days": options.get("log_days", 14.0), "most_mb": options.get("log_mb", 256)}
            with contextlib.closing(logs.begin(home, "supervisor", **bounds)):
                return found.run()
    finally:
        os.close(lock)


def main() -> int:
    """Run the supervisor as its own program."""
    parser = argparse.ArgumentParser(prog="mainspring up")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8750)
    parser.add_argument("--project", action="store_true")
    parser.add_argument("--log-days", type=float, default=14.0)
    parser.add_argument("--log-mb", type=int, default=256)
    parser.add_argument("--report", type=int, help="descriptor told once when up, or why not")
    asked = parser.parse_args()

    def report(message: dict[str, Any]) -> None:
        if asked.report is not None:
            with contextlib.suppress(OSError):  # who asked may be gone
                os.write(asked.report, json.dumps(message).encode() + b"\n")
            with contextlib.suppress(OSError):
                os.close(asked.report)

    try:
        return supervise(
            asked.home,
            asked.host,
            asked.port,
            project=asked.project,
            log_days=asked.log_days,
            log_mb=asked.log_mb,
            say=lambda line: print(line, flush=True),  # noqa: T201  the terminal's
            report=report,
        )
    except MainspringError as error:
        report(error.as_dict() | {"exit": error.exit_code})
        print(f"error: {error.message}", file=sys.stderr)  # noqa: T201
        print(f"hint: {error.hint}", file=sys.stderr)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

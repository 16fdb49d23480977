"""Start a PostgreSQL server to throw away, and stop it at the end.

It keeps its promises as a real one does (fsync stays on) and answers on a Unix socket and
on a free port of the loopback interface. The server refuses to run as root, so root hands
it to an unprivileged user.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainspring.ground.errors import UnavailableError
from mainspring.ground.extras import need
from mainspring.ground.held import Held

PATIENCE_S = 60.0
_OPTIONS = (
    "-c max_connections=60",
    "-c shared_buffers=32MB",
    "-c timezone=UTC",
    "-c listen_addresses=127.0.0.1",
)


class PostgresServer:
    """A cluster in a folder of its own; ``with PostgresServer() as server: server.url``."""

    def __init__(self) -> None:
        self._bin = find_binaries()
        self._user = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="mainspring-pg-"))
        self._data = self._folder / "data"
        self._held = Held("127.0.0.1")
        self.port = self._held.port
        self._templates: set[str] = set()
        self._mutex = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the cluster's own database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://mainspring@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> PostgresServer:
        if self._user is not None:
            os.chown(self._folder, *self._user)
        atexit.register(self.stop)  # also when the tests are interrupted
        try:
            self._run(
                "initdb", "-D", str(self._data), "-U", "mainspring", "-A", "trust", "-E", "UTF8"
            )
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [
            *(str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port)),
            *(word for option in _OPTIONS for word in option.split(" ")),
            *("-k", str(self._folder)),
        ]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603  found by us
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user()
            )
        give_up = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > give_up:
                raise UnavailableError(f"PostgreSQL did not start: {self._log_end()}")
            time.sleep(0.05)

    def stop_hard(self) -> None:
        """Stop it as a crash would: the next start has to recover."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """Stop it and take its folder away."""
        atexit.unregister(self.stop)
        self._end(signal.SIGINT)  # "fast": open sessions are ended
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, database: str, template: str = "template0") -> str:
        """Create a database, empty or a copy of another that nobody is connected to.

        Returns its URL.
        """
        self._say(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url_of(database)

    def copy(self, database: str, template: str, fill: Callable[[str], None]) -> str:
        """Create a database as a copy of a template, which ``fill`` lays out the first time.

        ``fill`` gets the template's URL and must have let go of it when it returns. A copy takes
        a tenth of the time of laying a schema out anew. Returns the copy's URL.
        """
        with self._mutex:
            if template not in self._templates:
                fill(self.create(template))
                self._templates.add(template)
        return self.create(database, template)

    def drop(self, database: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._say(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _say(self, statement: str) -> None:
        driver = need("psycopg", extra="postgres", purpose="Testing on PostgreSQL")
        with driver.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _end(self, signum: int) -> None:
        if self._server is None:
            return
        self._server.send_signal(signum)
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def _answers(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603  found by us
            [str(self._bin / name), *arguments],
            check=False,
            capture_output=True,
            text=True,
            **self._as_user(),
        )
        if done.returncode:
            raise UnavailableError(f"{name} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _as_user(self) -> dict[str, Any]:
        """Return how a process is started for the server's user, from a folder it may see."""
        options: dict[str, Any] = {"cwd": str(self._folder)}
        if self._user is not None:
            user, group = self._user
            options |= {"user": user, "group": group, "extra_groups": []}
        return options

    def _log_end(self) -> str:
        log = self._folder / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "it wrote no log"


def find_binaries() -> Path:
    """Return the folder with initdb and postgres.

    Raises:
        UnavailableError: if PostgreSQL's server programs are not installed.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("pg_config"):
        asked = subprocess.run([found, "--bindir"], check=False, capture_output=True, text=True)  # noqa: S603
        folders.insert(0, Path(asked.stdout.strip()))
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise UnavailableError(
        "PostgreSQL's server is not installed.", hint="Run: apt-get install postgresql"
    )


def _unprivileged() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise UnavailableError("PostgreSQL refuses root, and there is no user postgres or nobody.")

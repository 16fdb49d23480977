"""Fixtures that every part's tests may use: real databases, one per test; how laws are tried."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import MetaData

from mainspring.backends.executors import local
from mainspring.backends.sql import Guard, SqlStore, open_store, schema
from mainspring.ground.clock import Clock, TurnedClock
from mainspring.pipelines import project
from mainspring.pipelines.outputs import pickled
from mainspring.testing.postgres import PostgresServer
from mainspring.workspace import opening

sys.path.insert(0, str(Path(__file__).parent))

import warm

_NUMBERS = itertools.count(1)
_MEMORY = Path("/dev/shm")
_ROOM = 8 << 30  #: bytes; what the tests of two workers leave lying about at a time is far less


def _write_to_memory() -> None:
    """Keep what tests write in memory where there is room: they waited for fsync, mostly.

    They show the same there: a process that is killed loses no page it wrote to either. A
    ``TMPDIR`` set by hand is kept.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM
    runs = roomy and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC  # tests make environments
    if runs and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # whoever asked before may have been told of the disk


_write_to_memory()


def _wait_for_answers() -> None:
    """Let httpx wait: the five seconds it gives an answer by itself are a busy machine's."""
    usual = httpx._config.DEFAULT_TIMEOUT_CONFIG
    usual.connect = usual.read = usual.write = usual.pool = 120.0


_wait_for_answers()

# Threads of a training that wait for each other spin, and take the cores from all beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

#: A change is judged by the same examples, seeds and order of tests each time: a draw that finds
#: what was wrong before it says nothing of it, and would refuse it. ``make soak`` draws anew.
DRAWS = "MAINSPRING_SOAK" in os.environ
SEED = 20_261_129

# A law holds or it does not, however busy the machine: no example has a time to be done in.
settings.register_profile(
    "any",
    deadline=None,
    derandomize=not DRAWS,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any")


#: Files that take long, by how long: begun first, or one worker ends with them alone.
LONG = (
    "cli/demo/test_demo.py",
    "workspace/test_kill_points.py",
    "web/pages/test_monitoring_pages_browser.py",
    "web/pages/test_pages_browser.py",
    "docs/test_trying_howtos.py",
    "workspace/packaging/test_images.py",
    "cli/test_starter_score.py",
    "cli/test_integration_commands.py",
    "acceptance/test_first_hour.py",
    "wire/test_wire_clients.py",
    "cli/test_starter.py",
    "cli/test_judging_commands.py",
    "cli/test_home.py",
    "web/pages/test_run_pages_hostile.py",
    "web/pages/test_run_pages_browser.py",
    "workspace/test_trying_over_http.py",
    "cli/test_forms_commands.py",
    "docs/test_package_howto.py",
    "docs/test_served_elsewhere_howto.py",
    "workspace/chaos/test_chaos.py",
    "web/pages/test_step_pages_browser.py",
    "acceptance/test_strangers_access.py",
    "loop/test_simulation.py",
    "workspace/test_switching.py",
    "workspace/test_keeping_whole_loop.py",
    "workspace/around/test_around.py",
    "wire/test_wire_pyfunc.py",
    "workspace/test_handing_on.py",
)
_HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist keep our order of files: its own ends with those of one long test."""
    config.option.loadscopereorder = False
    if not DRAWS and getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = SEED


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long; the rest stays shuffled, each time alike."""
    places = {_HERE / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


@pytest.fixture(autouse=True)
def _nothing_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs keep what they are told alone; a test of what they capture turns it on."""
    monkeypatch.setenv("MAINSPRING_CAPTURE", "false")


@pytest.fixture(autouse=True)
def _in_no_home() -> None:
    """Begin in no home: a test whose steps ran in this process leaves its own behind."""
    pickled.leave()


@pytest.fixture(scope="session", autouse=True)
def _keep_the_tests() -> Iterator[None]:
    """Let no project that is looked for in this repository drop the modules of the tests.

    A class of theirs would be another one afterwards, and no pickle of it could be written.
    """
    ours, forget = Path(__file__).parents[1], project._forget_inside
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project, "_forget_inside", lambda root: root == ours or forget(root))
        yield


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Fork the fork servers of this process's homes from a warm one: see :mod:`warm`."""
    with pytest.MonkeyPatch.context() as patch, closing(warm.Warm()) as servers:
        patch.setattr(local, "begin", servers.begin)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started when the first test asks for it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of that server's own database."""
    return postgres_server.url


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Make PostgreSQL databases; each call gives the URL of a new one.

    It is empty, or ``new_database(laid_out=True)`` a copy of one that a home has laid out.
    """
    made: list[str] = []

    def make(*, laid_out: bool = False) -> str:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made.append(f"t{os.getpid()}_{next(_NUMBERS)}")
        if laid_out:
            return copy_of(server, made[-1], opening.metadata(), opening.guards())
        return server.create(made[-1])

    yield make
    for name in made:
        request.getfixturevalue("postgres_server").drop(name)


def copy_of(
    server: PostgresServer, name: str, parts: Sequence[MetaData], guards: Sequence[Guard]
) -> str:
    """Return the URL of a new database with these tables and guards and no rows."""
    layout = schema.layout_of(*schema.all_parts(parts, guards))

    def fill(url: str) -> None:
        open_store(url, parts, TurnedClock(1e9), guards).close()

    return server.copy(name, f"layout_{layout[:24]}", fill)


class Place:
    """A test's database: whoever asks first says whether it begins empty or laid out."""

    def __init__(self, kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
        self.kind = kind
        self._folder = folder
        self._request = request
        self._name = f"t{os.getpid()}_{next(_NUMBERS)}"
        self._url: str | None = None
        self._mutex = threading.Lock()

    def url(self, make: Callable[[PostgresServer, str], str] = PostgresServer.create) -> str:
        """Return its URL; ``make`` makes a PostgreSQL database the first time."""
        with self._mutex:
            if self.kind == "sqlite":
                return f"sqlite:///{self._folder}/home/test.db"
            if self._url is None:
                self._url = make(self._request.getfixturevalue("postgres_server"), self._name)
            return self._url

    def close(self) -> None:
        """Take it away."""
        if self._url is not None:
            self._request.getfixturevalue("postgres_server").drop(self._name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A database of each kind."""
    if request.param == "postgresql":
        request.getfixturevalue("postgres_server")  # so that it outlives this
    place = Place(request.param, tmp_path, request)
    yield place
    place.close()


@pytest.fixture
def database_url(database: Place) -> str:
    """An empty database of each kind."""
    return database.url()


@pytest.fixture
def home_url(database: Place) -> str:
    """A database of each kind; the one on a server is laid out as a home's already."""
    return database.url(
        lambda server, name: copy_of(server, name, opening.metadata(), opening.guards())
    )


@pytest.fixture
def open_test_store(database: Place) -> Iterator[Callable[..., SqlStore]]:
    """Open the test's own database: ``open_test_store([METADATA], guards=(), clock=None)``.

    Each call opens the same database once more. Every test that uses it runs on SQLite and
    on PostgreSQL; there it begins as a copy of one that was laid out before.
    """
    opened: list[SqlStore] = []

    def open_it(
        metadata: MetaData | Sequence[MetaData],
        guards: Sequence[Guard] = (),
        clock: Clock | None = None,
    ) -> SqlStore:
        parts = [metadata] if isinstance(metadata, MetaData) else metadata
        url = database.url(lambda server, name: copy_of(server, name, parts, guards))
        store = open_store(url, parts, clock or TurnedClock(1e9), guards)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()

"""Fixtures that every part's tests may use: real databases, one per test; how laws are tried."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import MetaData

from mainspring.backends.sql import Guard, SqlStore, open_store
from mainspring.ground.clock import Clock, TurnedClock
from mainspring.testing.postgres import PostgresServer

_NUMBERS = itertools.count(1)

# A law holds or it does not, however busy the machine: no example has a time to be done in.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


@pytest.fixture(autouse=True)
def _nothing_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs keep what they are told alone; a test of what they capture turns it on."""
    monkeypatch.setenv("MAINSPRING_CAPTURE", "false")


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
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Make empty PostgreSQL databases; each call gives the URL of a new one."""
    made: list[str] = []

    def make() -> str:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = f"t{os.getpid()}_{next(_NUMBERS)}"
        made.append(name)
        return server.create(name)

    yield make
    for name in made:
        request.getfixturevalue("postgres_server").drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]
) -> str:
    """An empty database of each kind."""
    return f"sqlite:///{tmp_path}/home/test.db" if request.param == "sqlite" else new_database()


@pytest.fixture
def open_test_store(database_url: str) -> Iterator[Callable[..., SqlStore]]:
    """Open the test's own database: ``open_test_store([METADATA], guards=(), clock=None)``.

    Each call opens the same database once more. Every test that uses it runs on SQLite and
    on PostgreSQL.
    """
    opened: list[SqlStore] = []

    def open_it(
        metadata: MetaData | Sequence[MetaData],
        guards: Sequence[Guard] = (),
        clock: Clock | None = None,
    ) -> SqlStore:
        parts = [metadata] if isinstance(metadata, MetaData) else metadata
        store = open_store(database_url, parts, clock or TurnedClock(1e9), guards)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()

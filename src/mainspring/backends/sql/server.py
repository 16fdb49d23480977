"""Reach a PostgreSQL server, and wait for one that is just coming up."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mainspring.ground.errors import UnavailableError
from mainspring.ground.extras import need

PATIENCE_S = 10.0  #: how long a server may be away, restarts included, before we give up
_SETTINGS = (
    "SET synchronous_commit = on",  # a server that was set to lie about commits is overruled
    "SET idle_in_transaction_session_timeout = '60s'",  # a stopped process must not hold all up
    "SET timezone = 'UTC'",
    "SET client_min_messages = warning",
)


class Server:
    """Where connections come from, and how long we wait for them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._driver: ModuleType = need(
            "psycopg", extra="postgres", purpose="Storing in PostgreSQL"
        )
        self._engine = create_engine(
            "postgresql+psycopg://", creator=self._connect, poolclass=NullPool
        )

    def connect(self, patience_s: float = PATIENCE_S) -> Connection:
        """Return a new connection, waiting for a server that is just coming up.

        Raises:
            UnavailableError: if it does not answer in time.
        """
        give_up = time.monotonic() + patience_s
        pause_s = 0.05
        while True:
            try:
                return self._engine.connect()
            except (DBAPIError, self._driver.OperationalError) as error:
                cause = getattr(error, "orig", None) or error
                # A wrong password stays wrong; the server says so, a missing server cannot.
                refused = (getattr(cause, "sqlstate", None) or "")[:2] in {"28", "3D"}
                if refused or time.monotonic() + pause_s > give_up:
                    text = str(cause).strip().splitlines()
                    raise UnavailableError(
                        f"The database server does not let us in: {text[0] if text else cause}",
                        hint="Is it running, and is the URL right?",
                    ) from error
            time.sleep(pause_s)
            pause_s = min(1.0, pause_s * 2)

    def _connect(self) -> Any:
        connection = self._driver.connect(self._url, autocommit=True, connect_timeout=5)
        for setting in _SETTINGS:
            connection.execute(setting)
        return connection


def is_lost(error: DBAPIError) -> bool:
    """Return whether the connection is gone and not merely a statement refused."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return (
        error.connection_invalidated or state[:2] == "08" or state in {"57P01", "57P02", "57P03"}
    )

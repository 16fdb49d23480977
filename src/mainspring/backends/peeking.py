"""Look into a home's database without SQLAlchemy, in milliseconds: SQLite by the standard library.

Only for what must answer before SQLAlchemy could be imported, such as a shell that completes a
word. Nothing is written, and whatever cannot be read is nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

_WAIT_S = 0.2  #: for who holds the file


def texts(file: Path, statement: str, given: Iterable[str] = ()) -> list[str]:
    """Return the first column of what a statement finds; nothing if it cannot be asked."""
    if not file.is_file():
        return []
    address = f"file:{quote(str(file))}?mode=ro"
    with contextlib.suppress(sqlite3.Error):
        found = sqlite3.connect(address, uri=True, timeout=_WAIT_S)
        try:
            return [str(row[0]) for row in found.execute(statement, tuple(given))]
        finally:
            found.close()
    return []


def texts_of_postgres(url: str, statement: str, given: Iterable[str] = ()) -> list[str]:
    """Return the same of a database on PostgreSQL; nothing if psycopg is not installed.

    Raises:
        OSError: if it cannot be asked.
    """
    try:
        import psycopg
    except ImportError:
        return []
    asked = statement.replace("%", "%%").replace("?", "%s")
    bounds = f"-c statement_timeout={int(_WAIT_S * 1000)} -c default_transaction_read_only=on"
    try:
        with psycopg.connect(url, connect_timeout=2, options=bounds) as link:
            found = link.execute(asked.encode(), tuple(given)).fetchall()
    except psycopg.Error as error:
        raise OSError(str(error)) from error
    return [str(row[0]) for row in found]

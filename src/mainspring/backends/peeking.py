"""Look into a home's SQLite file by the standard library alone, in milliseconds.

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

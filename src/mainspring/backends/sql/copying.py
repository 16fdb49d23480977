"""Copy a SQLite file aside, whole and checked, before anything in it is changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mainspring.ground.errors import StoreError

PAGES = 4096  #: copied at a time; the lock of the file is ours, so no one makes it begin anew


def copy_aside(path: Path, target: Path) -> Path:
    """Copy the database at ``path`` to ``target``, for the owner alone, and return ``target``.

    (1) Copy to a file beside it by SQLite's own means, the write-ahead log included; (2) check
    every page and index of the copy; (3) flush it; (4) give it its name, over an older copy;
    (5) flush the folder. The caller keeps writers out.

    Raises:
        StoreError: if the disk is too small or the database is damaged.
    """
    temp = target.with_name(f"{target.name}.part")
    temp.unlink(missing_ok=True)
    try:
        os.close(os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with (
            closing(sqlite3.connect(path, isolation_level=None)) as source,
            closing(sqlite3.connect(temp, isolation_level=None)) as copy,
        ):
            source.backup(copy, pages=PAGES)
            copy.execute("PRAGMA journal_mode=DELETE")
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(
                f"The database {path} is damaged and was not touched: {found}",
                hint="Restore it from a backup.",
            )
        _flush(temp)
        temp.replace(target)
        _flush(target.parent)
    except (sqlite3.Error, OSError) as error:
        size_mb = path.stat().st_size / 1e6
        raise StoreError(
            f"The database {path} could not be copied to {target} before its upgrade: {error}.",
            hint=f"The copy takes {size_mb:.1f} MB; nothing was changed.",
        ) from error
    finally:
        temp.unlink(missing_ok=True)
    return target


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)

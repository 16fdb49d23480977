"""Copy a home, and take from the copy everything that could reach outside of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from mainspring.ground.errors import BadInputError, StoreError
from mainspring.ground.settings import FILE, Settings

#: Who is told, who may ask, what starts by itself.
_REACHES_OUT = ("channels", "webhooks", "registry_events", "tokens", "schedules", "triggers")
_FINAL = "('done', 'failed', 'skipped', 'cancelled')"


def copy_home(settings: Settings, folder: Path) -> Settings:
    """Copy a home into an empty folder and return the settings of the copy.

    The database is copied as of one moment, also while it is in use. Objects are linked where
    that is possible: they are written once. Nobody is told anything by the copy, nothing in it
    starts by itself, and no code of the project is found by it.

    Raises:
        BadInputError: if the home is not a folder with a SQLite database, or is too large.
    """
    source = settings.database_url.removeprefix("sqlite:///")
    if not settings.database_url.startswith("sqlite:") or "://" in settings.objects_url:
        raise BadInputError(
            "Only a home with SQLite and a folder of objects is copied, found"
            f" {settings.database_url.partition(':')[0]} and {settings.objects_url}.",
            field="chaos",
            hint="Restore a backup into a home of its own, and try it there.",
        )
    (folder / FILE).write_text("")
    home = folder / ".mainspring"
    home.mkdir(mode=0o700)
    old = Path(settings.home)
    _room_for(old, folder)
    for name in ("captures", "journals"):
        if (old / name).is_dir():
            shutil.copytree(old / name, home / name, ignore=shutil.ignore_patterns("*.part"))
    if Path(settings.objects_url).is_dir():
        shutil.copytree(settings.objects_url, home / "objects", copy_function=_link)
    if Path(source).exists():
        _copy_database(Path(source), home / "mainspring.db", folder)
    return Settings(root=str(folder), home=str(home), host="127.0.0.1", port=0)


def _room_for(home: Path, folder: Path) -> None:
    parts = [home / "captures", home / "journals", *home.glob("mainspring.db*")]
    size = sum(
        f.stat().st_size for part in parts for f in ([part, *part.rglob("*")]) if f.is_file()
    )
    free = shutil.disk_usage(folder).free
    if size * 2 > free:
        raise BadInputError(
            f"The copy takes {size / 1e6:.0f} MB and may grow; {free / 1e6:.0f} MB are free at"
            f" {folder}.",
            field="chaos",
            hint="Set TMPDIR to a folder with more room.",
        )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def _copy_database(source: Path, target: Path, root: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as before,
            closing(sqlite3.connect(target)) as copy,
        ):
            before.backup(copy)
            there = {
                row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
            for table in there & set(_REACHES_OUT):
                copy.execute(f"DELETE FROM {table}")  # noqa: S608  names of ours
            if "tasks" in there:  # what is under way may be the user's code
                copy.execute(
                    f"""UPDATE tasks SET state = 'cancelled', unfinished = 0
                        WHERE "group" IS NOT NULL AND state NOT IN {_FINAL}"""  # noqa: S608
                )
                copy.execute("UPDATE runs SET status = 'cancelled' WHERE status = 'running'")
            if "loops" in there:
                _lead_nowhere(copy, root)
            copy.commit()
        target.chmod(0o600)
    except sqlite3.Error as error:
        raise StoreError(
            f"The database {source} could not be copied: {error}.",
            hint="Look at it first: mainspring doctor",
        ) from error


def _lead_nowhere(copy: sqlite3.Connection, root: Path) -> None:
    """Let loops look for their project in the copy's folder, where there is none."""
    rows = copy.execute("SELECT name, version, spec FROM loops").fetchall()
    for name, version, text in rows:
        spec = msgspec.json.decode(text) | {"root": str(root)}
        copy.execute(
            "UPDATE loops SET spec = ? WHERE name = ? AND version = ?",
            (msgspec.json.encode(spec).decode(), name, version),
        )

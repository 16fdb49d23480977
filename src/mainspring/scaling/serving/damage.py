"""Find captured rows whose bytes are not what was written, and set their files aside.

A frame of a segment has a checksum of its own, a Parquet file a digest in the index, looked at
once a process before the file is read. What is damaged is never read as if it were data, and
never deleted by us: it goes to :data:`FOLDER`, for whoever wants to look at it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from mainspring.scaling.serving.index import FOLDER, Index, Kept

MOST_FILES = 20  #: set aside at a time; the oldest give way
_log = logging.getLogger(__name__)

_sound: dict[tuple[str, int, int], str] = {}  # (path, size, mtime) -> digest
_lock = threading.Lock()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sound(path: Path, digest: str) -> bool:
    """Return whether a file holds what was written; one from before digests is believed.

    Raises:
        OSError: if it cannot be read, or has gone.
    """
    if not digest:
        return True
    told = path.stat()
    key = (str(path), told.st_size, told.st_mtime_ns)
    with _lock:
        known = _sound.get(key)
    if known is None:
        known = digest_of(path)
        with _lock:
            if len(_sound) > 10_000:
                _sound.clear()
            _sound[key] = known
    return known == digest


def sound(folder: Path, files: Iterable[Kept]) -> tuple[list[Kept], list[Kept]]:
    """Return which files of an index hold what was written, and which do not."""
    good: list[Kept] = []
    bad: list[Kept] = []
    for file in files:
        (good if is_sound(folder / file.name, file.digest) else bad).append(file)
    for file in bad:
        _log.error("%s of %s is damaged: its rows are left out", file.name, folder.name)
    return good, bad


def set_aside(folder: Path, name: str) -> None:
    """Keep a damaged file under its name in :data:`FOLDER`; its first place is the caller's."""
    aside = folder / FOLDER
    aside.mkdir(mode=0o700, exist_ok=True)
    if not (aside / name).exists():
        os.link(folder / name, aside / name)
    for old in sorted(aside.iterdir(), key=lambda path: path.stat().st_mtime)[:-MOST_FILES]:
        old.unlink(missing_ok=True)


def counted(index: Index, found: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return what an index tells of damage, with more of it: lost rows by file, newest last."""
    return dict(list({**index.damaged, **dict(found)}.items())[-100:])

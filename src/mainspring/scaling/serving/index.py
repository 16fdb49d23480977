"""The index of a folder of captures: what it holds, takes, and had to let go. Light to import."""

from __future__ import annotations

from pathlib import Path

import msgspec

INDEX = "index.json"
FOLDER = "damaged"  #: where files go whose bytes are not what was written; see ``damage.py``


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file that counts."""

    name: str
    low: float
    high: float
    rows: int
    bytes: int
    received: float | None = None  #: when the last of its rows came; None: not known
    digest: str = ""  #: SHA-256 of the file; empty: from before there were any


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder of captures holds beside its segments, oldest first."""

    files: list[Kept] = []
    folded: list[str] = []  #: segments whose rows are in the files; about to be deleted
    dropped_rows: int = 0
    dropped_bytes: int = 0
    newest: float | None = None  #: the watermark of all rows folded, of dropped rows too
    fed: dict[str, int] = {}  #: rows of the last batches fed, by name; see ``feeding.publish``
    damaged: dict[str, int] = {}  #: rows lost by damaged file, newest last
    damaged_rows: int = 0  #: of all, ever


def read_index(folder: Path) -> Index:
    """Return the index of a folder; an empty one where there is none yet."""
    try:
        return msgspec.json.decode((folder / INDEX).read_bytes(), type=Index)
    except FileNotFoundError:
        return Index()


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder of captures takes, and what had to go since its first day."""

    bytes: int = 0
    dropped_rows: int = 0
    dropped_bytes: int = 0
    damaged_rows: int = 0


def use(folder: Path) -> Use:
    """Return what a folder of captures takes; nothing where there is no folder."""
    if not folder.is_dir():
        return Use()
    index = read_index(folder)
    return Use(
        bytes=sum(size(path) for path in folder.iterdir()),
        dropped_rows=index.dropped_rows,
        dropped_bytes=index.dropped_bytes,
        damaged_rows=index.damaged_rows,
    )


def size(path: Path) -> int:
    """Return the bytes of a file, 0 if it has gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

"""The tables in a version: which files they are, what their columns hold, counted once a file.

What a file holds never changes under its digest, so its profile is counted once and kept in the
home's cache; the profile of a table of many parts is put together from those of its parts.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from mainspring.ground.identity import sha256
from mainspring.ground.profiles import Profile
from mainspring.monitoring import streams
from mainspring.numerics import merging
from mainspring.pipelines.data import fetching
from mainspring.pipelines.data.manifest import Entry
from mainspring.workspace.data.places import Tell

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

#: Part of a kept profile's name: another way of counting finds none of the old ones.
_COUNTED = 1
SUFFIXES = (
    *streams.PARQUET,
    *streams.ARROW,
    *streams.JSON_LINES,
    *(one for one in streams.CSV if one != ".txt"),
)


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two that are compared: its files, and how to read one of them here."""

    name: str  #: as people call it: flights@7, or a path
    digest: str
    entries: Sequence[Entry]
    open: Callable[[Entry, Path], Path]  #: (file, folder for copies) -> where it is to be read
    root: str = ""  #: where the files are, if they lie in the file system


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A table within a side: the files that hold its rows, in order."""

    name: str  #: the path of the one file; of many parts the folder, ``.`` for all of it
    parts: Sequence[Entry]


def tables_of(entries: Sequence[Entry]) -> dict[str, Part]:
    """Return the tables among some files, by name.

    Files of one kind in one folder, or in its ``key=value`` folders, whose names are but numbers
    of parts (``part-0``, ``0.parquet``, a digest) are one table; any other file is one by itself.
    """
    found = [one for one in entries if _suffix(one.path) in SUFFIXES and not _hidden(one.path)]
    groups: dict[tuple[str, str], list[Entry]] = {}
    for one in found:
        groups.setdefault((_folder(one.path), _suffix(one.path)), []).append(one)
    out: dict[str, Part] = {}
    for (folder, _), parts in sorted(groups.items()):
        if len(parts) > 1 and all(_is_part(one.path) for one in parts):
            name = folder or "."
            out[name] = Part(name=name, parts=parts)
        else:
            out |= {one.path: Part(name=one.path, parts=[one]) for one in parts}
    return out


def profile_of(
    ws: Workspace, side: Side, table: Part, tell: Tell, known: Mapping[str, Profile] | None = None
) -> Profile:
    """Return the profile of a table, put together from those of its files.

    Raises:
        BadInputError: if a file is no table that can be read.
    """
    whole: Profile | None = None
    for number, entry in enumerate(table.parts):
        tell(f"counting {entry.path}", number, len(table.parts))
        one = (known or {}).get(entry.sha256) or _profile(ws, side, entry)
        whole = one if whole is None else merging.merge_profiles(whole, one)
    return whole if whole is not None else Profile(rows=0, columns=[])


def schema_of(side: Side, table: Part) -> dict[str, str]:
    """Return the columns with the types that the first file says; none for CSV and JSON lines."""
    first = table.parts[0]
    scan = _SCANS.get(_suffix(first.path))
    if scan is None:
        return {}
    with opened(side, first) as file:
        return {name: str(kind) for name, kind in scan(file).collect_schema().items()}


def lazy_of(side: Side, table: Part, folder: Path) -> pl.LazyFrame:
    """Return all rows of a table as one lazy frame; of CSV and JSON lines every value as text."""
    frames = []
    for entry in table.parts:
        file, suffix = side.open(entry, folder), _suffix(entry.path)
        if suffix in _SCANS:
            frames.append(_SCANS[suffix](file))
        elif suffix in streams.JSON_LINES:
            frames.append(pl.scan_ndjson(file, infer_schema_length=None))
        else:
            separator = "\t" if suffix == ".tsv" else ","
            frames.append(pl.scan_csv(file, separator=separator, infer_schema=False))
    return pl.concat(frames, how="diagonal_relaxed")


@contextmanager
def opened(side: Side, entry: Entry) -> Iterator[Path]:
    """Give a file of a side, by its own ending, to be read."""
    with tempfile.TemporaryDirectory(prefix="mainspring-diff-") as folder:
        yield side.open(entry, Path(folder))


def from_objects(ws: Workspace) -> Callable[[Entry, Path], Path]:
    """Return what brings a file of a version into a folder, verified."""

    def bring(entry: Entry, folder: Path) -> Path:
        target = folder / f"{entry.sha256}{_suffix(entry.path)}"
        if not target.exists():
            fetching.fetch(entry, ws.objects, target)
        return target

    return bring


def is_known(ws: Workspace, entry: Entry) -> bool:
    """Return whether a file was counted already."""
    return _kept_at(ws, entry).exists()


def _kept_at(ws: Workspace, entry: Entry) -> Path:
    named = sha256(f"{entry.sha256} {_suffix(entry.path)} {_COUNTED}".encode())
    return ws.home / "cache" / "data-profiles" / f"{named}.json"


def _profile(ws: Workspace, side: Side, entry: Entry) -> Profile:
    file = _kept_at(ws, entry)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Profile)
    except (FileNotFoundError, msgspec.MsgspecError):
        pass  # not counted yet, or half written: it is counted
    with opened(side, entry) as place:
        found = streams.profile_table(place)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_suffix(f".{secrets.token_hex(8)}")
    part.write_bytes(msgspec.json.encode(found))
    part.replace(file)
    return found


_SCANS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    **dict.fromkeys(streams.PARQUET, pl.scan_parquet),
    **dict.fromkeys(streams.ARROW, pl.scan_ipc),
}


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _folder(path: str) -> str:
    parts = [one for one in PurePosixPath(path).parts[:-1] if "=" not in one]
    return "/".join(parts)


def _is_part(path: str) -> bool:
    """Return whether a file's name, without words that say part, is a number or a digest."""
    stem = PurePosixPath(path).stem.lower()
    for word in ("part", "chunk", "data", "rows", "shard"):
        stem = stem.removeprefix(word)
    stem = stem.strip("-_.")
    number = all(letter in "0123456789-_." for letter in stem)
    return number or (len(stem) >= 16 and all(letter in "0123456789abcdef-" for letter in stem))


def _hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in PurePosixPath(path).parts)

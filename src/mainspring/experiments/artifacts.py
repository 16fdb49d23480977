"""Artifacts: which bytes a run keeps under which path. The bytes are objects, by digest."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, func, insert, select

from mainspring.experiments.paths import check_path
from mainspring.experiments.tables import artifacts
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.identity import check_digest
from mainspring.ground.ports import Tx

__all__ = ["Artifact", "Entry", "check_path", "entries", "get", "put", "remove"]


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a run."""

    path: str
    digest: str
    size: int
    time: float  #: UTC seconds


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a folder's listing."""

    path: str  #: from the run's root
    size: int | None  #: None for a folder


def put(tx: Tx, run: str, path: str, digest: str, size: int, at: float) -> None:
    """Keep bytes under a path, over what was there.

    Raises:
        BadInputError: if the path cannot be one.
        ConflictError: if a file stands where a folder would have to be, or the other way.
    """
    check_path(path)
    check_digest(digest)
    parts = path.split("/")
    above = ["/".join(parts[:n]) for n in range(1, len(parts))]
    file = next((p for p in above if _one(tx, run, p) is not None), None)
    if file is not None:
        raise ConflictError(f"{file} is a file, so {path} cannot be in it.", field="path")
    if _below(tx, run, path):
        raise ConflictError(f"{path} is a folder and cannot become a file.", field="path")
    tx.run(delete(artifacts).where((artifacts.c.run == run) & (artifacts.c.path == path)))
    cells = {"run": run, "path": path, "digest": digest, "size": size, "time": at}
    tx.run(insert(artifacts).values(**cells))


def get(tx: Tx, run: str, path: str) -> Artifact:
    """Return one file.

    Raises:
        NotFoundError: if there is none at that path.
    """
    found = _one(tx, run, path)
    if found is None:
        raise NotFoundError(f"Run {run[:80]} has no artifact {path[:100]!r}.", field="path")
    return found


def files(tx: Tx, run: str) -> list[Artifact]:
    """Return every file of a run, by path."""
    statement = select(artifacts).where(artifacts.c.run == run).order_by(artifacts.c.path)
    return [_artifact(row) for row in tx.all(statement)]


def entries(tx: Tx, run: str, folder: str = "") -> list[Entry]:
    """Return what is in a folder, by path; nothing if it is a file or is not there."""
    found: dict[str, Entry] = {}
    start = len(folder) + 1 if folder else 0
    for one in _below(tx, run, folder):
        name, _, rest = one.path[start:].partition("/")
        path = one.path[: start + len(name)]
        found[path] = Entry(path=path, size=None if rest else one.size)
    return [found[path] for path in sorted(found)]


def digests(tx: Tx, run: str, folder: str = "") -> dict[str, str]:
    """Return the digest of each file below a folder of a run, by its path from there."""
    start = len(folder) + 1 if folder else 0
    return {one.path[start:]: one.digest for one in _below(tx, run, folder)}


def every(tx: Tx, run: str, limit: int) -> list[Artifact]:
    """Return the files of a run, by path, at most so many."""
    here = select(artifacts).where(artifacts.c.run == run).order_by(artifacts.c.path)
    return [_artifact(row) for row in tx.all(here.limit(limit))]


def count(tx: Tx, run: str) -> int:
    """Return how many files a run keeps."""
    here = select(func.count().label("number")).where(artifacts.c.run == run)
    return int(tx.all(here.select_from(artifacts))[0].number)


def remove(tx: Tx, run: str, path: str) -> int:
    """Take away a file, or a folder with all that is in it; return how many files that were."""
    gone = [one.path for one in _below(tx, run, path)] + [path]
    count = 0
    for start in range(0, len(gone), 500):  # SQLite takes a bounded number of variables
        part = artifacts.c.path.in_(gone[start : start + 500])
        count += tx.run(delete(artifacts).where((artifacts.c.run == run) & part))
    return count


def _one(tx: Tx, run: str, path: str) -> Artifact | None:
    here = (artifacts.c.run == run) & (artifacts.c.path == path)
    row = tx.one(select(artifacts).where(here))
    return None if row is None else _artifact(row)


def _below(tx: Tx, run: str, folder: str) -> Sequence[Artifact]:
    statement = select(artifacts).where(artifacts.c.run == run)
    if folder:
        statement = statement.where(artifacts.c.path.startswith(f"{folder}/", autoescape=True))
    found = [_artifact(row) for row in tx.all(statement)]
    # SQLite's LIKE does not tell cases apart.
    return [one for one in found if not folder or one.path.startswith(f"{folder}/")]


def _artifact(row: object) -> Artifact:
    return msgspec.convert(row, Artifact, from_attributes=True)

"""Artifacts: which bytes a run keeps under which path. The bytes are objects, by digest.

A logged model keeps its files the same way; ``of`` says whose files are meant.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Table, delete, func, insert, select

from mainspring.experiments.paths import check_path
from mainspring.experiments.tables import artifacts, logged_artifacts
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.identity import check_digest
from mainspring.ground.ports import Tx

__all__ = ["Artifact", "Entry", "check_path", "entries", "get", "put", "remove"]

#: Whose files: a run's, or a logged model's.
RUNS, MODELS = artifacts, logged_artifacts


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


def put(
    tx: Tx, owner: str, path: str, digest: str, size: int, at: float, *, of: Table = RUNS
) -> None:
    """Keep bytes under a path, over what was there.

    Raises:
        BadInputError: if the path cannot be one.
        ConflictError: if a file stands where a folder would have to be, or the other way.
    """
    path = check_path(path)
    check_digest(digest)
    parts = path.split("/")
    above = ["/".join(parts[:n]) for n in range(1, len(parts))]
    file = next((p for p in above if _one(tx, of, owner, p) is not None), None)
    if file is not None:
        raise ConflictError(f"{file} is a file, so {path} cannot be in it.", field="path")
    if _below(tx, of, owner, path):
        raise ConflictError(f"{path} is a folder and cannot become a file.", field="path")
    tx.run(delete(of).where((_owner(of) == owner) & (of.c.path == path)))
    cells = {"path": path, "digest": digest, "size": size, "time": at}
    tx.run(insert(of).values({**cells, _owner(of).name: owner}))


def get(tx: Tx, owner: str, path: str, *, of: Table = RUNS) -> Artifact:
    """Return one file.

    Raises:
        NotFoundError: if there is none at that path.
    """
    found = _one(tx, of, owner, path)
    if found is None and not path.isascii():
        found = _one(tx, of, owner, unicodedata.normalize("NFC", path))
    if found is None:
        what = "Run" if of is RUNS else "Model"
        raise NotFoundError(f"{what} {owner[:80]} has no artifact {path[:100]!r}.", field="path")
    return found


def entries(tx: Tx, owner: str, folder: str = "", *, of: Table = RUNS) -> list[Entry]:
    """Return what is in a folder, by path; nothing if it is a file or is not there."""
    found: dict[str, Entry] = {}
    start = len(folder) + 1 if folder else 0
    for one in _below(tx, of, owner, folder):
        name, _, rest = one.path[start:].partition("/")
        path = one.path[: start + len(name)]
        found[path] = Entry(path=path, size=None if rest else one.size)
    return [found[path] for path in sorted(found)]


def digests(tx: Tx, owner: str, folder: str = "", *, of: Table = RUNS) -> dict[str, str]:
    """Return the digest of each file below a folder, by its path from there."""
    start = len(folder) + 1 if folder else 0
    return {one.path[start:]: one.digest for one in _below(tx, of, owner, folder)}


def every(tx: Tx, run: str, limit: int) -> list[Artifact]:
    """Return the files of a run, by path, at most so many."""
    here = select(artifacts).where(artifacts.c.run == run).order_by(artifacts.c.path)
    return [_artifact(row) for row in tx.all(here.limit(limit))]


def count(tx: Tx, run: str) -> int:
    """Return how many files a run keeps."""
    here = select(func.count().label("number")).where(artifacts.c.run == run)
    return int(tx.all(here.select_from(artifacts))[0].number)


def remove(tx: Tx, owner: str, path: str, *, of: Table = RUNS) -> int:
    """Take away a file, or a folder with all that is in it; return how many files that were."""
    gone = [one.path for one in _below(tx, of, owner, path)] + [path]
    count = 0
    for start in range(0, len(gone), 500):  # SQLite takes a bounded number of variables
        part = of.c.path.in_(gone[start : start + 500])
        count += tx.run(delete(of).where((_owner(of) == owner) & part))
    return count


def _owner(of: Table) -> ColumnElement[str]:
    owner: ColumnElement[str] = of.c.run if of is RUNS else of.c.model
    return owner


def _one(tx: Tx, of: Table, owner: str, path: str) -> Artifact | None:
    row = tx.one(select(of).where((_owner(of) == owner) & (of.c.path == path)))
    return None if row is None else _artifact(row)


def _below(tx: Tx, of: Table, owner: str, folder: str) -> Sequence[Artifact]:
    statement = select(of).where(_owner(of) == owner)
    if folder:
        statement = statement.where(of.c.path.startswith(f"{folder}/", autoescape=True))
    found = [_artifact(row) for row in tx.all(statement)]
    # SQLite's LIKE does not tell cases apart.
    return [one for one in found if not folder or one.path.startswith(f"{folder}/")]


def _artifact(row: object) -> Artifact:
    return msgspec.convert(row, Artifact, from_attributes=True)

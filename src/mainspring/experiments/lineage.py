"""What runs read and made, asked for many runs at once: the edges of lineage that runs know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import select, tuple_

from mainspring.experiments.tables import (
    datasets,
    logged_models,
    run_datasets,
    run_models,
    runs,
    tags,
)
from mainspring.ground.ports import Tx

_PART = 400  # a database takes a bounded number of variables, and a pair is two


class Read(msgspec.Struct, frozen=True):
    """A run read a dataset."""

    run: str
    name: str
    digest: str
    source: str
    context: str


def uri_of(source: str) -> str:
    """Return the file or URL that a dataset's source names; empty if it names none."""
    try:
        told = msgspec.json.decode(source)
    except (msgspec.DecodeError, UnicodeError):
        return source if "/" in source else ""
    if isinstance(told, dict):
        return next((str(told[key]) for key in ("uri", "url", "path") if told.get(key)), "")
    return ""


def _parts(several: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(several), _PART):
        yield list(several[start : start + _PART])


def reads_of(tx: Tx, ids: Sequence[str]) -> list[Read]:
    """Return which datasets runs read."""
    return _reads(tx, run_datasets.c.run, ids)


def digests_of(tx: Tx, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and digest of every version of some datasets, in the order they were logged."""
    columns = (datasets.c.name, datasets.c.digest)
    found: dict[tuple[str, str], None] = {}
    for part in _parts(names):
        query = select(*columns).where(datasets.c.name.in_(part))
        rows = tx.all(query.order_by(datasets.c.created, datasets.c.id))
        found |= dict.fromkeys((row.name, row.digest) for row in rows)
    return list(found)


def sources_of(tx: Tx, several: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return name, digest and each source of some versions of datasets."""
    columns = (datasets.c.name, datasets.c.digest, datasets.c.source)
    key = tuple_(datasets.c.name, datasets.c.digest)
    return [
        (row.name, row.digest, row.source)
        for part in _parts(several)
        for row in tx.all(select(*columns).where(key.in_(part)).order_by(datasets.c.id))
    ]


def reads_of_versions(tx: Tx, several: Sequence[tuple[str, str]]) -> list[Read]:
    """Return who read some versions of datasets, each by name and digest."""
    return _reads(tx, tuple_(datasets.c.name, datasets.c.digest), several)


def reads_from(tx: Tx, path: str) -> list[Read]:
    """Return who read a dataset whose source is a file or URL, whole or by its end."""
    source = datasets.c.source
    mine = (source == path) | source.contains(path, autoescape=True)
    found = select(datasets.c.id).where(mine)
    return _reads(tx, datasets.c.id, [row.id for row in tx.all(found)])


def _reads(tx: Tx, column: Any, values: Sequence[Any]) -> list[Read]:
    link, data = run_datasets.c, datasets.c
    columns = (link.run, data.name, data.digest, data.source, link.context)
    joined = select(*columns).join(datasets, link.dataset == data.id)
    return [
        Read(row.run, row.name, row.digest, row.source, row.context)
        for part in _parts(values)
        for row in tx.all(joined.where(column.in_(part)).order_by(link.id))
    ]


def parents(tx: Tx, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return (run, parent) of those runs that have a parent."""
    query = select(runs.c.id, runs.c.parent).where(runs.c.parent.is_not(None))
    return [(row.id, row.parent) for part in _parts(ids) for row in tx.all(query.where(_in(part)))]


def _in(part: list[str]) -> Any:
    return runs.c.id.in_(part)


def children(tx: Tx, ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return (run, parent) of the children of runs."""
    query = select(runs.c.id, runs.c.parent).order_by(runs.c.id)
    return [
        (row.id, row.parent)
        for part in _parts(ids)
        for row in tx.all(query.where(runs.c.parent.in_(part)))
    ]


def models_read(tx: Tx, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (run, logged model, its maker) of the logged models that runs read."""
    return _models(tx, run_models.c.run, ids)


def model_readers(tx: Tx, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (run, logged model, its maker) of who read the logged models that runs made."""
    return _models(tx, logged_models.c.run, ids)


def _models(tx: Tx, column: Any, values: Sequence[str]) -> list[tuple[str, str, str]]:
    link, made = run_models.c, logged_models.c
    joined = (
        select(link.run, link.model, made.run.label("maker"))
        .join(logged_models, link.model == made.id)
        .where(link.role == "input", made.run.is_not(None), made.run != link.run)
    )
    return [
        (row.run, row.model, row.maker)
        for part in _parts(values)
        for row in tx.all(joined.where(column.in_(part)))
    ]


def tagged(tx: Tx, key: str, values: Sequence[str], limit: int = 500) -> list[tuple[str, str]]:
    """Return (run, value) of the newest runs whose tag has one of some values."""
    query = (
        select(tags.c.run, tags.c.value)
        .join(runs, runs.c.id == tags.c.run)
        .where(tags.c.key == key, tags.c.value.in_(list(values)))
        .order_by(runs.c.started.desc())
        .limit(limit)
    )
    return [(row.run, row.value) for row in tx.all(query)]


def tags_of(tx: Tx, ids: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return some tags of runs, by run."""
    found: dict[str, dict[str, str]] = {}
    for part in _parts(ids):
        mine = tags.c.run.in_(part) & tags.c.key.in_(list(keys))
        for row in tx.all(select(tags).where(mine)):
            found.setdefault(row.run, {})[row.key] = row.value
    return found


class Named(msgspec.Struct, frozen=True):
    """What is shown of a run in a picture of many."""

    id: str
    name: str
    status: str
    started: float
    pipeline: str | None


def named(tx: Tx, ids: Sequence[str]) -> dict[str, Named]:
    """Return names and states of runs, by id; without those that are not there."""
    columns = (runs.c.id, runs.c.name, runs.c.status, runs.c.started, runs.c.pipeline)
    return {
        row.id: Named(row.id, row.name, row.status, row.started, row.pipeline)
        for part in _parts(ids)
        for row in tx.all(select(*columns).where(_in(part)))
    }

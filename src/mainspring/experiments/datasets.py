"""Datasets that runs read: what is said of them, and who read which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, func, insert, or_, select

from mainspring.experiments.exact import exact_text
from mainspring.experiments.tables import datasets, deleted_runs, run_datasets, runs, tags
from mainspring.ground.display import Page
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import key_of
from mainspring.ground.ports import Tx

MAX_NAME, MAX_DIGEST, MAX_TYPE = 500, 64, 100
MAX_SOURCE, MAX_SCHEMA, MAX_PROFILE = 65_535, 1_048_575, 16_777_215
_PROFILED = ("missing", "distinct", "low", "high", "mean")
MAX_TAG_KEY, MAX_TAG_VALUE = 255, 500


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of some data: enough to know it again, and where it came from."""

    name: str
    digest: str  #: whatever the one who logged it knows it by
    source_type: str  #: such as local, s3, code
    source: str
    schema: str | None = None
    profile: str | None = None

    def _repr_html_(self) -> str:
        return page(self).html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("Dataset(...)" if cycle else page(self).text())


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset as one run read it."""

    dataset: Dataset
    context: str = ""  #: such as training or validation
    tags: dict[str, str] = {}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset by its name, as the runs of one experiment read it."""

    experiment: str
    name: str
    digest: str
    context: str


def page(one: Dataset) -> Page:
    """Return what is shown of a dataset; of columns and rows where they are told as we tell."""
    profile = _told(one.profile)
    about = {column.get("name"): column for column in _columns(profile)}
    told = [key for key in _PROFILED if any(key in column for column in about.values())]
    columns = [
        [
            column.get("name"),
            column.get("type"),
            *(about.get(column.get("name"), {}).get(key) for key in told),
        ]
        for column in _columns(_told(one.schema))
    ]
    return (
        Page(f"dataset {one.name}")
        .facts(
            [
                ("digest", one.digest),
                ("source", one.source),
                ("rows", profile.get("rows")),
                ("bytes", profile.get("bytes")),
            ]
        )
        .table("columns", ("name", "type", *told), columns)
    )


def _told(text: str | None) -> dict[str, Any]:
    """Return what JSON says; nothing if it is none, as another client may have written it."""
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _columns(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = told.get("columns")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def check(one: Dataset) -> Dataset:
    """Return a dataset of which everything can be kept.

    Raises:
        BadInputError: naming the part that is missing.
        TooLargeError: naming the part that is too long.
    """
    bounds = {
        "name": (one.name, MAX_NAME),
        "digest": (one.digest, MAX_DIGEST),
        "source_type": (one.source_type, MAX_TYPE),
        "source": (one.source, MAX_SOURCE),
        "schema": (one.schema, MAX_SCHEMA),
        "profile": (one.profile, MAX_PROFILE),
    }
    for field, (text, most) in bounds.items():
        if text is None:
            continue
        if not text and field in ("name", "digest"):
            raise BadInputError(f"A dataset needs a {field}.", field=field)
        exact_text(text, field, most)
    return one


def log(tx: Tx, run: str, several: Sequence[Use], at: float) -> None:
    """Note what a run read; noting it again changes nothing.

    Raises:
        BadInputError: naming what cannot be kept; then nothing is noted.
    """
    known = {(row.dataset, row.context) for row in tx.all(_of(run))}
    for one in several:
        number = _keep(tx, check(one.dataset), at)
        if (number, one.context) in known:
            continue
        known.add((number, one.context))
        exact_text(one.context, "context", MAX_TAG_VALUE)
        tags = msgspec.json.encode(_tags(one.tags), order="deterministic").decode()
        cells = {"run": run, "dataset": number, "context": one.context, "tags": tags}
        tx.run(insert(run_datasets).values(**cells))


def of_runs(tx: Tx, ids: Sequence[str]) -> dict[str, list[Use]]:
    """Return what each of these runs read, in the order in which it was noted."""
    found: dict[str, list[Use]] = {run: [] for run in ids}
    link = run_datasets.c
    columns = (link.run, link.context, link.tags, *datasets.c)
    for start in range(0, len(ids), 500):  # a database takes a bounded number of variables
        statement = select(*columns).join(datasets, link.dataset == datasets.c.id)
        statement = statement.where(link.run.in_(list(ids[start : start + 500])))
        for row in tx.all(statement.order_by(link.id)):
            dataset = msgspec.convert(row, Dataset, from_attributes=True)
            tags = msgspec.json.decode(row.tags, type=dict[str, str])
            found[row.run].append(Use(dataset=dataset, context=row.context, tags=tags))
    return found


def of_experiments(tx: Tx, experiments: Sequence[str], limit: int = 1000) -> list[Known]:
    """Return which datasets the runs of some experiments read, by name."""
    link, data = run_datasets.c, datasets.c
    statement = (
        select(runs.c.experiment, data.name, data.digest, link.context)
        .join(run_datasets, link.run == runs.c.id)
        .join(datasets, link.dataset == data.id)
        .where(runs.c.experiment.in_(list(experiments)))
        .distinct()
        .order_by(data.name, data.digest, link.context, runs.c.experiment)
        .limit(limit)
    )
    return [msgspec.convert(row, Known, from_attributes=True) for row in tx.all(statement)]


def by_name(tx: Tx, name: str, digest: str | None = None) -> list[tuple[str, str]]:
    """Return digest and run of everything logged under a name, the newest run first.

    ``digest`` may be the beginning of one. Deleted runs are left out.
    """
    link, data = run_datasets.c, datasets.c
    statement = (
        select(data.digest, link.run)
        .join(run_datasets, link.dataset == data.id)
        .join(runs, link.run == runs.c.id)
        .where(data.name == name, link.run.not_in(select(deleted_runs.c.run)))
        .order_by(runs.c.started.desc(), link.id.desc())
        .limit(1000)
    )
    if digest is not None:
        statement = statement.where(data.digest.startswith(digest, autoescape=True))
    return [(row.digest, row.run) for row in tx.all(statement)]


def arrived(
    tx: Tx, name: str, since: float, unread_by: tuple[str, str] | None = None
) -> list[tuple[str, str]]:
    """Return digest and run of the versions of a dataset first logged after ``since``.

    Oldest first. What a run with the tag ``unread_by`` (key, value) has read is not new.
    """
    link, data = run_datasets.c, datasets.c
    statement = (
        select(data.digest, func.min(link.run).label("run"))
        .join(run_datasets, link.dataset == data.id)
        .where(data.name == name, link.run.not_in(select(deleted_runs.c.run)))
        .group_by(data.digest)
        .having(func.min(data.created) > since)
        .order_by(func.min(data.created))
        .limit(100)
    )
    if unread_by is not None:
        key, value = unread_by
        read = (
            select(data.digest)
            .join(run_datasets, link.dataset == data.id)
            .join(tags, link.run == tags.c.run)
            .where(data.name == name, tags.c.key == key, tags.c.value == value)
        )
        statement = statement.where(data.digest.not_in(read))
    return [(row.digest, row.run) for row in tx.all(statement)]


def seen(
    tx: Tx,
    name: str,
    unread_by: tuple[str, str],
    limit: int,
    before: tuple[float, str] | None = None,
) -> list[tuple[str, str, str, float]]:
    """Return digest, first run, source and time of the newest versions of a dataset.

    What runs with the tag ``unread_by`` (key, value) read is left out, and deleted runs.
    ``before`` is the time and the digest of one: older ones are returned.
    """
    link, data = run_datasets.c, datasets.c
    mine = select(tags.c.run).where(tags.c.key == unread_by[0], tags.c.value == unread_by[1])
    gone = select(deleted_runs.c.run)
    first = func.min(data.created)
    older = [] if before is None else [
        or_(first < before[0], and_(first == before[0], data.digest < before[1]))
    ]  # fmt: skip
    statement = (
        select(
            data.digest,
            func.min(link.run).label("run"),
            func.min(data.source).label("source"),
            func.min(data.created).label("at"),
        )
        .join(run_datasets, link.dataset == data.id)
        .where(data.name == name, link.run.not_in(gone), link.run.not_in(mine))
        .group_by(data.digest)
        .having(*older)
        .order_by(first.desc(), data.digest.desc())
        .limit(limit)
    )
    return [(row.digest, row.run, row.source, float(row.at)) for row in tx.all(statement)]


def names(tx: Tx, limit: int = 100) -> list[tuple[str, int, float]]:
    """Return each name with how many versions it has and when the newest came, newest first."""
    data, newest = datasets.c, func.max(datasets.c.created).label("newest")
    versions = func.count(data.digest.distinct()).label("versions")
    statement = select(data.name, versions, newest).group_by(data.name)
    rows = tx.all(statement.order_by(newest.desc(), data.name).limit(limit))
    return [(row.name, int(row.versions), float(row.newest)) for row in rows]


def _of(run: str) -> object:
    return select(run_datasets.c.dataset, run_datasets.c.context).where(run_datasets.c.run == run)


def _keep(tx: Tx, one: Dataset, at: float) -> str:
    number = key_of(msgspec.to_builtins(one))
    if tx.one(select(datasets.c.id).where(datasets.c.id == number)) is None:
        tx.run(insert(datasets).values(id=number, created=at, **msgspec.structs.asdict(one)))
    return number


def _tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in tags.items():
        exact_text(key, "key", MAX_TAG_KEY)
        exact_text(value, "value", MAX_TAG_VALUE)
    return tags

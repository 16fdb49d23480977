"""Take what a run logs beside params, points and files: datasets it read, models it made."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from mainspring.experiments import artifacts, datasets, frames, groups, logged
from mainspring.experiments.tables import runs
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import check_digest
from mainspring.ground.ports import Tx

T = TypeVar("T")


Size = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ModelData(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run made, its files kept already."""

    id: str
    name: str
    type: str
    files: dict[str, tuple[str, Size]]  #: path -> digest, size
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


def dataset(tx: Tx, run: str, data: dict[str, Any], at: float) -> None:
    """Note a dataset that the run read; noting it again changes nothing.

    Raises:
        BadInputError: if it cannot be kept.
    """
    datasets.log(tx, run, [_read(data, datasets.Use)], at)


def model(tx: Tx, run: str, data: dict[str, Any], at: float) -> None:
    """Note a model that the run made, with its files.

    Raises:
        BadInputError: if it cannot be kept.
        ConflictError: if its experiment is gone.
    """
    told = _read(data, ModelData)
    for path, (digest, _) in told.files.items():  # before anything of it is kept
        artifacts.check_path(path)
        check_digest(digest)
    if logged.several(tx, [told.id]):
        return  # the same frame once more
    row = tx.one(runs.select().where(runs.c.id == run))
    group = None if row is None else groups.by_keys(tx, [row.experiment]).get(row.experiment)
    if group is None:
        raise ConflictError(f"Run {run} has no experiment that a model could be in.", field="run")
    made = logged.LoggedModel(
        id=told.id,
        experiment=group.id,
        name=told.name,
        run=run,
        type=told.type,
        status=logged.LoggedStatus.READY,
        created=at,
        changed=at,
        params=told.params,
        tags=told.tags,
    )
    logged.create(tx, made)
    for path, (digest, size) in told.files.items():
        artifacts.put(tx, told.id, path, digest, size, at, of=artifacts.MODELS)
    logged.link(tx, run, [logged.Link(model=told.id, role=logged.Role.OUTPUT, step=0)])


def files_of(one: frames.Extra) -> dict[str, int]:
    """Return the digests and sizes of the files that belong to it; none if it cannot be read."""
    if one.subject != "model":
        return {}
    try:
        return dict(_read(one.data, ModelData).files.values())
    except BadInputError:  # told again, as a note, when it is taken
        return {}


def _read(data: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise BadInputError(f"What was logged cannot be read: {error}") from error

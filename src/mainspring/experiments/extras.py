"""Take what a run logs beside params, points and files: datasets it read, models it made."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from mainspring.experiments import artifacts, datasets, groups, logged
from mainspring.experiments.tables import runs
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.ports import Tx

T = TypeVar("T")


class ModelData(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run made, its files kept already."""

    id: str
    name: str
    type: str
    files: dict[str, tuple[str, int]]  #: path -> digest, size
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


def _read(data: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise BadInputError(f"What was logged cannot be read: {error}") from error

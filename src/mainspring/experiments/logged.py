"""Logged models: a model that a run kept, its files, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, delete, insert, select, update

from mainspring.experiments import groups
from mainspring.experiments.exact import exact_float, exact_int, exact_key, exact_text
from mainspring.experiments.tables import (
    logged_metrics,
    logged_models,
    logged_params,
    logged_tags,
    run_models,
)
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.ports import Tx

MAX_NAME, MAX_TYPE = 500, 500
_PART = 500  #: a database takes a bounded number of variables


class LoggedStatus(StrEnum):
    """How far a logged model is."""

    PENDING = "pending"  #: its files are still coming
    READY = "ready"  #: whole
    FAILED = "failed"  #: its files never came


class Role(StrEnum):
    """What a logged model is to a run."""

    INPUT = "input"
    OUTPUT = "output"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one metric of a logged model, and on which data it was measured."""

    model: str
    run: str
    key: str
    value: float
    step: int
    time: float  #: UTC seconds
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it was logged."""

    id: str
    experiment: int
    name: str
    run: str | None = None  #: the run that made it
    type: str | None = None  #: whatever kind its maker says it is
    status: LoggedStatus = LoggedStatus.PENDING
    message: str | None = None
    created: float
    changed: float
    deleted: float | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[Measured] = []


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A logged model that a run read or made."""

    model: str
    role: Role
    step: int


def create(tx: Tx, one: LoggedModel) -> LoggedModel:
    """Keep a new logged model with its params and tags.

    Raises:
        NotFoundError: if its experiment is not there.
        ConflictError: if its experiment is deleted.
        BadInputError: if a value cannot be kept.
    """
    groups.check_active(groups.get(tx, one.experiment))
    exact_text(one.name, "name", MAX_NAME)
    exact_text(one.type or "", "type", MAX_TYPE)
    cells = {name: getattr(one, name) for name in logged_models.c.keys()}  # noqa: SIM118
    tx.run(insert(logged_models).values(**{**cells, "status": str(one.status)}))
    set_params(tx, one.id, one.params)
    set_tags(tx, one.id, one.tags)
    return get(tx, one.id)


def get(tx: Tx, model: str) -> LoggedModel:
    """Return one logged model, deleted or not.

    Raises:
        NotFoundError: if there is none by that id.
    """
    return _whole(tx, [_row(tx, model)])[0]


def several(tx: Tx, ids: Sequence[str]) -> list[LoggedModel]:
    """Return logged models by their ids, in the same order; those not there are left out."""
    rows: dict[str, Any] = {}
    for part in _parts(ids):
        for row in tx.all(select(logged_models).where(logged_models.c.id.in_(part))):
            rows[row.id] = row
    return _whole(tx, [rows[model] for model in ids if model in rows])


def listed(
    tx: Tx, experiments: Sequence[int], *, run: str | None = None, name: str | None = None
) -> list[LoggedModel]:
    """Return the logged models of some experiments that are not deleted, the newest first."""
    columns = logged_models.c
    wanted: list[ColumnElement[bool]] = [
        columns.experiment.in_(list(experiments)),
        columns.deleted.is_(None),
    ]
    if run is not None:
        wanted.append(columns.run == run)
    if name is not None:
        wanted.append(columns.name == name)
    statement = select(logged_models).where(*wanted)
    return _whole(tx, tx.all(statement.order_by(columns.created.desc(), columns.id)))


def of_maker(tx: Tx, run: str, name: str) -> list[str]:
    """Return the ids of the models of one name that a run logged, the newest first."""
    asked = (logged_models.c.run == run) & (logged_models.c.name == name)
    order = (logged_models.c.created.desc(), logged_models.c.id.desc())
    found = select(logged_models.c.id).where(asked, logged_models.c.deleted.is_(None))
    return [row.id for row in tx.all(found.order_by(*order))]


def set_params(tx: Tx, model: str, values: Mapping[str, str]) -> None:
    """Set params; each is set once and never changes.

    Raises:
        ConflictError: if one has another value already; then none of them is set.
        NotFoundError: if there is no such model.
    """
    _row(tx, model)
    known = _pairs(tx, logged_params, [model])[model]
    fresh = []
    for given, value in values.items():
        key = exact_key(given, "param")
        text = exact_text(value, f"param {key}")
        if known.get(key, text) != text:
            raise ConflictError(
                f"Param {key} of {model} is {known[key][:80]!r} and cannot become {text[:80]!r}.",
                field=key,
            )
        if key not in known:
            fresh.append({"model": model, "key": key, "value": text})
    if fresh:
        tx.run(insert(logged_params), fresh)


def set_tags(tx: Tx, model: str, values: Mapping[str, str | None]) -> None:
    """Set tags, over what they were; None takes one away.

    Raises:
        NotFoundError: if there is no such model.
        BadInputError: if a tag cannot be kept.
    """
    _row(tx, model)
    table = logged_tags
    for given, value in values.items():
        key = exact_key(given, "tag")
        here = (table.c.model == model) & (table.c.key == key)
        tx.run(delete(table).where(here))
        if value is not None:
            text = exact_text(value, f"tag {key}")
            tx.run(insert(table).values(model=model, key=key, value=text))


def finish(tx: Tx, model: str, status: LoggedStatus, at: float) -> LoggedModel:
    """Say that a model is whole, or that it never will be.

    Raises:
        NotFoundError: if there is no such model.
    """
    _row(tx, model)
    here = logged_models.c.id == model
    tx.run(update(logged_models).where(here).values(status=str(status), changed=at))
    return get(tx, model)


def hide(tx: Tx, model: str, at: float) -> None:
    """Delete a model so that its id still tells what it was.

    Raises:
        NotFoundError: if there is no such model.
    """
    _row(tx, model)
    here = logged_models.c.id == model
    tx.run(update(logged_models).where(here).values(deleted=at, changed=at))


def measure(tx: Tx, points: Sequence[Measured]) -> None:
    """Keep what was measured of models; what is there already stays one.

    Raises:
        NotFoundError: if a model is not there.
        BadInputError: if a value cannot be kept exactly.
    """
    for model in sorted({one.model for one in points}):
        _row(tx, model)
    fresh: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in points:
        cells = {
            "model": one.model,
            "run": one.run,
            "key": exact_key(one.key, "metric"),
            "step": exact_int(one.step, "step"),
            "time": exact_float(one.time, "time"),
            "value": repr(exact_float(one.value, one.key)),
            "dataset_name": one.dataset_name,
            "dataset_digest": one.dataset_digest,
        }
        if not _is_there(tx, cells):
            fresh[tuple(cells.values())] = cells
    if fresh:
        tx.run(insert(logged_metrics), list(fresh.values()))


def link(tx: Tx, run: str, several: Sequence[Link]) -> None:
    """Note which models a run read or made; noting it again keeps the later step."""
    table = run_models
    for one in several:
        here = (table.c.run == run) & (table.c.model == one.model) & (table.c.role == one.role)
        step = exact_int(one.step, "step")
        if not tx.run(update(table).where(here).values(step=step)):
            cells = {"run": run, "model": one.model, "role": str(one.role), "step": step}
            tx.run(insert(table).values(**cells))


def of_runs(tx: Tx, ids: Sequence[str]) -> dict[str, list[Link]]:
    """Return which models each of these runs read or made."""
    found: dict[str, list[Link]] = {run: [] for run in ids}
    table = run_models
    for part in _parts(ids):
        for row in tx.all(select(table).where(table.c.run.in_(part)).order_by(table.c.id)):
            found[row.run].append(Link(model=row.model, role=Role(row.role), step=row.step))
    return found


def _row(tx: Tx, model: str) -> Any:
    row = tx.one(select(logged_models).where(logged_models.c.id == model))
    if row is None:
        raise NotFoundError(f"Logged model with ID '{str(model)[:80]}' not found.", field="model")
    return row


def _is_there(tx: Tx, cells: Mapping[str, Any]) -> bool:
    table = logged_metrics
    same = [
        table.c[name].is_(None) if value is None else table.c[name] == value
        for name, value in cells.items()
    ]
    return tx.one(select(table.c.id).where(*same).limit(1)) is not None


def _whole(tx: Tx, rows: Sequence[Any]) -> list[LoggedModel]:
    """Return models with everything that belongs to them, in few queries however many."""
    ids = [row.id for row in rows]
    of_params, of_tags = _pairs(tx, logged_params, ids), _pairs(tx, logged_tags, ids)
    of_metrics: dict[str, list[Measured]] = {model: [] for model in ids}
    table = logged_metrics
    for part in _parts(ids):
        for row in tx.all(select(table).where(table.c.model.in_(part)).order_by(table.c.id)):
            of_metrics[row.model].append(
                Measured(
                    model=row.model,
                    run=row.run,
                    key=row.key,
                    value=float(row.value),
                    step=row.step,
                    time=row.time,
                    dataset_name=row.dataset_name,
                    dataset_digest=row.dataset_digest,
                )
            )
    return [
        LoggedModel(
            **{name: getattr(row, name) for name in logged_models.c.keys() if name != "status"},  # noqa: SIM118
            status=LoggedStatus(row.status),
            params=of_params[row.id],
            tags=of_tags[row.id],
            metrics=of_metrics[row.id],
        )
        for row in rows
    ]


def _pairs(tx: Tx, table: Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {model: {} for model in ids}
    for part in _parts(ids):
        found = select(table).where(table.c.model.in_(part)).order_by(table.c.model, table.c.key)
        for row in tx.all(found):
            out[row.model][row.key] = row.value
    return out


def _parts(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[start : start + _PART]) for start in range(0, len(ids), _PART)]

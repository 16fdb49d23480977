"""Experiments: what runs are grouped by. Make, name, find, delete, restore."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete as delete_rows
from sqlalchemy import insert, select, update

from mainspring.experiments.exact import exact_key, exact_text, plain_name
from mainspring.experiments.tables import deleted_runs, experiment_tags, experiments, runs
from mainspring.ground.errors import (
    AlreadyExistsError,
    BadInputError,
    ConflictError,
    NotFoundError,
)
from mainspring.ground.identity import check_name, sha256
from mainspring.ground.ports import Tx

#: The first experiment of every home; its id is 0.
DEFAULT = "Default"
MAX_NAME = 500
_PLAIN = re.compile(r"[^A-Za-z0-9_.\-]+")
_DOTS = re.compile(r"\.{2,}")


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """What some runs have in common."""

    id: int
    key: str  #: what its runs carry as ``experiment``
    name: str
    created: float
    changed: float
    deleted: float | None = None
    tags: dict[str, str] = {}


def key_of_name(name: str) -> str:
    """Return the key of an experiment's name: itself, if it is a plain name.

    >>> key_of_name("flights")
    'flights'
    >>> key_of_name("My flights!").partition(".")[0]
    'My-flights-'

    Raises:
        BadInputError: if the name is blank, longer than 500 characters or cannot be kept.
    """
    exact_text(name, "experiment name")
    name = unicodedata.normalize("NFC", name)
    if not name.strip() or len(name) > MAX_NAME:
        raise BadInputError(
            f"An experiment's name must be 1 to {MAX_NAME} characters.", field="name"
        )
    try:
        return check_name(name)
    except BadInputError:
        plain = _PLAIN.sub("-", name)[:60].lstrip("-._")
        plain = _DOTS.sub("-", plain).rstrip(".") or "x"  # two dots in a row are no name
        return f"{plain}.{sha256(name.encode())[:32]}"


def ensure(tx: Tx, key: str, at: float) -> None:
    """Make the experiment of a plain name, unless it is there."""
    if tx.one(select(experiments.c.id).where(experiments.c.key == key)) is None:
        _make(tx, key, key, at)


def ensure_named(tx: Tx, name: str, at: float) -> str:
    """Return the key of an experiment by its name, made under that name if it is not there.

    Raises:
        BadInputError: if the name cannot be kept.
    """
    key = key_of_name(plain_name(name, "experiment", MAX_NAME))
    if tx.one(select(experiments.c.id).where(experiments.c.key == key)) is None:
        _make(tx, key, name, at)
    return key


def ensure_default(tx: Tx, at: float) -> None:
    """Make the first experiment, unless there is one."""
    if tx.one(select(experiments.c.id).where(experiments.c.id == 0)) is None:
        cells = {"key": DEFAULT, "name": DEFAULT, "created": at, "changed": at}
        tx.run(insert(experiments).values(id=0, **cells))


def has_any(tx: Tx) -> bool:
    """Return whether there is an experiment, deleted or not."""
    return tx.one(select(experiments.c.id).limit(1)) is not None


def create(tx: Tx, name: str, tags: Mapping[str, str], at: float) -> Experiment:
    """Make an experiment.

    Raises:
        AlreadyExistsError: if one has that name, also a deleted one.
        BadInputError: if the name or a tag cannot be kept.
    """
    name = plain_name(name, "name", MAX_NAME)
    key = key_of_name(name)
    ensure_default(tx, at)
    _refuse_taken(tx, key, name)
    made = _make(tx, key, name, at)
    set_tags(tx, made, tags, at)
    return get(tx, made)


def get(tx: Tx, number: int) -> Experiment:
    """Return one experiment, deleted or not.

    Raises:
        NotFoundError: if there is none by that id.
    """
    row = tx.one(select(experiments).where(experiments.c.id == number))
    if row is None:
        raise NotFoundError(f"There is no experiment with the id {number}.", field="experiment")
    return _whole(tx, [row])[0]


def by_name(tx: Tx, name: str) -> Experiment | None:
    """Return the experiment of a name, deleted or not, or None."""
    row = tx.one(select(experiments).where(experiments.c.key == key_of_name(name)))
    return None if row is None else _whole(tx, [row])[0]


def by_keys(tx: Tx, keys: Sequence[str]) -> dict[str, Experiment]:
    """Return experiments by what their runs carry."""
    rows: list[Any] = []
    for start in range(0, len(keys), 500):  # SQLite takes a bounded number of variables
        part = keys[start : start + 500]
        rows += tx.all(select(experiments).where(experiments.c.key.in_(part)))
    return {one.key: one for one in _whole(tx, rows)}


def listed(tx: Tx) -> list[Experiment]:
    """Return every experiment, deleted or not, the newest first."""
    order = (experiments.c.created.desc(), experiments.c.id.desc())
    return _whole(tx, tx.all(select(experiments).order_by(*order)))


def rename(tx: Tx, number: int, name: str, at: float) -> Experiment:
    """Give an experiment another name; its runs follow.

    Raises:
        AlreadyExistsError: if another one has that name.
        ConflictError: if it is deleted.
        NotFoundError: if there is none by that id.
    """
    found = check_active(get(tx, number))
    name = plain_name(name, "name", MAX_NAME)
    key = key_of_name(name)
    if key != found.key:
        _refuse_taken(tx, key, name)
        tx.run(update(runs).where(runs.c.experiment == found.key).values(experiment=key))
    here = experiments.c.id == number
    tx.run(update(experiments).where(here).values(key=key, name=name, changed=at))
    return get(tx, number)


def delete(tx: Tx, number: int, at: float) -> None:
    """Hide an experiment and its runs; deleting it again changes nothing.

    Raises:
        NotFoundError: if there is none by that id.
    """
    found = get(tx, number)
    if found.deleted is not None:
        return
    gone = select(deleted_runs.c.run)
    of_it = select(runs.c.id).where(runs.c.experiment == found.key, runs.c.id.not_in(gone))
    rows = [{"run": row.id, "at": at} for row in tx.all(of_it)]
    if rows:
        tx.run(insert(deleted_runs), rows)
    here = experiments.c.id == number
    tx.run(update(experiments).where(here).values(deleted=at, changed=at))


def restore(tx: Tx, number: int, at: float) -> None:
    """Show an experiment again, with the runs that were hidden with it.

    Raises:
        NotFoundError: if there is none by that id.
    """
    found = get(tx, number)
    if found.deleted is None:
        return
    of_it = select(runs.c.id).where(runs.c.experiment == found.key)
    with_it = (deleted_runs.c.at == found.deleted) & deleted_runs.c.run.in_(of_it)
    tx.run(delete_rows(deleted_runs).where(with_it))
    here = experiments.c.id == number
    tx.run(update(experiments).where(here).values(deleted=None, changed=at))


def set_tags(tx: Tx, number: int, values: Mapping[str, str | None], at: float) -> None:
    """Set tags of an experiment, over what they were; None takes one away.

    Raises:
        ConflictError: if it is deleted.
        BadInputError: if a tag cannot be kept.
    """
    known = check_active(get(tx, number)).tags
    table = experiment_tags
    for given, value in values.items():
        key = exact_key(given, "tag")
        here = (table.c.experiment == number) & (table.c.key == key)
        if value is None:
            tx.run(delete_rows(table).where(here))
            continue
        text = exact_text(value, f"tag {key}")
        if key in known:
            tx.run(update(table).where(here).values(value=text))
        else:
            tx.run(insert(table).values(experiment=number, key=key, value=text))
    if values:
        tx.run(update(experiments).where(experiments.c.id == number).values(changed=at))


def check_active(found: Experiment) -> Experiment:
    """Return an experiment that is not deleted.

    Raises:
        ConflictError: if it is.
    """
    if found.deleted is not None:
        raise ConflictError(
            f"The experiment {found.id} must be in the 'active' state. Current state is deleted.",
            field="experiment_id",
            hint="Restore it first.",
        )
    return found


def _make(tx: Tx, key: str, name: str, at: float) -> int:
    ensure_default(tx, at)
    there = tx.one(select(experiments.c.id).where(experiments.c.key == key))
    if there is not None:  # the default, made just now
        return int(there.id)
    cells = {"key": key, "name": name, "created": at, "changed": at}
    tx.run(insert(experiments).values(**cells))
    made = tx.all(select(experiments.c.id).where(experiments.c.key == key))
    return int(made[0].id)


def _refuse_taken(tx: Tx, key: str, name: str) -> None:
    row = tx.one(select(experiments).where(experiments.c.key == key))
    if row is None:
        return
    state = "" if row.deleted is None else " in deleted state: restore it"
    raise AlreadyExistsError(f"Experiment '{name[:200]}' already exists{state}.", field="name")


def _whole(tx: Tx, rows: Sequence[Any]) -> list[Experiment]:
    tags: dict[int, dict[str, str]] = {row.id: {} for row in rows}
    numbers = list(tags)
    for start in range(0, len(numbers), 500):
        of_these = experiment_tags.c.experiment.in_(numbers[start : start + 500])
        order = (experiment_tags.c.experiment, experiment_tags.c.key)
        for row in tx.all(select(experiment_tags).where(of_these).order_by(*order)):
            tags[row.experiment][row.key] = row.value
    return [
        Experiment(
            id=row.id,
            key=row.key,
            name=row.name,
            created=row.created,
            changed=row.changed,
            deleted=row.deleted,
            tags=tags[row.id],
        )
        for row in rows
    ]

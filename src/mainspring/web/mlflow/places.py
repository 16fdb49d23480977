"""Where files are in MLflow's terms: of a run or of a logged model, below an experiment."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Table

from mainspring.experiments import artifacts, groups, logged, runs
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.ports import Tx
from mainspring.web.mlflow import shown

_MODELS = "models"  #: no run has this id: a run's begins with its kind


class Place(msgspec.Struct, frozen=True):
    """A path below the root of a run's or of a logged model's files."""

    of: Table
    owner: str
    path: str  #: empty for the root itself


def place(tx: Tx, where: str) -> Place:
    """Return what ``7/RUN/artifacts/a.png`` names, or ``7/models/MODEL/artifacts/a.png``.

    Raises:
        NotFoundError: if there is no such run or model in that experiment.
        BadInputError: if the path is none.
    """
    number, _, rest = clean(where).partition("/")
    owner, _, rest = rest.partition("/")
    of = artifacts.RUNS
    if owner == _MODELS:
        of = artifacts.MODELS
        owner, _, rest = rest.partition("/")
    root, _, path = rest.partition("/")
    if root != "artifacts" or not number.isdecimal():
        raise nothing_at(where)
    inside = (
        logged.get(tx, owner).experiment if of is artifacts.MODELS else experiment_of(tx, owner)
    )
    if str(inside) != number:
        raise nothing_at(where)
    return Place(of, owner, path)


def target(tx: Tx, where: str) -> Place:
    """Return as :func:`place` does what may be written to."""
    return writable(tx, place(tx, where))


def writable(tx: Tx, to: Place) -> Place:
    """Return a place of a run or a model that is not deleted, below its root.

    Raises:
        ConflictError: if the run is deleted.
        NotFoundError: if the model is.
        BadInputError: if the path is none.
    """
    if to.of is artifacts.RUNS:
        shown.writable(tx, to.owner)
    elif logged.get(tx, to.owner).deleted is not None:
        raise NotFoundError(f"Logged model with ID '{to.owner}' not found.")
    artifacts.check_path(to.path)
    return to


def folder_of(text: str) -> str:
    """Return a folder's path from the root, which is empty for the root itself.

    Raises:
        BadInputError: if it leads elsewhere.
    """
    return clean(text) if text.strip("./") or ".." in text else ""


def clean(text: str) -> str:
    """Return a path that leads nowhere else; one that is still encoded is none.

    Raises:
        BadInputError: if it is none.
    """
    # A folder itself is a dot to some clients, also on the way to what is in it.
    plain = "/".join(part for part in text.rstrip("/").split("/") if part != ".").rstrip("/")
    try:
        return artifacts.check_path(plain)
    except BadInputError:
        raise BadInputError("Invalid path", field="path") from None


def entry(one: artifacts.Entry, path: str) -> dict[str, Any]:
    """Return one line of a listing as MLflow writes it."""
    if one.size is None:
        return {"path": path, "is_dir": True}
    return {"path": path, "is_dir": False, "file_size": one.size}


def nothing_at(where: str) -> NotFoundError:
    """Return the refusal of a path at which there is nothing."""
    return NotFoundError(f"No such artifact: {where[:200]!r}")


def experiment_of(tx: Tx, run: str) -> int:
    """Return the id of the experiment that a run is in.

    Raises:
        NotFoundError: if there is no such run.
    """
    one = runs.brief(tx, run)
    key = one.experiment if one else shown.found(tx, run).experiment
    return groups.by_keys(tx, [key])[key].id

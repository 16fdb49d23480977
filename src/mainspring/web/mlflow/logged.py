"""Logged models as MLflow 3 sees them: create, fill, finish, find, delete."""

from __future__ import annotations

import secrets
from typing import Any

from mainspring.experiments import artifacts, logged
from mainspring.experiments.logged import LoggedModel, LoggedStatus, Measured
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.experiments import artifact_root, id_of, to_change
from mainspring.web.mlflow.messages import (
    Fields,
    metric_value,
    milliseconds,
    pairs,
    trimmed,
)
from mainspring.web.mlflow.names import check_key, random_name
from mainspring.web.mlflow.places import entry, folder_of
from mainspring.workspace.opening import Workspace

_STATUSES = {
    "LOGGED_MODEL_PENDING": LoggedStatus.PENDING,
    "LOGGED_MODEL_READY": LoggedStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": LoggedStatus.FAILED,
}
SHOWN = {ours: theirs for theirs, ours in _STATUSES.items()}
_BAD_SIGNS = ("/", ":", ".", "%", '"', "'")
_MOST_PAIRS = 1000  #: params or tags of one request
_MOST_VALUE = 6000


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a logged model, whose files are still to come."""
    number = id_of(asked.text("experiment_id"))
    name = _name(asked.text_or("name")) if asked.given("name") else random_name()
    now = ws.clock.now()
    model = LoggedModel(
        id=f"m-{secrets.token_hex(16)}",
        experiment=number,
        name=name,
        run=asked.text_or("source_run_id") or None,
        type=asked.text_or("model_type") or None,
        created=now,
        changed=now,
        params=_pairs(asked, "params"),
        tags=_pairs(asked, "tags"),
    )

    def work(tx: Tx) -> dict[str, Any]:
        to_change(tx, number, now)
        return {"model": message(logged.create(tx, model))}

    return ws.write(Permission.LOG, work)


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one logged model; a deleted one only to those who say so."""
    model, all_of_them = asked.text("model_id"), asked.text_or("allow_deleted").lower() == "true"
    return ws.read(
        Permission.READ,
        lambda tx: {"model": message(found(tx, model, deleted=all_of_them))},
    )


def log_params(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set params, which never change."""
    model, params = asked.text("model_id"), _pairs(asked, "params")
    ws.write(Permission.LOG, lambda tx: logged.set_params(tx, model, params))
    return {}


def set_tags(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set tags, over what they were."""
    model, tags = asked.text("model_id"), _pairs(asked, "tags")
    ws.write(Permission.LOG, lambda tx: logged.set_tags(tx, model, tags))
    return {}


def delete_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take one tag away."""
    model, key = asked.text("model_id"), asked.text("tag_key")

    def work(tx: Tx) -> None:
        if key not in logged.get(tx, model).tags:
            raise NotFoundError(
                f"No tag with key {key[:250]!r} found for model with ID {model!r}."
            )
        logged.set_tags(tx, model, {key: None})

    ws.write(Permission.LOG, work)
    return {}


def finalize(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Say that a model's files are there, or never will be."""
    model, status = asked.text("model_id"), asked.choice("status", list(_STATUSES))
    if not status:
        raise BadInputError(
            "Missing value for required parameter 'status'. See the API docs for more information"
            " about request parameters.",
            field="status",
        )
    return ws.write(
        Permission.LOG,
        lambda tx: {"model": message(logged.finish(tx, model, _STATUSES[status], ws.clock.now()))},
    )


def delete(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Hide a logged model."""
    model = asked.text("model_id")
    ws.write(Permission.LOG, lambda tx: logged.hide(tx, model, ws.clock.now()))
    return {}


def listed(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return what is in a folder of a logged model, by paths from its root."""
    model, folder = asked.text("model_id"), folder_of(asked.text_or("artifact_directory_path"))

    def work(tx: Tx) -> dict[str, Any]:
        one = found(tx, model)
        several = artifacts.entries(tx, model, folder, of=artifacts.MODELS)
        files = [entry(each, each.path) for each in several]
        return trimmed({"root_uri": artifact_uri(one), "files": files})

    return ws.read(Permission.READ, work)


# ---------------------------------------------------------------- for the search


def found(tx: Tx, model: str, *, deleted: bool = False) -> LoggedModel:
    """Return a logged model.

    Raises:
        NotFoundError: if there is none by that id, or it is deleted and that is not asked for.
    """
    one = logged.get(tx, model)
    if one.deleted is not None and not deleted:
        raise NotFoundError(f"Logged model with ID '{model}' not found.")
    return one


def message(one: LoggedModel) -> dict[str, Any]:
    """Return a logged model as MLflow writes it."""
    info = {
        "model_id": one.id,
        "experiment_id": str(one.experiment),
        "name": one.name,
        "creation_timestamp_ms": milliseconds(one.created),
        "last_updated_timestamp_ms": milliseconds(one.changed),
        "artifact_uri": artifact_uri(one),
        "status": SHOWN[one.status],
        "model_type": one.type,
        "source_run_id": one.run,
        "status_message": one.message,
        "tags": pairs(one.tags),
    }
    data = {"params": pairs(one.params), "metrics": [_measured(each) for each in one.metrics]}
    return {"info": trimmed(info), "data": trimmed(data)}


def artifact_uri(one: LoggedModel) -> str:
    """Return where a logged model's files are, in MLflow's terms."""
    return f"{artifact_root(one.experiment)}/models/{one.id}/artifacts"


# ---------------------------------------------------------------- parts


def _measured(one: Measured) -> dict[str, Any]:
    return trimmed(
        {
            "key": one.key,
            "value": metric_value(one.value),
            "timestamp": milliseconds(one.time),
            "step": one.step,
            "dataset_name": one.dataset_name,
            "dataset_digest": one.dataset_digest,
            "model_id": one.model,
            "run_id": one.run,
        }
    )


def _name(name: str) -> str:
    if not name or any(sign in name for sign in _BAD_SIGNS):
        raise BadInputError(
            f"Invalid model name ({name[:100]!r}) provided. Model name must be a non-empty string"
            f" and cannot contain the following characters: {_BAD_SIGNS}",
            field="name",
        )
    return name


def _pairs(asked: Fields, field: str) -> dict[str, str]:
    several = asked.several(field)
    if len(several) > _MOST_PAIRS:
        raise BadInputError(
            f"At most {_MOST_PAIRS} {field} are taken at once, found {len(several)}.", field=field
        )
    found: dict[str, str] = {}
    for place, one in enumerate(several):
        key = check_key(one.text("key"), f"{field}[{place}].key")
        found[key] = one.text_or("value")
    return found

"""Experiments as MLflow sees them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mainspring.experiments import groups
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.filters import Term, parse, parse_order, refused
from mainspring.web.mlflow.messages import (
    Fields,
    milliseconds,
    page_of,
    pairs,
    trimmed,
)
from mainspring.workspace.opening import Workspace

VIEWS = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
_ID = re.compile(r"\d{1,18}")
_TIMES = {
    "creation_time": "created",
    "last_update_time": "changed",
}


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make an experiment."""
    name, tags = asked.text("name"), tags_of(asked)
    if asked.text_or("artifact_location"):
        raise BadInputError(
            "Artifacts are kept by this server alone; leave out artifact_location.",
            field="artifact_location",
        )
    made = ws.write(Permission.LOG, lambda tx: groups.create(tx, name, tags, ws.clock.now()))
    return {"experiment_id": str(made.id)}


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one experiment, deleted or not."""
    number = id_of(asked.text("experiment_id"))
    _ensure_default(ws)
    found = ws.read(Permission.READ, lambda tx: known(tx, number))
    return {"experiment": _message(found)}


def by_name(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the experiment of a name, deleted or not."""
    name = asked.text("experiment_name")
    _ensure_default(ws)
    found = ws.read(Permission.READ, lambda tx: groups.by_name(tx, name))
    if found is None:
        raise NotFoundError(f"Could not find experiment with name '{name[:200]}'")
    return {"experiment": _message(found)}


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return experiments by name, id, times and tags."""
    limit, offset = asked.limit(1000, 50_000), asked.offset()
    view = asked.choice("view_type", VIEWS, "ACTIVE_ONLY")
    terms = parse(asked.text_or("filter"))
    _ensure_default(ws)
    found = [
        one
        for one in ws.read(Permission.READ, groups.listed)
        if view == "ALL" or (one.deleted is not None) == (view == "DELETED_ONLY")
    ]
    found = [one for one in found if all(_meets(one, term) for term in terms)]
    for text in reversed(asked.texts("order_by")):
        order = parse_order(text)
        found.sort(key=_sorter(order.entity, order.key), reverse=not order.ascending)
    page = [_message(one) for one in found[offset : offset + limit + 1]]
    return page_of("experiments", page, offset, limit)


def update(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Give an experiment another name."""
    number, name = id_of(asked.text("experiment_id")), asked.text("new_name")

    def work(tx: Tx) -> None:
        to_change(tx, number, ws.clock.now())
        groups.rename(tx, number, name, ws.clock.now())

    ws.write(Permission.LOG, work)
    return {}


def delete(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Hide an experiment and its runs."""
    number = id_of(asked.text("experiment_id"))

    def work(tx: Tx) -> None:
        groups.check_active(to_change(tx, number, ws.clock.now()))
        groups.delete(tx, number, ws.clock.now())

    ws.write(Permission.LOG, work)
    return {}


def restore(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Show an experiment again, with the runs that were hidden with it."""
    number = id_of(asked.text("experiment_id"))

    def work(tx: Tx) -> None:
        to_change(tx, number, ws.clock.now())
        groups.restore(tx, number, ws.clock.now())

    ws.write(Permission.LOG, work)
    return {}


def set_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set one tag of an experiment."""
    number = id_of(asked.text("experiment_id"))
    tags = {asked.text("key"): asked.text_or("value")}

    def work(tx: Tx) -> None:
        to_change(tx, number, ws.clock.now())
        groups.set_tags(tx, number, tags, ws.clock.now())

    ws.write(Permission.LOG, work)
    return {}


def delete_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take one tag of an experiment away."""
    number, key = id_of(asked.text("experiment_id")), asked.text("key")

    def work(tx: Tx) -> None:
        if key not in known(tx, number).tags:
            raise NotFoundError(f"No tag with name: {key[:250]} in experiment with id {number}")
        groups.set_tags(tx, number, {key: None}, ws.clock.now())

    ws.write(Permission.LOG, work)
    return {}


# ---------------------------------------------------------------- parts


def known(tx: Tx, number: int) -> groups.Experiment:
    """Return an experiment by its id, or refuse in MLflow's words."""
    try:
        return groups.get(tx, number)
    except NotFoundError:
        raise NotFoundError(f"No Experiment with id={number} exists") from None


def to_change(tx: Tx, number: int, at: float) -> groups.Experiment:
    """Return as :func:`known` does, and make the first experiment on first need."""
    groups.ensure_default(tx, at)
    return known(tx, number)


def id_of(text: str) -> int:
    """Return an experiment's id, which MLflow writes as text.

    Raises:
        NotFoundError: if no experiment can have it.
    """
    if not text.isascii() or not _ID.fullmatch(text):
        raise NotFoundError(f"No Experiment with id={text[:64]} exists")
    return int(text)


def tags_of(asked: Fields) -> dict[str, str]:
    """Return the tags of a message, as they come in a list of key and value."""
    return {one.text("key"): one.text_or("value") for one in asked.several("tags")}


def artifact_root(number: int) -> str:
    """Return where the artifacts of an experiment's runs are, in MLflow's terms."""
    return f"mlflow-artifacts:/{number}"


def _ensure_default(ws: Workspace) -> None:
    """Make the first experiment, which MLflow's clients take for granted, unless it is there."""
    if not ws.read(Permission.READ, groups.has_any):
        own = ws.acting_as(service("web"))
        own.write(Permission.LOG, lambda tx: groups.ensure_default(tx, ws.clock.now()))


def _message(one: groups.Experiment) -> dict[str, Any]:
    return trimmed(
        {
            "experiment_id": str(one.id),
            "name": one.name,
            "artifact_location": artifact_root(one.id),
            "lifecycle_stage": "active" if one.deleted is None else "deleted",
            "creation_time": milliseconds(one.created),
            "last_update_time": milliseconds(one.changed),
            "tags": pairs(one.tags),
        }
    )


def _meets(one: groups.Experiment, term: Term) -> bool:
    if term.entity == "tag":
        return term.holds(one.tags.get(term.key))
    return term.holds(_value(one, term.entity, term.key))


def _value(one: groups.Experiment, entity: str, key: str) -> str | int:
    if entity == "attribute" and key == "name":
        return one.name
    if entity == "attribute" and key == "experiment_id":
        return str(one.id)
    if entity == "attribute" and key in _TIMES:
        return milliseconds(getattr(one, _TIMES[key]))
    raise refused(
        f"Invalid attribute key '{key[:80]}'; there are: name, experiment_id, {', '.join(_TIMES)}"
    )


def _sorter(entity: str, key: str) -> Callable[[groups.Experiment], Any]:
    if key == "experiment_id":
        return lambda one: one.id
    return lambda one: _value(one, entity, key)

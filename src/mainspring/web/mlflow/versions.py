"""Versions of registered models, as MLflow sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mainspring.experiments import logged as logged_models
from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import facts, listing, registry
from mainspring.web.mlflow import sources
from mainspring.web.mlflow.messages import Fields, absent, milliseconds, page_of
from mainspring.web.mlflow.models import (
    PROMPT_TAG,
    in_order,
    known,
    meets,
    named,
    now_of,
    number_of,
    orders_of,
    tags_of,
    terms_of,
    version_message,
)
from mainspring.workspace import registering
from mainspring.workspace.opening import Workspace

_VERSIONS_TAG = "mlflow.modelVersions"


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a version of the files that a source names."""
    title, uri = asked.text("name"), asked.text("source")
    run, logged = asked.text_or("run_id") or None, asked.text_or("model_id") or None
    tags, description = tags_of(asked), asked.text_or("description")
    link = asked.text_or("run_link") or None

    def look(tx: Tx) -> tuple[str, sources.Source]:
        if tags.get(PROMPT_TAG) == "true":  # its text is a tag; the source is a dummy
            return named(tx, title), sources.Source(uri=uri, run=run)
        return named(tx, title), sources.find(tx, uri, run, logged)

    model, source = ws.read(Permission.READ, look)
    version = registering.version_of_files(
        ws, model, source.files, uri, run=source.run, link=link, logged=source.logged
    )
    version = msgspec.structs.replace(version, created=now_of(ws))
    if source.copied is not None:
        version = msgspec.structs.replace(version, package=source.copied)

    def work(tx: Tx) -> dict[str, Any]:
        # A model that was deleted meanwhile must not come back by a version.
        kept = registry.register(
            tx, msgspec.structs.replace(version, model=named(tx, title)), tags, description
        )
        if source.logged is not None:
            _note(tx, source.logged, title, kept.number)
        return {"model_version": _message(tx, kept.model, title, kept.number)}

    return ws.write(Permission.REGISTER, work)


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one version."""
    title, number = asked.text("name"), number_of(asked)

    def work(tx: Tx) -> dict[str, Any]:
        return {"model_version": _message(tx, _model(tx, title, number), title, number)}

    return ws.read(Permission.READ, work)


def update(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Say what a version is."""
    title, number, text = asked.text("name"), number_of(asked), asked.text_or("description")

    def work(tx: Tx) -> dict[str, Any]:
        model = _model(tx, title, number)
        facts.describe_version(tx, model, number, text, now_of(ws))
        return {"model_version": _message(tx, model, title, number)}

    return ws.write(Permission.REGISTER, work)


def delete(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Delete a version that nobody needs."""
    title, number = asked.text("name"), number_of(asked)
    model = ws.read(Permission.READ, lambda tx: _model(tx, title, number))
    registering.delete_version(ws, model, number)
    return {}


def transition(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Put a version into a stage."""
    title, number, stage = asked.text("name"), number_of(asked), asked.text("stage")
    archive = asked.flag("archive_existing_versions")

    def work(tx: Tx) -> dict[str, Any]:
        model = _model(tx, title, number)
        facts.set_stage(tx, model, number, stage, now_of(ws), archive=archive)
        return {"model_version": _message(tx, model, title, number)}

    return ws.write(Permission.PROMOTE, work)


def source(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return where a version's files can be read: as they were when it was registered."""
    title, number = asked.text("name"), number_of(asked)

    def work(tx: Tx) -> dict[str, Any]:
        version = registry.get(tx, _model(tx, title, number), number)
        if version.source is not None and not registering.has_files(ws, version):
            return {"artifact_uri": sources.origin(tx, version.source)}
        return {"artifact_uri": sources.package_uri(version.model, version.number)}

    return ws.read(Permission.READ, work)


def set_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Set one tag of a version."""
    return _tag(ws, asked, asked.text_or("value"))


def delete_tag(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take one tag of a version away; nothing happens if it is not there."""
    return _tag(ws, asked, None)


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return versions by model, run, number, source and tags."""
    limit, offset = asked.limit(10_000, 200_000), asked.offset()
    terms = terms_of(asked, {"name", "run_id", "version_number", "source_path"})
    keys = orders_of(asked, _KEYS) or [(_changed, False), (_title, True), (_number, False)]

    def work(tx: Tx) -> dict[str, Any]:
        alone = [t.value for t in terms if t.key == "name" and t.op == "="]
        only = facts.find(tx, alone[0]) if alone and isinstance(alone[0], str) else None
        if alone and only is None:
            return {}
        found = []
        prompts = {m.name: m.facts.tags for m in listing.models(tx, only)}
        for one in listing.versions(tx, only):
            version = one.version
            values = {
                "name": one.title,
                "run_id": version.run,
                "version_number": version.number,
                "source_path": version.source
                or sources.package_uri(version.model, version.number),
            }
            if meets(terms, values, _tags(one, prompts[version.model])):
                found.append(one)
        in_order(found, [*keys, (_title, True), (_number, False)])
        page = [version_message(one) for one in found[offset : offset + limit + 1]]
        return page_of("model_versions", page, offset, limit)

    return ws.read(Permission.READ, work)


# ---------------------------------------------------------------- parts


def _note(tx: Tx, logged: str, title: str, number: int) -> None:
    """Let a logged model know the versions that were registered of it."""
    told = logged_models.get(tx, logged).tags.get(_VERSIONS_TAG, "[]")
    try:
        several = msgspec.json.decode(told, type=list[dict[str, Any]])
    except msgspec.MsgspecError:  # somebody else's words
        several = []
    one = {"name": title, "version": str(number)}
    several += [] if one in several else [one]
    logged_models.set_tags(tx, logged, {_VERSIONS_TAG: msgspec.json.encode(several).decode()})


def _tag(ws: Workspace, asked: Fields, value: str | None) -> dict[str, Any]:
    title, number, key = asked.text("name"), number_of(asked), asked.text("key")

    def work(tx: Tx) -> None:
        model = _model(tx, title, number)
        facts.tag_version(tx, model, number, {key: value}, now_of(ws))

    ws.write(Permission.REGISTER, work)
    return {}


def _tags(one: listing.ListedVersion, of_model: dict[str, str]) -> dict[str, str]:
    tags = {tag["key"]: tag["value"] for tag in version_message(one).get("tags", [])}
    if of_model.get(PROMPT_TAG) == "true":
        tags.setdefault(PROMPT_TAG, "true")
    return tags


def _model(tx: Tx, title: str, number: int) -> str:
    """Return the name of a model that has this version."""
    try:
        model = named(tx, title)
    except NotFoundError:
        raise absent(f"Model Version (name={title[:200]}, version={number})") from None
    known(tx, model, title, number)
    return model


def _message(tx: Tx, model: str, title: str, number: int) -> dict[str, Any]:
    for one in listing.versions(tx, model):
        if one.version.number == number:
            return version_message(one)
    raise absent(f"Model Version (name={title[:200]}, version={number})")


def _changed(one: listing.ListedVersion) -> int:
    return milliseconds(one.changed)


def _created(one: listing.ListedVersion) -> int:
    return milliseconds(one.version.created)


def _title(one: listing.ListedVersion) -> str:
    return one.title


def _number(one: listing.ListedVersion) -> int:
    return one.version.number


_KEYS: dict[str, Callable[[Any], Any]] = {
    "name": _title,
    "version_number": _number,
    "creation_timestamp": _created,
    "last_updated_timestamp": _changed,
}

"""Registered models, their versions and aliases, as MLflow sees them."""

from __future__ import annotations

import re
from typing import Any

from mainspring.ground.errors import AlreadyExistsError, BadInputError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import registry, verdicts
from mainspring.web.mlflow.filters import Term, parse
from mainspring.web.mlflow.messages import (
    Fields,
    absent,
    milliseconds,
    page_of,
    pairs,
    trimmed,
    wrong,
)
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace

_ALIAS = re.compile(r"[\w-]{1,128}")
_RESERVED = re.compile(r"v\d+|latest", re.IGNORECASE)
_REASON = "Asked for over the MLflow wire."


def create(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Make a model without versions."""
    name = asked.text("name")
    _refuse_unkept(asked)

    def work(tx: Tx) -> dict[str, Any]:
        if any(one.name == name for one in registry.models(tx)):
            raise AlreadyExistsError(f"Registered Model (name={name}) already exists.")
        registry.ensure_model(tx, name, ws.clock.now())
        tx.audit("model.create", f"model:{name}", {})
        return {"registered_model": _model(tx, name)}

    return ws.write(Permission.REGISTER, work)


def get(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one model."""
    name = asked.text("name")
    return ws.read(Permission.READ, lambda tx: {"registered_model": _model(tx, name)})


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return models by name."""
    limit, offset = asked.limit(100, 1000), asked.offset()
    terms = _terms(asked, {"name"})
    backwards = _backwards(asked, "name")

    def work(tx: Tx) -> dict[str, Any]:
        names = [m.name for m in registry.models(tx) if _holds(terms, {"name": m.name})]
        if backwards:
            names.reverse()
        found = [_model(tx, name) for name in names[offset : offset + limit + 1]]
        return page_of("registered_models", found, offset, limit)

    return ws.read(Permission.READ, work)


def latest_versions(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the newest version of each stage; here every version has the stage None."""
    name = asked.text("name")
    stages = {stage.lower() for stage in asked.texts("stages")}

    def work(tx: Tx) -> dict[str, Any]:
        newest = _model(tx, name).get("latest_versions", [])
        return {"model_versions": newest} if newest and (not stages or "none" in stages) else {}

    return ws.read(Permission.READ, work)


def set_alias(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Move an alias; ``champion`` asks for a passed gate and tells the model's loop."""
    name, alias = asked.text("name"), _alias(asked)
    number = _number(asked)
    if alias == registry.CHAMPION:
        serving = ws.read(Permission.READ, lambda tx: registry.champion(tx, name))
        if serving != number:
            acts.promote(ws, name, number, _REASON)
        return {}
    ws.write(
        Permission.PROMOTE,
        lambda tx: registry.set_alias(tx, name, alias, number, _REASON, ws.clock.now()),
    )
    return {}


def drop_alias(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Take an alias away; the champion alias can only move."""
    name, alias = asked.text("name"), _alias(asked)

    def work(tx: Tx) -> dict[str, Any]:
        _model(tx, name)
        registry.drop_alias(tx, name, alias, _REASON, ws.clock.now())
        return {}

    return ws.write(Permission.PROMOTE, work)


def by_alias(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return the version that an alias names."""
    name, alias = asked.text("name"), asked.text("alias")

    def work(tx: Tx) -> dict[str, Any]:
        _model(tx, name)
        named = registry.aliases_of(tx, name)
        if alias not in named:
            raise BadInputError(f"Registered model alias {alias} not found.", field="alias")
        return {"model_version": _version(tx, registry.get(tx, name, named[alias]), named)}

    return ws.read(Permission.READ, work)


def version(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return one version."""
    name, number = asked.text("name"), _number(asked)

    def work(tx: Tx) -> dict[str, Any]:
        named = registry.aliases_of(tx, name)
        return {"model_version": _version(tx, _known(tx, name, number), named)}

    return ws.read(Permission.READ, work)


def source(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return where a version's package is."""
    name, number = asked.text("name"), _number(asked)
    return ws.read(
        Permission.READ, lambda tx: {"artifact_uri": _uri(_known(tx, name, number).package)}
    )


def search_versions(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return versions by model, run and number, the newest first."""
    limit, offset = asked.limit(10_000, 200_000), asked.offset()
    terms = _terms(asked, {"name", "run_id", "version_number", "source_path"})

    def work(tx: Tx) -> dict[str, Any]:
        found = []
        of_model = [term for term in terms if term.key == "name"]
        for model in registry.models(tx):
            if not _holds(of_model, {"name": model.name}):
                continue
            named = registry.aliases_of(tx, model.name)
            for one in registry.versions(tx, model.name):
                values = {"name": one.model, "run_id": one.run, "version_number": one.number}
                if _holds(terms, {**values, "source_path": _uri(one.package)}):
                    found.append((one, named))
        found.sort(key=lambda pair: (-pair[0].created, pair[0].model, -pair[0].number))
        page = [_version(tx, *pair) for pair in found[offset : offset + limit + 1]]
        return page_of("model_versions", page, offset, limit)

    return ws.read(Permission.READ, work)


def no_logged_models(ws: Workspace, asked: Fields) -> dict[str, Any]:  # noqa: ARG001
    """Return no logged models: clients look for some whenever they list a run's folder."""
    return {}


# ---------------------------------------------------------------- parts


def _model(tx: Tx, name: str) -> dict[str, Any]:
    known = next((m for m in registry.models(tx) if m.name == name), None)
    if known is None:
        raise NotFoundError(f"Registered Model with name={name[:200]} not found")
    named = registry.aliases_of(tx, name)
    newest = registry.get(tx, name, known.newest) if known.newest else None
    at = milliseconds(known.created)
    return trimmed(
        {
            "name": name,
            "creation_timestamp": at,
            "last_updated_timestamp": at if newest is None else milliseconds(newest.created),
            "latest_versions": [] if newest is None else [_version(tx, newest, named)],
            "aliases": [{"alias": a, "version": str(n)} for a, n in named.items()],
        }
    )


def _version(tx: Tx, one: Version, named: dict[str, int]) -> dict[str, Any]:
    at = milliseconds(one.created)
    gate = verdicts.latest(tx, one.model, one.number)
    tags = {"mainspring.package": one.package}
    if gate is not None:
        tags["mainspring.gate"] = "passed" if gate.passed else "refused"
    return trimmed(
        {
            "name": one.model,
            "version": str(one.number),
            "creation_timestamp": at,
            "last_updated_timestamp": at,
            "user_id": one.by,
            "current_stage": "None",
            "description": one.card.purpose if one.card else None,
            "source": _uri(one.package),
            "run_id": one.run,
            "status": "READY",
            "tags": pairs(tags),
            "aliases": [alias for alias, number in named.items() if number == one.number],
        }
    )


def _uri(package: str) -> str:
    return f"mainspring-package:/{package}"


def _known(tx: Tx, name: str, number: int) -> Version:
    try:
        return registry.get(tx, name, number)
    except NotFoundError:
        raise absent(f"Model Version (name={name[:200]}, version={number})") from None


def _number(asked: Fields) -> int:
    text = asked.text("version")
    if not text.isascii() or not text.isdecimal() or not 1 <= len(text) <= 9:
        raise BadInputError(
            f"Parameter 'version' must be an integer, got {text[:40]!r}.", field="version"
        )
    return int(text)


def _alias(asked: Fields) -> str:
    alias = asked.text("alias")
    if not _ALIAS.fullmatch(alias) or _RESERVED.fullmatch(alias):
        raise BadInputError(f"Invalid alias name: {alias[:100]!r}.", field="alias")
    return check_name(alias, "alias")


def _refuse_unkept(asked: Fields) -> None:
    told = {"description": bool(asked.text_or("description")), "tags": bool(asked.several("tags"))}
    for field in told:
        if told[field]:
            raise BadInputError(
                f"Models have no {field} of their own here; what a version is for stands in its"
                " card.",
                field=field,
            )


def _terms(asked: Fields, keys: set[str]) -> list[Term]:
    text = asked.text_or("filter")
    terms = parse(text)
    for term in terms:
        if term.entity != "tag" and (term.entity != "attribute" or term.key not in keys):
            raise BadInputError(
                f"Invalid attribute key '{term.key}' in the filter; there are:"
                f" {', '.join(sorted(keys))}.",
                field="filter",
            )
    return terms


def _holds(terms: list[Term], values: dict[str, Any]) -> bool:
    # Clients hide what they keep as prompts; here nothing is one.
    tags = {"mlflow.prompt.is_prompt": "false"}
    return all(
        term.holds(tags.get(term.key) if term.entity == "tag" else values.get(term.key))
        for term in terms
    )


def _backwards(asked: Fields, key: str) -> bool:
    for one in asked.texts("order_by"):
        words = one.split()
        if not words or words[0] not in (key, "timestamp", "last_updated_timestamp"):
            raise wrong("order_by", one)
        if words[0] == key:
            return words[-1].upper() == "DESC"
    return False
